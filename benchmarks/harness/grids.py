"""Grids of settings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from benchmarks.harness.results import Row


def grid(**values: Sequence[Any]) -> list[Row]:
    """All combinations of the values."""
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
