"""Numbers as a report writes them; what is not known is a dash."""

from __future__ import annotations

import math
from typing import Any

from shoal.run import human_bytes

UNKNOWN = "–"


def decimals(value: Any, digits: int = 4) -> str:
    """A number with so many digits behind the point."""
    return UNKNOWN if _missing(value) else f"{value:.{digits}f}".replace("-", "−")


def signed(value: Any, digits: int = 4) -> str:
    """A difference, with its sign."""
    return UNKNOWN if _missing(value) else f"{value:+.{digits}f}".replace("-", "−")


def count(value: Any) -> str:
    """A whole number, with commas."""
    return UNKNOWN if _missing(value) else f"{round(value):,}"


def percent(value: Any, digits: int = 1) -> str:
    """A share in per cent."""
    return UNKNOWN if _missing(value) else f"{100 * value:.{digits}f} %"


def seconds(value: Any) -> str:
    """A duration in the unit that people would choose, with about three digits."""
    if _missing(value):
        return UNKNOWN
    if value < 0.9995e-3:
        return f"{1e6 * value:.0f} µs"
    if value < 0.9995:
        return f"{_three_digits(1e3 * value)} ms"
    if value < 119.5:
        return f"{_three_digits(value)} s"
    if value < 7170:
        return f"{_three_digits(value / 60)} min"
    return f"{_three_digits(value / 3600)} h"


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


def _three_digits(value: float) -> str:
    """A number of at least 0.9995, with its last zeros; all digits before the point."""
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def _missing(value: Any) -> bool:
    return value is None or not math.isfinite(value)
