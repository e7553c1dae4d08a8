"""On which machines the trials of a search are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shoal.executor import ONE_THREAD, Executor, Needs
from shoal.experiments.side_by_side import in_a_task, needs_of_fit, side_by_side
from shoal.experiments.tuning.problem import Problem


def machines_of(problem: Problem) -> tuple[Executor | None, Needs]:
    """Whose tasks trials are, and what each takes of a machine; None: they are made here.

    Those that are made here with an executor in their run have no room on one machine: each of
    their fits is divided among all (`side_by_side`).
    """
    model = problem.kind(**problem.fixed)
    executor = side_by_side(problem.run, model, problem.train)
    if executor is None:
        return None, ONE_THREAD
    return executor, needs_of_fit(problem.run, model, problem.train)


def is_divided(problem: Problem) -> bool:
    """Whether each fit is divided among machines, since it has no room on one."""
    return problem.run.executor is not None and machines_of(problem)[0] is None


def in_tasks(problems: Sequence[Problem]) -> list[Problem]:
    """The problems as their tasks have them, or as they are where trials are made here."""
    executor, needs = machines_of(problems[0])
    if executor is None:
        return list(problems)
    return [replace(one, run=in_a_task(one.run, needs)) for one in problems]
