"""Search on the most popular items first, and confirm the best few settings on the whole catalogue.

A fit that makes a matrix of all items by all items grows with the square or the cube of their
number, so a search on a part of the catalogue is many times cheaper. Which part, and why from
`THRESHOLD` items on, was measured (benchmarks/tuning): the most popular m items rank settings as
the whole does far better than as many items drawn evenly over all popularities, since most of what
is held out lies among them.

With β > 0 a ridge has to be scaled. A history of d items weighs d^−β, and it is shorter in the
part, so it weighs more there. B depends on ridge / XᵀDX only, D = diag(d^−β). So a ridge λ that was
good in the part is λ · r(β) on the whole, where r(β) ≤ 1 is the mean diagonal of the whole's XᵀDX
over the part's items, divided by that of the part's.

The scores on the part are kept as trials that were stopped early, since they are no scores of the
whole catalogue: those of the whole alone decide.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from shoal.base.closed_form import ClosedForm
from shoal.base.common_inverse import OUTER, CommonInverse
from shoal.base.low_pass import LeadingVectors
from shoal.base.ranges import Choices, Range
from shoal.data.interactions import Interactions
from shoal.errors import ModelError
from shoal.experiments.plan import seconds_of_work
from shoal.experiments.side_by_side import SideBySide
from shoal.experiments.speeds import Speeds
from shoal.experiments.tuning.closed_form import can_share, largest_rank
from shoal.experiments.tuning.inner_scores import inner_scores
from shoal.experiments.tuning.inverse_trials import leading_vectors
from shoal.experiments.tuning.machines import in_tasks, machines_of
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.proposals import Clock, Proposal, Proposals, dropping
from shoal.experiments.tuning.trials import COMPLETE, FAILED, PRUNED, Trial
from shoal.kernels.arrays import Double, Long
from shoal.splitting.held_out import HeldOut, pair_with_targets

THRESHOLD = 8_000  # items, from which a part is searched first
ITEMS = 4_000  # items of the part
USERS = 5_000  # validation users of the part, at most
CONFIRMED = 4  # best settings that are fitted to the whole, besides the defaults
PER_INVERSE = 6  # of settings that share an inverse, as many are confirmed with it


@dataclass(frozen=True)
class Part:
    """The most popular items of a problem's log, as a problem of its own.

    Parameters
    ----------
    problem : Problem
        The same search over these items.
    whole : Problem
        The one that they are a part of.
    chosen : (m,) integers
        Their column numbers there.
    """

    problem: Problem
    whole: Problem
    chosen: Long
    _scales: dict[float, float] = field(default_factory=dict, repr=False)  # r(β) by β

    @staticmethod
    def of(problem: Problem, n_items: int) -> Part:
        """Take the `n_items` most popular items of a log, and the users that have any of them."""
        by_popularity = np.argsort(-problem.train.item_counts, kind="stable")
        return Part.of_items(problem, by_popularity[:n_items].astype(np.int64))

    @staticmethod
    def of_items(problem: Problem, items: Long) -> Part:
        """Take some items by their column numbers, and the users that have any of them."""
        chosen = np.sort(items)
        few = _onto(problem.train, chosen)
        few = few.take_users(np.flatnonzero(np.diff(few.indptr)))
        validation = _validation(problem.validation, few, chosen)
        return Part(replace(problem, train=few, validation=validation), problem, chosen)

    def for_model(self, problem: Problem) -> Part:
        """The same part for another problem on the same data."""
        few = self.problem
        part = replace(problem, train=few.train, validation=few.validation)
        return replace(self, problem=part, whole=problem)

    def study_of(self, name: str) -> str:
        """Name of the study of this part, for that of the whole."""
        return f"{name}, {len(self.chosen):,} most popular items"

    def note(self, trials: Sequence[Trial]) -> str:
        """What one should know about a search that began with this part."""
        fits = {_fit_of(self.whole, trial.settings) for trial in trials if trial.state == COMPLETE}
        return (
            f"settings were searched on the {len(self.chosen):,} most popular of "
            f"{self.whole.train.n_items:,} items; {len(fits)} fits of the whole then decided, of "
            "the best settings and of the defaults"
        )

    def scale(self, beta: float) -> float:
        """r(β): the diagonal of XᵀDX of the whole, over these items, in multiples of the part's."""
        if beta not in self._scales:
            of_whole = _damped_counts(self.whole.train, beta)[self.chosen].mean()
            of_part = _damped_counts(self.problem.train, beta).mean()
            self._scales[beta] = float(of_whole / of_part) if beta else 1.0
        return self._scales[beta]

    def for_whole(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings of the part as they are for the whole: ridges are multiplied by r(β).

        What then lies outside of the whole's space is moved to its nearest end or choice.
        """
        scale = self.scale(float(settings.get("beta", 0.0)))
        moved = dict(settings)
        for name in self.problem.kind.ridges:
            if name not in self.whole.fixed:
                moved[name] = _nearest(self.whole.space.get(name), settings[name] * scale)
        return moved

    def as_stopped(self, trials: Sequence[Trial]) -> tuple[Trial, ...]:
        """Trials of the part as those of the whole, where they count as stopped early."""
        where = f", on the {len(self.chosen):,} most popular items"
        return tuple(
            replace(
                trial,
                settings=self.for_whole(trial.settings),
                state=PRUNED if trial.state == COMPLETE else trial.state,
                source=trial.source + where,
            )
            for trial in trials
        )


def _nearest(values: Range | Choices | None, wanted: float) -> float:
    """The value of a space that is nearest to a ridge."""
    if isinstance(values, Choices):
        return min(values.values, key=lambda value: abs(math.log(max(value, 1e-9) / wanted)))
    return float(f"{wanted:.3g}") if values is None else values.near(wanted)


def _onto(log: Interactions, chosen: Long) -> Interactions:
    table = None if log.item_table is None else log.item_table[chosen]
    return log.onto_items(log.items.subset(chosen), table)


def _validation(whole: HeldOut, train: Interactions, chosen: Long) -> HeldOut:
    """The validation users who have a history and a target among these items, or some of them."""
    history, target = _onto(whole.history, chosen), _onto(whole.target, chosen)
    pairs = pair_with_targets(history, target, train.item_counts, whole.name)
    if pairs.n_users > USERS:
        drawn = np.random.default_rng(0).choice(pairs.n_users, USERS, replace=False)
        pairs = replace(
            pairs, history=pairs.history.take_users(drawn), target=pairs.target.take_users(drawn)
        )
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


def pays(problem: Problem) -> bool:
    """Whether a part is searched first: the catalogue is large, and a fit makes an n × n matrix."""
    n = problem.train.n_items
    if problem.kind.trained or n < THRESHOLD:
        return False
    work = problem.kind(**problem.fixed).work_to_fit(problem.train.size, _pairs(problem.train))
    return work.get("inverse", 0) >= n**3 or work.get("value", 0) >= n**2


def minutes_of_part(problem: Problem, minutes: float | None) -> float | None:
    """How long the part may be searched, so that the best are confirmed within the budget.

    That is what the fits of the whole leave, by an estimate of their duration; a tenth of the
    minutes at least, and half of them at most.
    """
    if minutes is None:
        return None
    model, log = problem.kind(**problem.fixed), problem.train
    speeds = Speeds(log.size, problem.run.threads)
    seconds = seconds_of_work(model.work_to_fit(log.size, _pairs(log)), log.size, speeds)
    left = minutes - (CONFIRMED + 1) * seconds / 60
    return min(max(left, minutes / 10), minutes / 2)


def _pairs(log: Interactions) -> float:
    return float((np.diff(log.indptr).astype(np.float64) ** 2).sum())


# -- confirming on the whole -----------------------------------------------------------------

Group = list[dict[str, Any]]  # settings that need one fit together


def to_confirm(problem: Problem, trials: Sequence[Trial], fits: int = CONFIRMED) -> list[Group]:
    """What to fit to the whole: the best settings of a search on a part, and the defaults.

    Parameters
    ----------
    problem : Problem
        On the whole.
    trials : sequence of Trial
        Of the part, as `Part.as_stopped` gives them.
    fits : int
        So many groups of the best; up to `PER_INVERSE` settings of a closed form that share an
        inverse are one group.

    Returns
    -------
    list of list of dict
        The best group, the one with the defaults, then the others; the defaults may be in the
        best.
    """
    most = PER_INVERSE if can_share(problem) else 1
    groups: dict[str, Group] = {}
    scored = [trial for trial in trials if math.isfinite(trial.score)]
    for trial in sorted(scored, key=lambda trial: -trial.score):
        key = _fit_of(problem, trial.settings)
        if key not in groups and len(groups) == fits:
            continue
        group = groups.setdefault(key, [])
        if len(group) < most and trial.settings not in group:
            group.append(trial.settings)
    defaults = problem.all_settings(problem.fixed)
    key = _fit_of(problem, defaults)
    is_best = next(iter(groups), key) == key
    with_defaults = groups.pop(key, [])
    if defaults not in with_defaults:
        with_defaults.append(defaults)
    ordered = list(groups.values())
    ordered.insert(0 if is_best else 1, with_defaults)
    return ordered


def _fit_of(problem: Problem, settings: Mapping[str, Any]) -> str:
    """The same for settings that need one fit together."""
    names = OUTER if can_share(problem) else problem.kind.model_fields
    return repr([settings.get(name) for name in names])


def as_proposals(problem: Problem, groups: Sequence[Group]) -> tuple[Proposal, ...]:
    """The fits of the whole, as the proposals that are required of the search there."""
    defaults = problem.all_settings(problem.fixed)
    return tuple(
        Proposal(group[0], "default" if group[0] == defaults else "confirmed") for group in groups
    )


def confirm(problem: Problem, proposals: Proposals, groups: Sequence[Group], clock: Clock) -> None:
    """Fit the groups to the whole in turn and tell what came of them.

    Parameters
    ----------
    problem : Problem
        On the whole.
    proposals : Proposals
        Those of `as_proposals`, and no others.
    groups : sequence of Group
    clock : Clock
        When it is over, only the first two are fitted.
    """
    label = f"tuning {problem.kind.name}: confirming on all {problem.train.n_items:,} items"
    asked = {proposals.question.key(group[0]): group for group in groups}
    in_any_case = [proposals.question.key(group[0]) for group in groups[:2]]
    executor, needs = machines_of(problem)
    work = SideBySide[Proposal](executor, needs)
    with (
        problem.run.progress.step(label, len(groups)) as step,
        work,
        dropping(lambda: [(proposals, proposal) for proposal in work.under_way]),
    ):
        common = work.put(in_tasks([problem]))
        vectors: Any = LeadingVectors(problem.train, problem.run, largest_rank(problem))
        if executor is not None:
            vectors = executor.submit(leading_vectors, common, largest_rank(problem), needs=needs)
        left = True
        while True:
            while left and work.has_room and (proposal := proposals.ask(only_required=True)):
                key = proposals.question.key(proposal.settings)
                if clock.over and key not in in_any_case:
                    proposals.drop(proposal)
                    left = False
                else:
                    work.begin(proposal, on_the_whole, common, vectors, asked[key])
            if not work:
                return
            proposal, trials = work.ended()
            proposals.tell(proposal, trials)
            step.advance()
            step.note(f"{problem.metric} {max(trial.score for trial in trials):.4f}")


def on_the_whole(problems: Sequence[Problem], vectors: LeadingVectors, group: Group) -> list[Trial]:
    """The trials of settings that need one fit of the whole, which is the first of `problems`."""
    problem = problems[0]
    defaults = problem.all_settings(problem.fixed)
    sources = ["default" if settings == defaults else "confirmed" for settings in group]
    model = problem.kind(**group[0])
    if not (isinstance(model, ClosedForm) and can_share(problem) and problem.run.executor is None):
        return [problem.fit_and_score(s, source) for s, source in zip(group, sources, strict=True)]
    began, state = time.perf_counter(), COMPLETE
    try:
        inverse = CommonInverse.of(model, problem.train, problem.run, vectors)
        scores = inner_scores(inverse, [problem] * len(group), group, {})
    except ModelError:  # a matrix that cannot be inverted
        scores, state = [-math.inf] * len(group), FAILED
    seconds = (time.perf_counter() - began) / len(group)
    return [
        Trial(settings, score, seconds, state, source)
        for settings, score, source in zip(group, scores, sources, strict=True)
    ]
