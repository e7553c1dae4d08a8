"""Numbers as a report writes them; what is not known is a dash."""

from __future__ import annotations

import math
from typing import Any

from shoal.experiments.comparison import words
from shoal.run import duration, human_bytes

UNKNOWN = "–"


def decimals(value: Any, digits: int = 4) -> str:
    """A number with so many digits behind the point."""
    return UNKNOWN if _missing(value) else f"{value:z.{digits}f}".replace("-", "−")


def signed(value: Any, digits: int = 4) -> str:
    """A difference, with its sign."""
    return UNKNOWN if _missing(value) else words.signed(value, digits)


def count(value: Any) -> str:
    """A whole number, with commas."""
    return UNKNOWN if _missing(value) else f"{round(value):,}"


def percent(value: Any, digits: int = 1) -> str:
    """A share in per cent."""
    return UNKNOWN if _missing(value) else f"{100 * value:.{digits}f}\u00a0%"


def seconds(value: Any) -> str:
    """A duration, in the unit that people would choose."""
    return UNKNOWN if _missing(value) else duration(value)


def size(value: Any) -> str:
    """A number of bytes."""
    return UNKNOWN if _missing(value) else human_bytes(int(value))


def probability(value: Any) -> str:
    """A p-value: three digits, or that it is below 0.001."""
    if _missing(value):
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval(ends: Any, digits: int = 4) -> str:
    """An interval of differences, in brackets."""
    if not ends or any(_missing(end) for end in ends):
        return UNKNOWN
    return f"[{signed(ends[0], digits)}, {signed(ends[1], digits)}]"


def setting(value: Any) -> str:
    """The value of a hyper-parameter, with no more digits than a person reads."""
    if isinstance(value, bool) or value is None:
        return str(value).lower() if isinstance(value, bool) else "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def settings(values: Any) -> str:
    """All hyper-parameters in one line."""
    return ", ".join(f"{name}={setting(value)}" for name, value in (values or {}).items())


def _missing(value: Any) -> bool:
    return value is None or not math.isfinite(value)
