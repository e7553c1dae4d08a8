"""The verdict: which model is best, is that real, which to ship, which family, and depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shoal.evaluation.significance import Paired
from shoal.experiments.comparison.depth import Depth, does_depth_pay
from shoal.experiments.comparison.entry import Entry
from shoal.experiments.comparison.family import Family, family_for
from shoal.experiments.comparison.words import difference, listed, p_value
from shoal.run import duration, how_many, human_bytes

# measurements are noisy: fits count as equally fast, and as large, up to these factors and amounts
AS_FAST, MOMENT = 1.5, 0.1  # seconds
AS_LARGE, MB = 1.25, 10**6  # bytes
NAMED = 3  # models whose difference to the best could be chance, and that are named


@dataclass(frozen=True)
class Verdict:
    """What follows from a comparison.

    Parameters
    ----------
    best : str or None
        Label of the best model.
    real : bool
        Whether its lead over each of the other models could hardly be chance.
    ship : str or None
        Label of the cheapest model within the noise of the best.
    depth : Depth
    lines : tuple of str
        The verdict in words: what is best, what to ship, which family was expected where the facts
        of the log are known, and, last, whether depth pays.
    family : Family
        Which family a rule of thumb expects to be ahead, and whether it is.
    """

    best: str | None
    real: bool
    ship: str | None
    depth: Depth
    lines: tuple[str, ...]
    family: Family = field(default_factory=Family)

    @property
    def text(self) -> str:
        """The whole verdict in words."""
        return " ".join(self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "text": self.text,
            "lines": list(self.lines),
            "best": self.best,
            "real": self.real,
            "ship": self.ship,
            "family": self.family.to_dict(),
            "depth": self.depth.to_dict(),
        }


def judge(entries: Sequence[Entry], metric: str, data: Mapping[str, Any] | None = None) -> Verdict:
    """Say what follows from a comparison.

    Parameters
    ----------
    entries : sequence of Entry
        Best first, with their tests against the best.
    metric : str
        The deciding metric.
    data : mapping, optional
        Facts of the log, from which a family is expected.
    """
    known = [entry for entry in entries if not np.isnan(entry.scores[metric].mean)]
    depth = does_depth_pay(known, metric)
    if not known:
        why = f"{metric} counts no user." if entries else "No model could be fitted."
        return Verdict(None, real=False, ship=None, depth=depth, lines=(why,))
    best, others = known[0], known[1:]
    tested = [entry for entry in others if entry.p_adjusted is not None]
    real = bool(tested) and not any(entry.tied or _is_ahead(entry) for entry in tested)
    ship = cheapest([best, *(entry for entry in tested if entry.tied)])
    family = family_for(known, metric, data or {})
    lines = (
        f"{best.label} is best by {metric} ({best.scores[metric]}). {_real(others, tested)}",
        _what_to_ship(ship, best),
        *((family.text,) if family.text else ()),
        depth.text[0].upper() + depth.text[1:],
    )
    return Verdict(best.label, real, ship.label, depth, lines, family)


def no_verdict(why: str) -> Verdict:
    """The verdict where nothing can be said, which says why."""
    return Verdict(None, real=False, ship=None, depth=Depth(why), lines=(why,))


def cheapest(entries: Sequence[Entry]) -> Entry:
    """The cheapest of several models: the fastest to fit and, of equally fast ones, the smallest.

    Two fits count as equally fast if the slower one takes at most half as long again, or 0.1 s
    more. The smallest is the one whose fit takes least memory or, where that is not known, whose
    arrays do; a quarter more, or 1 MB, is no difference. Of models that are alike in both, the
    first is taken.

    Parameters
    ----------
    entries : sequence of Entry
        At least one; best first.
    """
    fastest = min(entry.fit_seconds for entry in entries)
    fast = [e for e in entries if e.fit_seconds <= max(AS_FAST * fastest, fastest + MOMENT)]
    all_known = all(entry.peak_bytes is not None for entry in fast)
    needs = [(entry.peak_bytes if all_known else None) or entry.model_bytes for entry in fast]
    least = min(needs)
    return next(
        e for e, n in zip(fast, needs, strict=True) if n <= max(AS_LARGE * least, least + MB)
    )


def _real(others: Sequence[Entry], tested: Sequence[Entry]) -> str:
    """Whether the lead of the best model could be chance."""
    if not others:
        return "It is the only model that was compared."
    if not tested:
        return "Whether that is chance is not tested, since this metric has no values per user."
    tied = [entry for entry in tested if entry.tied]
    if tied:
        found = [f"{entry.label} ({_lead(entry)})" for entry in tied[:NAMED]]
        if len(tied) > NAMED:
            found.append(how_many(len(tied) - NAMED, "other"))
        return f"The lead over {listed(found)} could be chance."
    ahead = [entry.label for entry in tested if _is_ahead(entry)]
    if ahead:
        return f"The lead is not real: for the users that both have, {listed(ahead)} did better."
    second = tested[0]
    return f"The lead is real ({_lead(second)}, over {second.label}, the next)."


def _is_ahead(entry: Entry) -> bool:
    """Whether a model is above the best one for the users that both have."""
    return entry.against_best is not None and entry.against_best.difference > 0


def _lead(entry: Entry) -> str:
    """By how much the best is ahead of a model, and the p-value of that, which is corrected."""
    test = entry.against_best
    assert test is not None
    found = difference(Paired(-test.difference, -test.high, -test.low, test.p, test.n_users))
    return found if entry.p_adjusted == 1 else f"{found}, {p_value(entry.p_adjusted or 0.0)}"


def _what_to_ship(ship: Entry, best: Entry) -> str:
    """Which model to ship, and what it costs."""
    costs = [f"fits in {duration(ship.fit_seconds)}"]
    if ship.peak_bytes is not None:
        costs[0] += f" with {human_bytes(ship.peak_bytes)}"
    if ship.tune_seconds:
        costs.append(f"was tuned in {duration(ship.tune_seconds)}")
    costs.append(f"holds {human_bytes(ship.model_bytes)}")
    if ship.request_seconds is not None:
        costs.append(f"answers a request in {duration(ship.request_seconds)}")
    why = "" if ship is best else ", the cheapest within the noise of the best"
    return f"Ship {ship.label}{why}: it {listed(costs)}."
