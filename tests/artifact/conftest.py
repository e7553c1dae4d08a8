"""A small log, and a model folder made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.interactions import Interactions


@pytest.fixture
def log() -> Interactions:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {"user": rng.integers(0, 40, 400), "item": [f"i{v:02}" for v in rng.integers(0, 25, 400)]}
    )
    titles = pl.DataFrame(
        {"item": [f"i{v:02}" for v in range(25)], "title": [f"T{v}" for v in range(25)]}
    )
    return shoal.read(frame, items=titles)


@pytest.fixture
def folder(log: Interactions, tmp_path: Path) -> Path:
    return shoal.save(
        shoal.EASE(l2=5).fit(log, run=shoal.Run(threads=1)), tmp_path / "ease", metrics={"a": 1}
    )
