"""A search that tries every combination of some values, and nothing else."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shoal.base.closed_form import ClosedForm
from shoal.base.common_inverse import OUTER
from shoal.experiments.side_by_side import SideBySide
from shoal.experiments.tuning.machines import in_tasks, is_divided, machines_of
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.trials import Searched, Trial, best_of

Settings = Mapping[str, Any]


def try_grid(problem: Problem, grid: Mapping[str, Sequence[Any]]) -> Searched:
    """Fit a model with all combinations of some values, and evaluate each on the validation users.

    Raises
    ------
    ModelError
        A setting is not valid for this model. Raised before the first fit.
    """
    began = time.perf_counter()
    combinations = itertools.product(*grid.values())
    settings = [problem.fixed | dict(zip(grid, c, strict=True)) for c in combinations]
    for candidate in settings:
        problem.kind(**candidate)
    done: dict[int, Trial] = {}
    with problem.run.progress.step(f"tuning {problem.kind.name}", len(settings)) as step:
        tried = _here([problem], settings)
        if problem.run.executor is not None:
            tried = _on_machines(problem, settings)
        for index, trial in tried:
            done[index] = trial
            step.advance()
            step.note(f"best {problem.metric} {max(t.score for t in done.values()):.4f}")
    trials = tuple(done[index] for index in range(len(settings)))
    return Searched(best_of(trials), trials, problem.metric, {}, time.perf_counter() - began)


def _here(problems: Sequence[Problem], settings: Sequence[Settings]) -> Iterator[tuple[int, Trial]]:
    """The trials of the first problem, by `fit_grid`, which shares what it can between them."""
    problem, last = problems[0], time.perf_counter()
    fits = problem.kind.fit_grid(settings, problem.train, problem.validation, problem.run)
    for index, fitted in fits:
        score = problem.score_of(fitted)
        now = time.perf_counter()
        yield index, Trial(fitted.model_dump(), score, now - last, source="given")
        last = now


def try_group(problems: Sequence[Problem], settings: Sequence[Settings]) -> list[tuple[int, Trial]]:
    """Trials that share what they can, as one task."""
    return list(_here(problems, settings))


def _on_machines(problem: Problem, settings: Sequence[Settings]) -> Iterator[tuple[int, Trial]]:
    """The trials of all settings, those that share an inverse as one task."""
    waiting = _groups(problem, settings)
    with SideBySide[list[int]](*machines_of(problem)) as work:
        common = work.put(in_tasks([problem]))
        while waiting or work:
            while waiting and work.has_room:
                group = waiting.pop(0)
                work.begin(group, try_group, common, [settings[index] for index in group])
            group, trials = work.ended()
            for place, trial in trials:
                yield group[place], trial


def _groups(problem: Problem, settings: Sequence[Settings]) -> list[list[int]]:
    """Positions of settings, together where they share an inverse and fits are not divided."""
    if not issubclass(problem.kind, ClosedForm) or is_divided(problem):
        return [[index] for index in range(len(settings))]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, one in enumerate(settings):
        whole = problem.all_settings(one)
        groups.setdefault(tuple(whole.get(name) for name in OUTER), []).append(index)
    return list(groups.values())
