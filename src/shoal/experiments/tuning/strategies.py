"""How proposals are tried: each with a fit of its own. Other strategies have files of their own."""

from __future__ import annotations

from collections.abc import Callable

from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.proposals import Clock, Proposals

# tries proposals until there are enough or the clock is over; the trials are told to the proposals
Strategy = Callable[[Problem, Proposals, Clock], None]


def one_by_one(problem: Problem, proposals: Proposals, clock: Clock) -> None:
    """Fit a model for each proposal and evaluate it; trainings that are behind end early."""
    with problem.run.progress.step(f"tuning {problem.kind.name}", proposals.question.most) as step:
        while proposal := proposals.ask(only_required=clock.over):
            with proposals.trying(proposal):
                rule = proposals.rule(proposal)
                trial = problem.fit_and_score(proposal.settings, proposal.source, rule)
                proposals.tell(proposal, [trial])
            step.advance()
            step.note(f"{problem.metric} {trial.score:.4f}")


def strategy_of(problem: Problem) -> Strategy:
    """How the proposals for a model are tried."""
    return one_by_one
