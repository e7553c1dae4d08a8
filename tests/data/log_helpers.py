"""Small random logs with everything that a preparation has to resolve, and equality of logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl

from shoal.data.interactions import Interactions

KINDS = ("int", "text", "uuid")
EVENTS = ("view", "cart", "purchase", "remove")

# options of `read` under which divided and undivided logs are compared; each leaves something
OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {"columns": {"value": "none"}},
    "without times": {"columns": {"value": "none", "time": "none"}},
    "values, last": {"values": "keep"},
    "values, first": {"values": "keep", "duplicates": "first"},
    "values, sum": {"values": "keep", "duplicates": "sum"},
    "log1p": {"values": "log1p", "min_value": 1},
    "min_value": {"min_value": 3},
    "where": {"where": "event in ('view', 'cart') and value > 1", "values": "keep"},
    "weights": {"weights": {"view": 1, "cart": 2.5, "purchase": 7}},
    "weights, sum": {"weights": {"view": 1, "purchase": 7}, "duplicates": "sum"},
    "events": {"events": ("view", "purchase"), "values": "keep"},
    "window": {"since": 20, "until": 80, "min_value": 1},
    "filters": {"min_value": 1, "min_item_users": 4, "min_user_items": 3},
    "core": {"columns": {"value": "none"}, "k_core": 3},
    "core of values": {"values": "keep", "duplicates": "sum", "k_core": 4, "min_item_users": 3},
}


def random_log(seed: int, kind: str = "int", n_rows: int = 300) -> pl.DataFrame:
    """Users, items, values, times with ties, events; the same pair often several times."""
    generator = np.random.default_rng(seed)
    users = _ids(kind, generator.geometric(0.06, n_rows) - 1, "u")
    items = _ids(kind, generator.geometric(0.08, n_rows) - 1, "i")
    return pl.DataFrame(
        {
            "user": users,
            "item": items,
            "value": generator.choice([0.1, 0.7, 1.0, 2.0, 3.0, 4.5, 5.0], n_rows),
            "time": generator.integers(0, 100, n_rows),
            "event": generator.choice(EVENTS, n_rows),
        }
    )


def with_dates(log: pl.DataFrame) -> pl.DataFrame:
    """The same log with dates in place of numbers."""
    begin = datetime(2024, 1, 31, 22, tzinfo=UTC)
    dates = [begin + timedelta(hours=int(hours)) for hours in log["time"]]
    return log.with_columns(pl.Series("time", dates))


def _ids(kind: str, numbers: Any, letter: str) -> list[Any]:
    if kind == "int":
        return [int(n) * 7 - 3 for n in numbers]
    if kind == "uuid":
        return [str(UUID(int=int(n) * 2**70 + 12345)) for n in numbers]
    return [f"{letter}{n}é" for n in numbers]


def assert_equal_logs(a: Interactions, b: Interactions) -> None:
    """Compare every field of two logs, bit by bit."""
    for name in Interactions.__dataclass_fields__:
        mine, theirs = getattr(a, name), getattr(b, name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype, name
            assert np.array_equal(mine, theirs), name
        elif isinstance(mine, pl.DataFrame):
            assert mine.equals(theirs), name
        elif name == "seen" and mine is not None:
            assert_equal_logs(mine, theirs)
        else:
            assert mine == theirs, name
