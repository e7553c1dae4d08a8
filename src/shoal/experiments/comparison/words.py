"""Words for numbers of a comparison: times, prices, differences and p-values."""

from __future__ import annotations

import math

from shoal.evaluation.significance import Paired
from shoal.experiments.comparison.entry import Entry
from shoal.run import human_bytes


def duration(seconds: float) -> str:
    """A time for people: ``0.3 ms``, ``0.12 s``, ``3.2 s``, ``12 min``, ``5.1 h``."""
    for length, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    if seconds < 0.01:
        return f"{seconds * 1000:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def price(entry: Entry) -> str:
    """What a fit takes: time, memory and, if the model was tuned, the search."""
    parts = duration(entry.fit_seconds)
    if entry.peak_bytes is not None:
        parts += f" and {human_bytes(entry.peak_bytes)}"
    if entry.tune_seconds:
        parts += f" (tuned in {duration(entry.tune_seconds)})"
    return parts


def difference(test: Paired) -> str:
    """A difference with its interval: ``+0.0123, 95 % interval +0.0091 to +0.0155``."""
    if test.difference == test.low == test.high == 0:
        return "no difference for any user"
    if not (math.isfinite(test.low) and math.isfinite(test.high)):
        return _signed(test.difference)
    ends = f"{_signed(test.low)} to {_signed(test.high)}"
    return f"{_signed(test.difference)}, 95 % interval {ends}"


def _signed(number: float) -> str:
    """A number with its sign, and a minus that is as long as the plus."""
    return f"{number:+.4f}".replace("-", "−")


def p_value(p: float) -> str:
    """A p-value for people."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def about(count: float) -> str:
    """A number to two digits: ``12,000``."""
    if count < 10:
        return f"{count:.2g}"
    digits = math.floor(math.log10(count)) - 1
    return f"{round(count, -digits):,.0f}"


def listed(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
