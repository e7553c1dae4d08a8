"""A small log with an item table, and experiment files about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

Written = Callable[[str], Path]

PLAIN = """
name: small
data: {file: ratings.csv}
models: [ease]
"""


@pytest.fixture
def rows() -> pl.DataFrame:
    """60 users with nine films each, of 20."""
    rng = np.random.default_rng(0)
    table = [
        (f"u{user:02}", int(film), int(rng.integers(1, 6)), int(rng.integers(10**6)))
        for user in range(60)
        for film in rng.choice(20, 9, replace=False)
    ]
    return pl.DataFrame(table, schema=["userId", "movieId", "rating", "timestamp"], orient="row")


@pytest.fixture
def folder(tmp_path: Path, rows: pl.DataFrame) -> Path:
    """A folder with ratings.csv and movies.csv."""
    rows.write_csv(tmp_path / "ratings.csv")
    titles = [
        f"{'Love' if number % 2 else 'War'} in {'Rome' if number % 3 else 'Oslo'}"
        for number in range(20)
    ]
    films = {"movieId": range(20), "title": titles, "year": range(1990, 2010)}
    pl.DataFrame(films).write_csv(tmp_path / "movies.csv")
    return tmp_path


@pytest.fixture
def written(folder: Path) -> Written:
    """Writes an experiment file into that folder."""

    def write(text: str) -> Path:
        path = folder / "experiment.yaml"
        path.write_text(text)
        return path

    return write
