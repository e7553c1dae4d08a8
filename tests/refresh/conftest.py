"""A configuration that refreshes from a small log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoal.refresh import Config

from .refresh_helpers import taste_log


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    taste_log().write_csv(tmp_path / "log.csv")
    return tmp_path / "log.csv"


@pytest.fixture
def configured(log_file: Path, tmp_path: Path) -> Callable[..., Config]:
    """Makes a configuration: EASE, hit rate among ten, one thread; keywords replace its parts."""

    def make(evaluation: dict[str, Any] | None = None, **parts: Any) -> Config:
        plain = {
            "store": str(tmp_path / "store"),
            "log": {"path": str(log_file)},
            "settings": {"l2": 10.0},
            "evaluation": {"metric": "hit_rate@10", "least_users": 20} | (evaluation or {}),
            "threads": 1,
            "nice": 0,
        }
        return Config.model_validate(plain | parts)

    return make
