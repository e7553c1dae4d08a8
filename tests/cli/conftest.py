"""A log with titles, and a model that is fitted to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

Shoal = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Two circles of readers with tastes that do not meet, and titles."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u:03}", 100 * (u % 2) + i, int(rng.integers(3, 6)), 1000 * u + i)
        for u in range(120)
        for i in rng.choice(20, 9, replace=False)
    ]
    frame = pl.DataFrame(rows, schema=["userId", "movieId", "rating", "timestamp"], orient="row")
    frame.write_csv(tmp_path / "ratings.csv")
    pl.DataFrame(
        {"movieId": [*range(20), *range(100, 120)], "title": [f"Film {v}" for v in range(40)]}
    ).write_csv(tmp_path / "movies.csv")
    return tmp_path / "ratings.csv"


@pytest.fixture
def model(ratings: Path, shoal_command: Shoal) -> Path:
    folder = ratings.parent / "model"
    code, _, err = shoal_command(
        *("train", ratings, "--items", ratings.parent / "movies.csv"),
        *("--model", "ease", "--set", "l2=10", "--out", folder),
    )
    assert code == 0, err
    return folder
