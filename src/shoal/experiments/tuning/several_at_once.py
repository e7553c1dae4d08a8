"""A search whose trials are tasks of an executor: several proposals are tried at once.

A proposal is made of what is known when it is made, so with several at once the sampler knows less
than in a search one by one. Trainings end early by the rule of `halving`, too: each is compared
with those that had ended when it began. So nothing is asked of a training that is under way, and
one whose worker was lost is done again with the same outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.experiments.side_by_side import SideBySide
from shoal.experiments.tuning.halving import Rungs, is_rung
from shoal.experiments.tuning.machines import in_tasks, machines_of
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.proposals import Clock, Proposal, Proposals, dropping
from shoal.experiments.tuning.trials import DRAWN, Trial


def several_at_once(problem: Problem, proposals: Proposals, clock: Clock) -> None:
    """Fit a model for each proposal, on as many machines as there are."""
    first = proposals.question.first_rung
    work = SideBySide[Proposal](*machines_of(problem))
    with (
        problem.run.progress.step(f"tuning {problem.kind.name}", proposals.question.most) as step,
        work,
        dropping(lambda: [(proposals, proposal) for proposal in work.under_way]),
    ):
        common = work.put(in_tasks([problem]))
        while True:
            while work.has_room and (proposal := proposals.ask(only_required=clock.over)):
                settings, known = proposal.settings, proposals.at_rungs()
                work.begin(proposal, try_proposal, common, settings, proposal.source, first, known)
            if not work:
                return
            proposal, (trial, at_rungs) = work.ended()
            proposals.keep_rungs(proposal, at_rungs)
            proposals.tell(proposal, [trial])
            step.advance()
            step.note(f"{problem.metric} {trial.score:.4f}")


def try_proposal(
    problems: Sequence[Problem],
    settings: Mapping[str, Any],
    source: str,
    first: int,
    at_rungs: Mapping[int, Sequence[float]],
) -> tuple[Trial, dict[int, float]]:
    """Make a trial; and the best values of its training at its rungs.

    Parameters
    ----------
    problems : sequence of Problem
        One.
    settings : mapping
    source : str
        Only trainings whose settings were drawn end early.
    first : int
        Epochs of the first rung.
    at_rungs : mapping of epochs to values
        Of the trainings that had ended before.
    """
    rungs, own = Rungs(first, at_rungs), dict[int, float]()

    def rule(epoch: int, best: float) -> bool:
        if is_rung(epoch, first):
            own[epoch] = best
        return rungs.behind(epoch, best) and source == DRAWN

    return problems[0].fit_and_score(settings, source, rule), own
