"""Words for numbers of a comparison: times, prices, differences and p-values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from shoal.evaluation.significance import Paired
from shoal.experiments.comparison.entry import Entry
from shoal.run import duration, human_bytes


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
    if not test.has_interval:
        return signed(test.difference)
    ends = f"{signed(test.low)} to {signed(test.high)}"
    return f"{signed(test.difference)}, 95 % interval {ends}"


def signed(number: float, digits: int = 4) -> str:
    """A number with its sign, and a minus that is as long as the plus; zero has a plus."""
    return f"{number:+z.{digits}f}".replace("-", "−")


def not_finished(
    labels: Sequence[str], measured: Mapping[str, int], *, later: bool = False
) -> list[str]:
    """Lines about models that were not finished: those with some of the seeds, and those with none.

    Parameters
    ----------
    labels : sequence of str
        Of all models that were not finished with all seeds.
    measured : mapping
        With how many seeds each model was measured, of those that were.
    later : bool
        Whether they are left for later on purpose.
    """
    some = [f"{label} ({measured[label]} done)" for label in labels if measured.get(label)]
    none = [label for label in labels if not measured.get(label)]
    titles = ("not finished with all seeds", "not finished")
    if later:
        titles = ("other seeds left for later", "left for later")
    both = zip(titles, (some, none), strict=True)
    return [f"{title}: {', '.join(names)}" for title, names in both if names]


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
