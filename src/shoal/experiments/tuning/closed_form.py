"""The search of the closed-form family: one inverse serves many settings, and several models.

The search has two levels. A sampler proposes λ, p and β, each of which needs an inverse P. From P
all other settings (α, ξ, and those of a low-pass filter, of which there is one SVD for the whole
search) are evaluated at the price of a ranking (`inner_points`). The sampler
learns from the best score that an inverse gave. An inverse with all that is looked at is one piece
of work (`inverse_trials`), of which several are under way at once where there are machines.

A P with p = 0 serves LAE, EASE and RLAE, one with p > 0 DLAE, EDLAE and RDLAE, which also look at
those with p = 0, as their special cases. Where several of these models are searched, each proposes
inverses in turn, and every one looks at all that it can use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from shoal.base.closed_form import ClosedForm
from shoal.base.common_inverse import OUTER
from shoal.base.low_pass import LeadingVectors
from shoal.base.ranges import Choices, declared
from shoal.base.recommender import Recommender
from shoal.experiments.side_by_side import SideBySide
from shoal.experiments.tuning.inverse_trials import Found, Wish, leading_vectors, try_inverse
from shoal.experiments.tuning.machines import in_tasks, machines_of
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.proposals import Clock, Proposal, Proposals, dropping
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

    def wish(self, members: Sequence[Member], settings: Mapping[str, Any]) -> Wish:
        """What is to be looked at with an inverse, by what is known now."""
        key = self.proposals.question.key(settings)
        wanted = [
            self.problem.all_settings(one)
            for one in self._wanted
            if self.proposals.question.key(one) == key
        ]
        start = None if self._best is None else self._best.settings
        outside = not self.proposals.question.is_drawable(settings)
        only_wanted = self.problem.given_space and outside and bool(wanted)
        return Wish(
            members.index(self), dict(settings), wanted, start,
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


@dataclass(frozen=True)
class Served:
    """A member for which settings of an inverse are looked at."""

    member: Member
    proposal: Proposal
    wish: Wish


def share_inverses(members: Sequence[Member], clock: Clock) -> None:
    """Search several models of the family together, until each has enough or the clock is over.

    Where the run has an executor, several inverses are under way at once, each as one task with
    all that is looked at with it.

    Parameters
    ----------
    members : sequence of Member
        With the same data, metric and run.
    clock : Clock
    """
    problems = [member.problem for member in members]
    names = ", ".join(problem.kind.name for problem in problems)
    most = members[0].proposals.question.most
    label = f"tuning {names}"
    executor, needs = machines_of(problems[0])
    work = SideBySide[list[Served]](executor, needs)
    with (
        problems[0].run.progress.step(label, None if most is None else most * len(members)) as step,
        work,
        dropping(
            lambda: [(s.member.proposals, s.proposal) for all_ in work.under_way for s in all_]
        ),
    ):
        common = work.put(in_tasks(problems))
        rank = max(map(largest_rank, problems))
        vectors: Any = LeadingVectors(problems[0].train, problems[0].run, rank)
        if executor is not None:
            vectors = executor.submit(leading_vectors, common, rank, needs=needs)
        turns = _in_turns(members, clock)
        while True:
            while work.has_room and (asked := next(turns, None)) is not None:
                served = _served(*asked, members)
                settings, wishes = asked[1].settings, [one.wish for one in served]
                work.begin(served, try_inverse, common, vectors, settings, wishes)
            if not work:
                return
            served, found = work.ended()
            best = _tell(served, found)
            step.advance()
            step.note(f"{problems[0].metric} {best:.4f}")


def _in_turns(members: Sequence[Member], clock: Clock) -> Iterator[tuple[Member, Proposal]]:
    """Ask each member in turn for an inverse to make, until all have enough."""
    waiting = list(members)
    while waiting:
        for member in list(waiting):
            proposal = member.proposals.ask(only_required=clock.over)
            if proposal is None:
                waiting.remove(member)
            else:
                yield member, proposal


def _served(asking: Member, proposal: Proposal, members: Sequence[Member]) -> list[Served]:
    """All members that an inverse serves; the one that asked for it is the first."""
    model = asking.problem.kind(**proposal.settings)
    wanted = {name: float(getattr(model, name, 0.0)) for name in OUTER}
    served = [Served(asking, proposal, asking.wish(members, proposal.settings))]
    for member in members:
        own = None if member is asking else member.settings_for(wanted)
        if own is not None and not member.proposals.has(own):
            claimed = member.proposals.claim(own)
            served.append(Served(member, claimed, member.wish(members, own)))
    return served


def _tell(served: Sequence[Served], found: Sequence[Found] | float) -> float:
    """Tell all members what came of an inverse; the best score.

    Where there was none, `found` is how many seconds that took.
    """
    asking = served[0]
    if isinstance(found, float):
        problem, proposal = asking.member.problem, asking.proposal
        whole = problem.all_settings(proposal.settings)
        asking.member.proposals.tell(
            proposal, [Trial(whole, -math.inf, found, FAILED, proposal.source)]
        )
        for one in served[1:]:
            one.member.proposals.drop(one.proposal)
        return -math.inf
    best = -math.inf
    for one, of_member in zip(served, found, strict=True):
        member, problem = one.member, one.member.problem
        why = one.proposal.source if one is asking else "drawn"
        trials = [
            Trial(
                problem.all_settings(point.settings),
                point.score,
                point.seconds,
                COMPLETE,
                member.source_of(point.settings, why),
            )
            for point in of_member.points
        ]
        member.learn(trials)
        member.learn_gain(of_member.gain)
        member.proposals.tell(one.proposal, trials)
        best = max([best, *(trial.score for trial in trials)])
    return best
