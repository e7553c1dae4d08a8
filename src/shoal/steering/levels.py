"""Levels of knobs: how far a list is turned."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from shoal.errors import HistoryError

LIMIT = 3.0  # levels go from −3 to 3


def check_level(level: Any, name: str) -> float:
    """A level as a float.

    Raises
    ------
    HistoryError
        It is no number from −3 to 3.
    """
    is_number = isinstance(level, Real) and not isinstance(level, bool)
    if not is_number or not math.isfinite(level) or not -LIMIT <= level <= LIMIT:
        raise HistoryError(
            f"the level of {name!r} is {level!r:.40}: give a number from −{LIMIT:g} (away) to "
            f"{LIMIT:g} (towards)"
        )
    return float(level)
