"""Does depth pay here? The best linear model against the best deep one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from shoal.evaluation.significance import Paired
from shoal.experiments.comparison.entry import CHANCE, Entry
from shoal.experiments.comparison.users import paired_over_seeds
from shoal.experiments.comparison.words import about, difference, p_value, price, signed
from shoal.run import duration

MATTERS = 0.01  # share of the linear model's value from which on a difference matters
POWER = 0.8  # probability with which the users that are asked for would show it


@dataclass(frozen=True)
class Depth:
    """The answer to whether depth pays.

    Parameters
    ----------
    text : str
        The answer in words.
    linear, deep : str or None
        Labels of the best linear and the best deep model.
    test : Paired or None
        Paired test of the deep model's values minus the linear one's.
    p : float or None
        Its p-value; corrected by Holm's method where one of the two is the best of all models, as
        in the table.
    pays : bool or None
        None if it is undecided or was not asked.
    """

    text: str
    linear: str | None = None
    deep: str | None = None
    test: Paired | None = None
    p: float | None = None
    pays: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        test = {} if self.test is None else self.test.to_dict()
        return {
            "asked": self.linear is not None and self.deep is not None,
            "linear": self.linear,
            "deep": self.deep,
            "difference": test.get("difference"),
            "ci95": test.get("ci95"),
            "p": self.p,
            "pays": self.pays,
            "text": self.text,
        }


def does_depth_pay(entries: Sequence[Entry], metric: str) -> Depth:
    """Compare the best linear with the best deep model.

    Depth pays if the deep model is significantly better. It does not pay if it is significantly
    worse, or if a difference of `MATTERS` in its favour lies outside the 95 % interval and it takes
    longer to fit. If it does not take longer, it pays by its price, unless such a difference to its
    disadvantage lies inside. Else the question stays undecided.

    Parameters
    ----------
    entries : sequence of Entry
        Those of which `metric` counts some user, best first, with their tests against the best.
    metric : str
        The deciding metric.
    """
    linear = next((entry for entry in entries if entry.kind == "linear"), None)
    deep = next((entry for entry in entries if entry.kind == "deep"), None)
    if linear is None or deep is None:
        return _not_asked(linear, deep)
    if metric not in deep.evaluation.per_user:
        text = f"whether depth pays cannot be tested: {metric} has no values per user."
        return Depth(text, linear.label, deep.label)
    test = paired_over_seeds(deep.compared, linear.compared, metric)
    p = _corrected(deep, linear, test)
    pays, conclusion = _decided(deep, linear, test, p, metric)
    text = (
        f"best deep model: {_reached(deep, metric)}; best linear model: "
        f"{_reached(linear, metric)}: {conclusion}."
    )
    return Depth(text, linear.label, deep.label, test, p, pays)


def _not_asked(linear: Entry | None, deep: Entry | None) -> Depth:
    missing = " and no ".join(
        word for word, entry in (("deep", deep), ("linear", linear)) if entry is None
    )
    text = f"whether depth pays was not asked: no {missing} model was compared."
    return Depth(text, linear.label if linear else None, deep.label if deep else None)


def _corrected(deep: Entry, linear: Entry, test: Paired) -> float:
    """The p-value that the table shows for the two, where one of them is the best of all."""
    if deep.against_best is None and linear.p_adjusted is not None:
        return linear.p_adjusted
    if linear.against_best is None and deep.p_adjusted is not None:
        return deep.p_adjusted
    return test.p


def _reached(entry: Entry, metric: str) -> str:
    return f"{entry.label} {entry.scores[metric].mean:.4f} in {price(entry)}"


def _decided(
    deep: Entry, linear: Entry, test: Paired, p: float, metric: str
) -> tuple[bool | None, str]:
    """Whether depth pays, and the end of the sentence that says so."""
    found = f"{difference(test)}, {p_value(p)}"
    if p < CHANCE and test.difference > 0:
        return True, f"depth pays here, by {found}{_times(deep, linear)}"
    if p < CHANCE:
        return False, f"depth does not pay here ({found})"
    matters = MATTERS * abs(linear.scores[metric].mean)
    if not test.has_interval:
        return None, "undecided, since one user tells nothing of others"
    if test.high >= matters:
        needed = users_needed(test, matters)
        told = needed > test.n_users
        more = f"; about {about(needed)} users would be needed to see it" if told else ""
        return None, (
            f"undecided ({found}): a lead of {MATTERS:.0%} ({matters:.4f}) by depth is possible, "
            f"and {test.n_users:,} users do not show it{more}"
        )
    if deep.fit_seconds > linear.fit_seconds:
        return False, f"depth does not pay here: no difference that matters ({found}), and dearer"
    if test.low <= -matters:
        loss = signed(-test.low).lstrip("+")
        return None, f"undecided ({found}): depth is cheaper to fit, but up to {loss} worse"
    return True, f"depth pays here: no difference that matters ({found}), and cheaper to fit"


def _times(deep: Entry, linear: Entry) -> str:
    """How many times as long the deep model takes to fit, where that is longer."""
    if deep.fit_seconds <= linear.fit_seconds:
        return f", and fits no slower ({duration(deep.fit_seconds)})"
    times = deep.fit_seconds / max(linear.fit_seconds, 1e-3)
    return f", for {about(times)} times the time to fit" if times >= 1.5 else ""


def users_needed(test: Paired, matters: float) -> int:
    """How many users would show a true difference with a probability of 80 %, at p < 0.05.

    n = ((z₀.₉₇₅ + z₀.₈)·s / difference)², where s is the standard deviation of the differences of
    users, computed back from the interval.

    Parameters
    ----------
    test : Paired
    matters : float
        The difference to be seen.
    """
    if test.n_users < 2 or matters <= 0:
        return 0
    half = (test.high - test.low) / 2
    deviation = half / float(stats.t.ppf(0.975, test.n_users - 1)) * test.n_users**0.5
    z = float(stats.norm.ppf(0.975) + stats.norm.ppf(POWER))
    return math.ceil((z * deviation / matters) ** 2)
