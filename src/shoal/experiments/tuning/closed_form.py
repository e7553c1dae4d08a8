"""The search of the closed-form family: one inverse serves many settings, and several models.

The search has two levels. A sampler proposes λ, p and β, each of which needs an inverse P. From P
all other settings (α, ξ, and those of a low-pass filter, of which there is one SVD for the whole
search) are evaluated at the price of a ranking (`inner_points`). The sampler
learns from the best score that an inverse gave.

A P with p = 0 serves LAE, EASE and RLAE, one with p > 0 DLAE, EDLAE and RDLAE, which also look at
those with p = 0, as their special cases. Where several of these models are searched, each proposes
inverses in turn, and every one looks at all that it can use.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from shoal.base.closed_form import ClosedForm
from shoal.base.common_inverse import OUTER, CommonInverse
from shoal.base.low_pass import LeadingVectors
from shoal.base.ranges import Choices, declared
from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.experiments.tuning.inner_points import InnerPoints
from shoal.experiments.tuning.inner_scores import inner_scores
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.proposals import Clock, Proposal, Proposals
from shoal.experiments.tuning.special_cases import (
    defaults_of_special_cases,
    source_of,
    special_cases,
)
from shoal.experiments.tuning.trials import COMPLETE, FAILED, Trial

T = TypeVar("T")

ENOUGH_GAINS = 5  # inner searches that must have been completed before others are cut short
MARGIN = 1.5  # by how much more than the largest gain so far an inverse may be behind


def can_share(problem: Problem) -> bool:
    """Whether settings of a problem can share inverses."""
    return can_share_settings(problem.kind, problem.fixed, problem.space)


def can_share_settings(
    kind: type[Recommender], fixed: Mapping[str, Any], space: Mapping[str, Any] | None
) -> bool:
    """Whether settings of a model can share inverses.

    That needs a model whose weights are B of the formula, with nothing done to them afterwards but
    that a low-pass filter may be added.
    """
    if not issubclass(kind, ClosedForm):
        return False
    if kind.fit_grid.__func__ is not ClosedForm.fit_grid.__func__:  # type: ignore[attr-defined]
        return False
    names = set(declared(kind) if space is None else space) - set(OUTER)
    return kind(**fixed).scores_from_inverse and all(
        kind.model_fields[name].annotation in (float, int) for name in names
    )


def largest_rank(problem: Problem) -> int:
    """The largest number of singular vectors that settings of a problem need; 0 without any."""
    model, factors = problem.kind(**problem.fixed), problem.space.get("factors")
    if not isinstance(model, ClosedForm) or model.low_pass is None:
        return 0
    if factors is None:
        return model.low_pass.rank
    return int(max(factors.values) if isinstance(factors, Choices) else factors.high)


def outer(by_name: Mapping[str, T]) -> dict[str, T]:
    """Of a space or of settings, what needs an inverse for each value."""
    return {name: values for name, values in by_name.items() if name in OUTER}


class Member:
    """One model of a search, and where its proposals are from.

    Parameters
    ----------
    problem : Problem
    proposals : Proposals
    """

    def __init__(self, problem: Problem, proposals: Proposals) -> None:
        self.problem, self.proposals = problem, proposals
        self._wanted = [required.settings for required in proposals.question.required]
        self._wanted += [case.settings for case in defaults_of_special_cases(problem)]
        self._best: Trial | None = None
        self._gains: list[float] = []  # of the inner searches that went beyond their first round
        self.learn(proposals.trials())

    def learn(self, trials: Sequence[Trial]) -> None:
        """Remember the best trial, at whose inner settings the next inner search begins."""
        done = [t for t in trials if t.state == COMPLETE and not math.isnan(t.score)]
        if self._best is not None:
            done = [self._best, *done]
        self._best = max(done, key=lambda trial: trial.score, default=None)

    def inner_points(self, settings: Mapping[str, Any]) -> InnerPoints:
        """The inner search for an inverse."""
        key = self.proposals.question.key(settings)
        wanted = [
            self.problem.all_settings(one)
            for one in self._wanted
            if self.proposals.question.key(one) == key
        ]
        start = None if self._best is None else self._best.settings
        outside = not self.proposals.question.is_drawable(settings)
        only_wanted = self.problem.given_space and outside and bool(wanted)
        return InnerPoints(
            self.problem, settings, wanted, start,
            only_wanted=only_wanted, hopeless_below=self._hopeless_below(),
        )  # fmt: skip

    def learn_gain(self, gain: float) -> None:
        """Remember by how much an inner search improved on its first round."""
        if gain > 0:
            self._gains.append(gain)

    def _hopeless_below(self) -> float:
        """The score that the first points of an inverse must reach for its search to go on."""
        if self._best is None or len(self._gains) < ENOUGH_GAINS:
            return -math.inf
        return self._best.score - MARGIN * max(self._gains)

    def settings_for(self, outer_settings: Mapping[str, float]) -> dict[str, Any] | None:
        """Its own λ, p and β for those of an inverse; None if it cannot use that inverse."""
        kind = self.problem.kind
        own = {n: v for n, v in outer_settings.items() if n in kind.model_fields}
        if any(v for n, v in outer_settings.items() if n not in own):
            return None  # an inverse with dropout, for a model without
        settings = {**self.problem.fixed, **own}
        return settings if self.problem.admits(settings) else None

    def source_of(self, settings: Mapping[str, Any], proposed: str) -> str:
        """Why it tries settings with an inverse that was proposed as `proposed`."""
        if proposed == "default":
            defaults = self.problem.all_settings(self.problem.fixed)
            is_default = self.problem.all_settings(settings) == defaults
            return "default" if is_default else "drawn"
        if proposed == "drawn" and self.proposals.question.is_drawable(settings):
            return proposed
        whole = self.problem.all_settings(settings)
        cases = special_cases(self.problem.kind)
        names = [n for n, case in cases.items() if case.items() <= whole.items()]
        # EASE rather than RLAE, which contains it
        return source_of(max(names, key=lambda name: len(cases[name]))) if names else "drawn"


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
    problem = members[0].problem
    vectors = LeadingVectors(
        problem.train, problem.run, max(largest_rank(m.problem) for m in members)
    )
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
                    best = _try(member, proposal, members, vectors)
                step.advance()
                step.note(f"{member.problem.metric} {best:.4f}")


def _try(
    asking: Member, proposal: Proposal, members: Sequence[Member], vectors: LeadingVectors
) -> float:
    """Make the inverse of a proposal and tell all members what it gave; the best score."""
    began = time.perf_counter()
    model = asking.problem.kind(**proposal.settings)
    assert isinstance(model, ClosedForm)
    wanted = {name: float(getattr(model, name, 0.0)) for name in OUTER}
    try:
        inverse = CommonInverse.of(model, asking.problem.train, asking.problem.run, vectors)
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
    """Evaluate inner settings of each member with one inverse, round by round, all together.

    The first of `served` is the member that asked for the inverse, and `source` is why.
    """
    inner = [member.inner_points(settings) for member, settings in served]
    found: list[list[Trial]] = [[] for _ in served]
    known: dict[bytes, float] = {}
    while True:
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
            cost = each + (0.0 if found[number] else seconds_of_inverse)
            why = member.source_of(one, source if number == 0 else "drawn")
            inner[number].learn(point, score)
            whole = member.problem.all_settings(one)
            found[number].append(Trial(whole, score, cost, COMPLETE, why))
    for (member, _), trials, searched in zip(served, found, inner, strict=True):
        member.learn(trials)
        member.learn_gain(searched.gain)
    return found
