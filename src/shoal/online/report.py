"""Makes the report of an experiment: click-through by variant, how sure that is, and guards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shoal.events import EventStore
from shoal.events.checks import checked_bound
from shoal.kernels.arrays import Double
from shoal.online.conclusions import conclusion, notes_of
from shoal.online.counting import Counts, count
from shoal.online.definition import Experiment
from shoal.online.guards import expected_distinct, mean_popularity
from shoal.online.mismatch import LEVEL, mismatch_p
from shoal.online.results import (
    Difference,
    Guard,
    LeftOut,
    OnlineReport,
    SampleRatio,
    VariantReport,
    Verdict,
)
from shoal.online.sequence import (
    ALPHA,
    LEAST_USERS,
    ClickSums,
    difference_interval,
    rate_interval,
)


def report(
    store: EventStore,
    experiment: Experiment,
    *,
    training_users: Mapping[str, int] | None = None,
    since: Any = None,
    until: Any = None,
) -> OnlineReport:
    """Report what an experiment has shown so far.

    Parameters
    ----------
    store : EventStore
        The lists that were shown and the clicks in them, with the experiment's name.
    experiment : Experiment
    training_users : mapping of item to int, optional
        Training users of each item by its id as text (`training_users_of`), for the guard of
        popularity.
    since, until : float, datetime or ISO date, optional
        Lists that were shown with since ≤ time < until. Fix a window before the first look: one
        that is chosen for its numbers makes any interval wrong.

    Returns
    -------
    OnlineReport

    Raises
    ------
    EventError
        A time that is none.
    EventsUnavailable
        The database cannot be read.
    """
    decisions = store.promotions(experiment.name)
    lists = store.experiment_lists(experiment.name, experiment.success, since=since, until=until)
    counts = count(lists, experiment, decisions)
    variants = _variants(experiment, counts, training_users)
    ratio = _sample_ratio(experiment, counts)
    promoted = decisions[-1].variant if decisions else None
    window = (checked_bound(since, "since"), checked_bound(until, "until"))
    others = {} if counts.first is not None else store.experiment_counts()
    return OnlineReport(
        experiment.name, experiment.success, experiment.control, promoted, *window,
        counts.first, counts.last, ALPHA, LEAST_USERS, variants, ratio,
        LeftOut(
            counts.without_user, counts.while_promoted, counts.of_another_variant,
            counts.unknown_variants, counts.clicks_not_shown,
        ),
        conclusion(variants, ratio, promoted),
        notes_of(experiment, counts, variants, others, window),
    )  # fmt: skip


def _variants(
    experiment: Experiment, counts: Counts, training_users: Mapping[str, int] | None
) -> tuple[VariantReport, ...]:
    fewest = _fewest_impressions(counts)
    users = _users_of_items(counts, training_users)
    coverage: dict[str, float | None] = {}
    popularity: dict[str, float | None] = {}
    for name in experiment.variants:
        shown = counts.shown(name)
        has_enough = 0 < fewest <= counts.variants[name].sums.impressions
        coverage[name] = expected_distinct(shown, fewest) if has_enough else None
        popularity[name] = None if users is None else mean_popularity(shown, users)
    n_others = max(1, len(experiment.variants) - 1)
    reports = []
    for name, variant in experiment.variants.items():
        counted, is_control = counts.variants[name], name == experiment.control
        difference: Difference | None = None
        guards: tuple[Guard, ...] = ()
        if not is_control:
            difference = _difference(counts, name, experiment.control, ALPHA / n_others)
            guards = _guards(experiment, name, coverage, popularity, counts, users is not None)
        chosen = {"model": variant.model, "version": variant.version}
        settings = variant.settings | {k: v for k, v in chosen.items() if v is not None}
        reports.append(
            VariantReport(
                name, variant.share, settings, is_control, counted.sums.users, counted.lists,
                counted.sums.impressions, counted.sums.clicks, _rate(counted.sums),
                rate_interval(counted.sums), difference, coverage[name], popularity[name], guards,
            )
        )  # fmt: skip
    return tuple(reports)


def _fewest_impressions(counts: Counts) -> int:
    """The number of impressions in which distinct items are counted for all variants.

    A variant of few users is left out where others have enough: in its few impressions all items
    are distinct, so that the coverage of the others would be compared in nothing.
    """
    sums = [variant.sums for variant in counts.variants.values()]
    enough = [each for each in sums if each.users >= LEAST_USERS]
    return min(int(each.impressions) for each in enough or sums)


def _users_of_items(counts: Counts, training_users: Mapping[str, int] | None) -> Double | None:
    """Training users of the items in the order of `counts.items`, NaN for those not known."""
    if training_users is None:
        return None
    known = (training_users.get(item, np.nan) for item in counts.items)
    return np.fromiter(known, np.float64, len(counts.items))


def _difference(counts: Counts, name: str, control: str, alpha: float) -> Difference:
    variant, other = counts.variants[name].sums, counts.variants[control].sums
    rate, others = _rate(variant), _rate(other)
    value = rate - others if rate is not None and others is not None else None
    relative = value / others if value is not None and others else None
    interval = difference_interval(variant, other, alpha)
    verdict: Verdict = "not known yet"
    if interval is None:
        verdict = "too few users"
    elif interval.low > 0:
        verdict = "better"
    elif interval.high < 0:
        verdict = "worse"
    return Difference(value, relative, interval, verdict)


def _rate(sums: ClickSums) -> float | None:
    return float(sums.rate) if sums.impressions else None


def _guards(
    experiment: Experiment,
    name: str,
    coverage: Mapping[str, float | None],
    popularity: Mapping[str, float | None],
    counts: Counts,
    with_model: bool,
) -> tuple[Guard, ...]:
    few = min(counts.variants[v].sums.users for v in (name, experiment.control)) < LEAST_USERS
    guards = []
    for kind, values, limit in (
        ("coverage", coverage, experiment.guards.coverage),
        ("popularity", popularity, experiment.guards.popularity),
    ):
        if limit is None:
            continue
        value, control = values[name], values[experiment.control]
        ratio = value / control if value is not None and control else None
        why, passed = "", None
        if kind == "popularity" and not with_model:
            why = "no model was named to count training users"
        elif few:
            why = f"fewer than {LEAST_USERS} users"
        elif ratio is None:
            why = "the model knows none of the items that were shown"
        else:
            passed = ratio >= limit if kind == "coverage" else ratio <= limit
        guards.append(Guard(kind, value, control, ratio, limit, passed, why))
    return tuple(guards)


def _sample_ratio(experiment: Experiment, counts: Counts) -> SampleRatio:
    users = {name: int(counts.variants[name].sums.users) for name in experiment.variants}
    total = sum(users.values())
    p = mismatch_p(list(users.values()), list(experiment.shares.values()))
    expected = {name: total * share for name, share in experiment.shares.items()}
    return SampleRatio(p, LEVEL, p < LEVEL, expected)
