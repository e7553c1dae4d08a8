"""Search on the most popular items first, and confirm the best few settings on the whole catalogue.

The cost of a closed form grows with the square or the cube of the number of items, so a search on
a part of the catalogue is many times cheaper. Which part, and why from `THRESHOLD` items on, was
measured (benchmarks/tuning): the most popular m items rank settings as the whole does far better
than as many items drawn evenly over all popularities, since most of what is held out lies among
them.

With β > 0 a ridge has to be scaled. A history of d items weighs d^−β, and it is shorter in the
part, so XᵀDX is smaller there than the same block of the whole's. B depends on ridge / XᵀDX only.
So a setting that is tried with the ridge λ on the whole is tried in the part with λ / r(β), where
r(β) is the mean diagonal of the whole's XᵀDX over the part's items, divided by that of the part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shoal.base.closed_form import ClosedForm
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.experiments.plan import seconds_of_work
from shoal.experiments.speeds import Speeds
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.trials import PRUNED, Trial
from shoal.kernels.arrays import Double, Long
from shoal.splitting.held_out import HeldOut, pair_with_targets

THRESHOLD = 8_000  # items, from which a part is searched first
ITEMS = 4_000  # items of the part
WORTH = 5  # how many times longer a fit of the whole must take
CONFIRMED = 4  # best settings that are fitted to the whole, besides the defaults
PER_INVERSE = 6  # of settings that share an inverse, as many are confirmed with it


@dataclass(frozen=True)
class Part:
    """The most popular items of a problem's log, as a problem of its own.

    Parameters
    ----------
    problem : Problem
        The same search over these items.
    whole : Interactions
        The log that they are a part of.
    chosen : (m,) integers
        Their column numbers there.
    """

    problem: Problem
    whole: Interactions
    chosen: Long

    @staticmethod
    def of(problem: Problem, n_items: int = ITEMS) -> Part:
        """Take the `n_items` most popular items of a log, and the users that have any of them."""
        train, validation = problem.train, problem.validation
        by_popularity = np.argsort(-train.item_counts, kind="stable")
        chosen = np.sort(by_popularity[:n_items]).astype(np.int64)
        few = _onto(train, chosen)
        few = few.take_users(np.flatnonzero(np.diff(few.indptr)))
        part = replace(problem, train=few, validation=_validation(validation, few, chosen))
        return Part(part, train, chosen)

    def scale(self, beta: float) -> float:
        """r(β): how many times larger the diagonal of XᵀDX is in the whole, over these items."""
        if not beta:
            return 1.0
        of_whole = _damped_counts(self.whole, beta)[self.chosen]
        return float(of_whole.mean() / _damped_counts(self.problem.train, beta).mean())

    def for_part(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings for the whole as they are fitted to the part: ridges are divided by r(β)."""
        model = self.problem.kind(**settings)
        scale = self.scale(float(getattr(model, "beta", 0.0)))
        return dict(settings) | {n: getattr(model, n) / scale for n in model.ridges}

    def fit_and_score(self, settings: Mapping[str, Any], source: str = "drawn") -> Trial:
        """Fit settings that are meant for the whole to the part.

        The trial has the settings for the whole, and never counts as complete: its score is one
        among fewer items.
        """
        tried = self.problem.fit_and_score(self.for_part(settings), source)
        return self.as_tried(settings, tried)

    def as_tried(self, settings: Mapping[str, Any], tried: Trial) -> Trial:
        """A trial on the part, as one of the search on the whole."""
        given = self.problem.all_settings(settings)
        where = f"{tried.source}, on the {len(self.chosen):,} most popular items"
        return replace(tried, settings=given, state=PRUNED, source=where)


def _onto(log: Interactions, chosen: Long) -> Interactions:
    table = None if log.item_table is None else log.item_table[chosen]
    return log.onto_items(log.items.subset(chosen), table)


def _validation(whole: HeldOut, train: Interactions, chosen: Long) -> HeldOut:
    """The validation users who have a history and a target among these items."""
    history, target = _onto(whole.history, chosen), _onto(whole.target, chosen)
    pairs = pair_with_targets(history, target, train.item_counts, whole.name)
    candidates = None if whole.candidates is None else whole.candidates[chosen]
    return replace(pairs, candidates=candidates)


def _damped_counts(log: Interactions, beta: float) -> Double:
    """The diagonal of Xᵀ diag(d^−β) X, d the lengths of the histories."""
    lengths = np.diff(log.indptr)
    weights = np.maximum(lengths, 1.0) ** -beta
    _, indices, values = log.arrays
    squares = np.repeat(weights, lengths) * values.astype(np.float64) ** 2
    return np.bincount(indices, squares, minlength=log.n_items).astype(np.float64)


# -- whether it pays, and for how long to search ---------------------------------------------


def seconds_of_fit(model: Recommender, log: Interactions, speeds: Speeds) -> float:
    """How long a fit takes on this machine, by the model's own count of its work."""
    n_pairs = float((np.diff(log.indptr).astype(np.float64) ** 2).sum())
    return seconds_of_work(model.work_to_fit(log.size, n_pairs), log.size, speeds)


@dataclass(frozen=True)
class TwoStages:
    """A search in two stages: on a part of the catalogue, then on the whole.

    Parameters
    ----------
    part : Part
    whole_seconds, part_seconds : float
        Estimated duration of one fit.
    """

    part: Part
    whole_seconds: float
    part_seconds: float

    @staticmethod
    def if_worth_it(problem: Problem) -> TwoStages | None:
        """Two stages, where a fit of the whole takes much longer than one of a part; else None."""
        if problem.kind.trained or problem.train.n_items < THRESHOLD:
            return None
        model = problem.kind(**problem.fixed)
        part = Part.of(problem)
        speeds = Speeds(problem.train.size, problem.run.threads)
        whole = seconds_of_fit(model, problem.train, speeds)
        few = seconds_of_fit(model, part.problem.train, speeds)
        return TwoStages(part, whole, few) if whole >= WORTH * few else None

    def confirmed_within(self, minutes: float | None) -> int:
        """How many of the best are confirmed, if half of these minutes may go into that.

        The defaults are fitted to the whole as well; of the best at least one always is.
        """
        if minutes is None:
            return CONFIRMED
        affordable = math.floor(60 * minutes / 2 / max(self.whole_seconds, 1e-3)) - 1
        return min(CONFIRMED, max(1, affordable))

    def minutes_of_search(self, minutes: float | None) -> float | None:
        """How long the part may be searched, so that the best are confirmed within the budget."""
        if minutes is None:
            return None
        reserved = (self.confirmed_within(minutes) + 1) * self.whole_seconds / 60
        return max(minutes - reserved, 0.1 * minutes)


def to_confirm(
    kind: type[Recommender], trials: tuple[Trial, ...], fits: int = CONFIRMED
) -> list[dict[str, Any]]:
    """The best settings of a search on a part, of which `fits` need a fit of their own.

    Of a closed form up to `PER_INVERSE` settings that share an inverse are confirmed with it.
    """
    groups: dict[Any, list[dict[str, Any]]] = {}
    scored = [trial for trial in trials if math.isfinite(trial.score)]
    for trial in sorted(scored, key=lambda trial: -trial.score):
        key = _inverse_of(kind, trial.settings)
        if key not in groups and len(groups) == fits:
            continue
        if len(group := groups.setdefault(key, [])) < PER_INVERSE and trial.settings not in group:
            group.append(trial.settings)
    return [settings for group in groups.values() for settings in group]


def _inverse_of(kind: type[Recommender], settings: Mapping[str, Any]) -> Any:
    """What settings have in common that share an inverse; all of them, where nothing is shared."""
    if issubclass(kind, ClosedForm):
        return tuple(settings.get(name) for name in ("l2", "dropout", "beta"))
    return tuple(sorted((name, repr(value)) for name, value in settings.items()))
