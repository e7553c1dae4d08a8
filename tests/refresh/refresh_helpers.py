"""A log whose users keep to one of two tastes."""

from __future__ import annotations

import numpy as np
import polars as pl

BEGIN = 1_700_000_000  # seconds since 1970: November 2023
HOUR = 3600


def taste_log(n_users: int = 200, n_hours: int = 2000, seed: int = 0) -> pl.DataFrame:
    """Users of even number have items 0 to 19, the others 20 to 39; each item once, in time."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        items = rng.permutation(20)[:12] + 20 * (user % 2)
        hours = np.sort(rng.integers(0, n_hours, items.size))
        rows += [
            (f"u{user:03}", int(item), BEGIN + int(hour) * HOUR)
            for item, hour in zip(items, hours, strict=True)
        ]
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
