"""A small log of two tastes, and experiment files on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

Shoal = Callable[..., tuple[int, str, str]]
Written = Callable[..., Path]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """80 readers of 40 books in two circles, with times."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u:02}", 20 * (u % 2) + int(i), 1000 * u + int(i))
        for u in range(80)
        for i in rng.choice(20, 9, replace=False)
    ]
    path = tmp_path / "log.csv"
    pl.DataFrame(rows, ["user", "item", "timestamp"], orient="row").write_csv(path)
    return path


@pytest.fixture
def experiment(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """Writes an experiment file; what is given replaces parts of it. Runs go to its folder."""
    monkeypatch.chdir(tmp_path)

    def write(name: str = "file.yaml", **parts: Any) -> Path:
        content = {
            "name": "circles",
            "data": {"file": log.name},
            "seeds": 2,
            "models": ["popularity", {"model": "ease", "set": {"l2": 10}}],
            "evaluation": {"metrics": ["ndcg@10", "recall@5", "coverage@10"]},
            "run": {"threads": 1},
            "output": {"report": False},
        }
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content | parts, sort_keys=False))
        return path

    return write
