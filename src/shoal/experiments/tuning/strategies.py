"""How proposals are tried: each with a fit of its own. Other strategies have files of their own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from shoal.base.closed_form import ClosedForm
from shoal.base.recommender import Recommender
from shoal.errors import ModelError, TrainingError
from shoal.experiments.tuning.machines import is_divided
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.proposals import Clock, Drawn, Proposals
from shoal.experiments.tuning.several_at_once import several_at_once
from shoal.experiments.tuning.trials import Trial

# tries proposals until there are enough or the clock is over; the trials are told to the proposals
Strategy = Callable[[Problem, Proposals, Clock], None]


def one_by_one(problem: Problem, proposals: Proposals, clock: Clock) -> None:
    """Fit a model for each proposal and evaluate it; trainings that are behind end early.

    One that is divided among machines does not: nobody else knows how it goes on.
    """
    divided = problem.run.executor is not None
    with problem.run.progress.step(f"tuning {problem.kind.name}", proposals.question.most) as step:
        while proposal := proposals.ask(only_required=clock.over):
            with proposals.trying(proposal):
                rule = None if divided else proposals.rule(proposal)
                trial = problem.fit_and_score(proposal.settings, proposal.source, rule)
                proposals.tell(proposal, [trial])
            step.advance()
            step.note(f"{problem.metric} {trial.score:.4f}")


def all_at_once(problem: Problem, proposals: Proposals, clock: Clock) -> None:
    """Fit all proposals by the model's own `fit_grid`, which shares what it can between them.

    They must not depend on each other's scores, and have an end.
    """
    waiting = dict(enumerate(iter(proposals.ask, None)))
    settings = [proposal.settings for proposal in waiting.values()]
    began = time.perf_counter()
    label = f"tuning {problem.kind.name}"
    with (
        problem.run.progress.step(label, len(settings)) as step,
        contextlib.suppress(TrainingError, ModelError),  # the others are tried below
    ):
        for index, model in problem.kind.fit_grid(
            settings, problem.train, problem.validation, problem.run
        ):
            score, now = problem.score_of(model), time.perf_counter()
            proposal = waiting.pop(index)
            trial = Trial(model.model_dump(), score, now - began, source=proposal.source)
            proposals.tell(proposal, [trial])
            began = now
            step.advance()
            step.note(f"{problem.metric} {score:.4f}")
            if clock.over:
                break
    for proposal in waiting.values():
        if clock.over:
            proposals.drop(proposal)
        else:
            proposals.tell(proposal, [problem.fit_and_score(proposal.settings, proposal.source)])


def strategy_of(problem: Problem, proposals: Proposals) -> Strategy:
    """How the proposals for a model are tried."""
    if problem.run.executor is not None:
        return one_by_one if is_divided(problem) else several_at_once
    known_ahead = isinstance(proposals, Drawn) and proposals.question.most is not None
    inherited = (Recommender.fit_grid, ClosedForm.fit_grid)
    shares = all(
        problem.kind.fit_grid.__func__ is not method.__func__  # type: ignore[attr-defined]
        for method in inherited
    )
    return all_at_once if known_ahead and shares else one_by_one
