"""`search`: try settings of a model within a budget, and keep what came of each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from shoal.base.ranges import Choices, Range
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import ModelError
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.random import draw_from
from shoal.experiments.tuning.trials import Budget, Searched, Trial, best_of
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

Sampler = Literal["tpe", "random"]


def search(
    kind: str | type[Recommender],
    train: Interactions,
    validation: HeldOut | None,
    *,
    budget: Budget | None = None,
    space: Mapping[str, Range | Choices] | None = None,
    fixed: Mapping[str, Any] | None = None,
    metric: str = "ndcg@100",
    sampler: Sampler = "tpe",
    storage: Path | None = None,
    study: str | None = None,
    run: Run | None = None,
) -> Searched:
    """Try settings of a model on validation users, within a budget.

    Parameters
    ----------
    kind : str or class of a model
    train : Interactions
    validation : HeldOut
        ``split(...).validation``.
    budget : Budget, optional
        20 trials, unless given.
    space : mapping of name to Range or Choices, optional
        All ranges that the model declares for hyper-parameters that are not `fixed`, unless given.
    fixed : mapping, optional
        Hyper-parameters that have the same value in all trials.
    metric : str
        The metric that decides; higher is better.
    sampler : {"tpe", "random"}
        Where the next settings are from: Optuna's tree-structured Parzen estimator, which learns
        from the trials before, or chance.
    storage : Path, optional
        An SQLite file. A study that it holds is continued.
    study : str, optional
        Name of the study in that file; the model's, unless given.
    run : Run, optional
        Its seed is also that of the sampler.

    Returns
    -------
    Searched
        The first trial has the defaults (with `fixed`).

    Raises
    ------
    DataError
        There are no validation users, or no such metric.
    ModelError
        The model predicts ratings, or a setting or a range is not valid for it.
    """
    began = time.perf_counter()
    budget = budget or Budget()
    if sampler not in ("tpe", "random"):
        raise ModelError(f"sampler={sampler!r}: write tpe or random")
    problem = Problem.of(
        by_name(kind) if isinstance(kind, str) else kind,
        train,
        validation,
        space=space,
        fixed=fixed,
        metric=metric,
        run=run,
    )
    trials: list[Trial] = []
    most = budget.trials or 1000
    drawn = draw_from(problem.space, most, problem.run.seed, problem.fixed)
    for number, settings in enumerate(drawn):
        if "factors" in settings and "factors" not in problem.fixed:
            settings["factors"] = min(settings["factors"], train.n_items)
        trials.append(problem.fit_and_score(settings, "drawn" if number else "default"))
        if budget.minutes and time.perf_counter() - began > 60 * budget.minutes:
            break
    found = tuple(trials)
    return Searched(best_of(found), found, problem.metric, {}, time.perf_counter() - began)
