"""The search of the closed-form family: one inverse serves many settings, and several models.

The search has two levels. A sampler proposes λ, p and β, each of which needs an inverse P. From P
all other settings (α, ξ) are evaluated at the price of a ranking: a grid first, then the points
around the best with half of its steps, and again with half of those. The sampler learns from the
best score that an inverse gave.

A P with p = 0 serves LAE, EASE and RLAE, one with p > 0 DLAE, EDLAE and RDLAE, which also look at
those with p = 0, as their special cases. Where several of these models are searched, each proposes
inverses in turn, and every one looks at all that it can use.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shoal.base.closed_form import ClosedForm
from shoal.base.common_inverse import OUTER, CommonInverse
from shoal.base.ranges import Choices, Range, Space, declared
from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.experiments.tuning.inner_scores import inner_scores
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.proposals import Clock, Proposal, Proposals
from shoal.experiments.tuning.special_cases import source_of, special_cases
from shoal.experiments.tuning.trials import COMPLETE, FAILED, Trial
from shoal.models.registry import by_name

# points of the first grid, for one inner hyper-parameter and for two or more
POINTS = {1: 9, 2: 6}
REFINEMENTS = 2  # how often the steps around the best point are halved


def can_share(problem: Problem) -> bool:
    """Whether settings of a problem can share inverses."""
    return can_share_settings(problem.kind, problem.fixed, problem.space)


def can_share_settings(
    kind: type[Recommender], fixed: Mapping[str, Any], space: Mapping[str, Any] | None
) -> bool:
    """Whether settings of a model can share inverses.

    That needs a model whose weights are B of the formula, with nothing done to them afterwards.
    """
    if not issubclass(kind, ClosedForm):
        return False
    if kind.fit_grid.__func__ is not ClosedForm.fit_grid.__func__:  # type: ignore[attr-defined]
        return False
    names = set(declared(kind) if space is None else space) - set(OUTER)
    return kind(**fixed).can_share_inverse and all(
        kind.model_fields[name].annotation is float for name in names
    )


def outer(space: Space) -> Space:
    """The part of a space that needs an inverse for each value."""
    return {name: values for name, values in space.items() if name in OUTER}


@dataclass(frozen=True)
class Member:
    """One model of a search, and where its proposals are from."""

    problem: Problem
    proposals: Proposals

    def settings_for(self, outer_settings: Mapping[str, float]) -> dict[str, Any] | None:
        """Its own λ, p and β for those of an inverse; None if it cannot use that inverse."""
        kind = self.problem.kind
        own = {n: v for n, v in outer_settings.items() if n in kind.model_fields}
        if any(v for n, v in outer_settings.items() if n not in own):
            return None  # an inverse with dropout, for a model without
        settings = {**self.problem.fixed, **own}
        return settings if self.problem.admits(settings) else None

    def source_for(self, settings: Mapping[str, Any]) -> str:
        """Why it looks at an inverse that another model proposed."""
        if self.proposals.question.is_drawable(settings):
            return "drawn"
        names = self._special_cases_with(settings)
        return source_of(", ".join(names)) if names else "drawn"

    def _special_cases_with(self, settings: Mapping[str, Any]) -> list[str]:
        cases = special_cases(self.problem.kind)
        return [
            name
            for name, case in cases.items()
            if "dropout" in case and settings.get("dropout") == case["dropout"]
        ]


def share_inverses(members: Sequence[Member], clock: Clock) -> None:
    """Search several models of the family together, until each has enough or the clock is over.

    Parameters
    ----------
    members : sequence of Member
        With the same data, metric and run.
    clock : Clock
    """
    progress = members[0].problem.run.progress
    names = ", ".join(member.problem.kind.name for member in members)
    most = members[0].proposals.question.most
    with progress.step(f"tuning {names}", None if most is None else most * len(members)) as step:
        waiting = list(members)
        while waiting:
            for member in list(waiting):
                proposal = member.proposals.ask(only_required=clock.over)
                if proposal is None:
                    waiting.remove(member)
                    continue
                with member.proposals.trying(proposal):
                    best = _try(member, proposal, members)
                step.advance()
                step.note(f"{member.problem.metric} {best:.4f}")


def _try(asking: Member, proposal: Proposal, members: Sequence[Member]) -> float:
    """Make the inverse of a proposal and tell all members what it gave; the best score."""
    began = time.perf_counter()
    model = asking.problem.kind(**proposal.settings)
    assert isinstance(model, ClosedForm)
    wanted = {name: float(getattr(model, name, 0.0)) for name in OUTER}
    try:
        inverse = CommonInverse.of(model, asking.problem.train, asking.problem.run)
    except ModelError:  # a matrix that cannot be inverted
        seconds = time.perf_counter() - began
        settings = asking.problem.all_settings(proposal.settings)
        trial = Trial(settings, float("-inf"), seconds, FAILED, proposal.source)
        asking.proposals.tell(proposal, [trial])
        return trial.score
    served: list[tuple[Member, dict[str, Any]]] = [(asking, dict(proposal.settings))]
    for member in members:
        own = None if member is asking else member.settings_for(wanted)
        if own is not None and not member.proposals.has(own):
            served.append((member, own))
    of_inverse = (time.perf_counter() - began) / len(served)
    found = _inner_searches(inverse, served, proposal.source, of_inverse)
    for (member, settings), trials in zip(served, found, strict=True):
        if member is asking:
            member.proposals.tell(proposal, trials)
        else:
            member.proposals.add(settings, trials)
    return max(trial.score for trials in found for trial in trials)


def _inner_searches(
    inverse: CommonInverse | None,
    served: Sequence[tuple[Member, dict[str, Any]]],
    source: str,
    seconds_of_inverse: float,
) -> list[list[Trial]]:
    """Evaluate inner settings of each member with one inverse, round by round, all together."""
    inner = [Inner(member.problem, settings) for member, settings in served]
    found: list[list[Trial]] = [[] for _ in served]
    known: dict[bytes, float] = {}
    for _ in range(1 + REFINEMENTS):
        began = time.perf_counter()
        asked = [(number, point) for number, one in enumerate(inner) for point in one.next_points()]
        if not asked:
            break
        settings = [{**served[number][1], **point} for number, point in asked]
        problems = [served[number][0].problem for number, _ in asked]
        scores = inner_scores(inverse, problems, settings, known)
        each = (time.perf_counter() - began) / len(asked)
        for (number, point), one, score in zip(asked, settings, scores, strict=True):
            member = served[number][0]
            first = not found[number]
            why = source if number == 0 else member.source_for(one)
            inner[number].learn(point, score)
            found[number].append(
                Trial(
                    member.problem.all_settings(one),
                    score,
                    each + (seconds_of_inverse if first else 0.0),
                    COMPLETE,
                    why,
                )
            )
    return found


class Inner:
    """The points of one model's inner search, for one inverse.

    Parameters
    ----------
    problem : Problem
    outer_settings : mapping
        λ, p and β of the inverse, and all that is fixed.
    """

    def __init__(self, problem: Problem, outer_settings: Mapping[str, Any]) -> None:
        self._problem = problem
        self._ranges = {n: v for n, v in problem.space.items() if n not in OUTER}
        self._scores: dict[tuple[float, ...], float] = {}
        self._defaults = problem.all_settings(outer_settings)
        count = POINTS.get(len(self._ranges), POINTS[2])
        self._grids = {n: _grid(v, count) for n, v in self._ranges.items()}
        self._steps = {
            n: max((b - a for a, b in itertools.pairwise(g)), default=0.0)
            for n, g in self._grids.items()
        }

    def next_points(self) -> list[dict[str, float]]:
        """The points of the next round that are not known yet."""
        if not self._ranges:
            return [] if self._scores else [{}]
        points = list(self._first() if not self._scores else self._around_best())
        new = dict.fromkeys(tuple(float(p[n]) for n in self._ranges) for p in points)
        return [dict(zip(self._ranges, p, strict=True)) for p in new if p not in self._scores]

    def learn(self, point: Mapping[str, float], score: float) -> None:
        """Keep the score of a point."""
        self._scores[tuple(float(point[n]) for n in self._ranges)] = score

    def _first(self) -> Iterator[dict[str, float]]:
        """The grid, the defaults, and the edges that are special cases."""
        yield {n: self._defaults[n] for n in self._ranges}
        for case in self._edges():
            yield {n: self._defaults[n] for n in self._ranges} | case
        for values in itertools.product(*self._grids.values()):
            yield dict(zip(self._grids, values, strict=True))

    def _edges(self) -> Iterator[dict[str, float]]:
        """Values of inner hyper-parameters with which the model is another one."""
        for name, case in special_cases(self._problem.kind).items():
            within = {n: float(v) for n, v in case.items() if n in self._ranges}
            outside = {n: v for n, v in case.items() if n not in self._ranges}
            is_of_inverse = all(self._defaults[n] == v for n, v in outside.items())
            settings = {**self._defaults, **within}
            if within and is_of_inverse and self._problem.admits(settings):
                alphas = self._grids.get("alpha", [])
                default = by_name(name).model_fields["alpha"].default if alphas else 0.0
                for alpha in dict.fromkeys([default, *alphas]):
                    yield {**within, "alpha": alpha} if alphas else within

    def _around_best(self) -> Iterator[dict[str, float]]:
        """The neighbours of the best point, with half of the steps of the round before."""
        best = max(self._scores, key=lambda point: self._scores[point])
        self._steps = {n: step / 2 for n, step in self._steps.items()}
        sides = []
        for (name, values), middle in zip(self._ranges.items(), best, strict=True):
            step = self._steps[name]
            if isinstance(values, Choices) or step == 0:
                sides.append([middle])
                continue
            near = (middle - step, middle, middle + step)
            sides.append([round(v, 4) for v in near if values.low <= v <= values.high])
        for values_of in itertools.product(*sides):
            yield dict(zip(self._ranges, values_of, strict=True))


def _grid(values: Range | Choices, count: int) -> list[float]:
    """The values of one hyper-parameter in the first grid, ascending."""
    if isinstance(values, Choices):
        return sorted(float(v) for v in values.values)
    return sorted({float(values.at(i / (count - 1))) for i in range(count)})
