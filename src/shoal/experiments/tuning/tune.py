"""`tune`: search the hyper-parameters of a model, and fit it with the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal.base.ranges import Choices, Range
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.experiments.tuning.grid import try_grid
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.search import Sampler, search, usual_sampler
from shoal.experiments.tuning.trials import Budget, Searched, Trial
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.splitting.held_out import HeldOut


@dataclass(frozen=True)
class Tuned:
    """The outcome of `tune`: the best model, fitted, and all trials in order of their proposal."""

    model: Recommender
    searched: Searched

    @property
    def best(self) -> Trial:
        """The completed trial with the highest score."""
        return self.searched.best

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials."""
        return self.searched.trials

    @property
    def metric(self) -> str:
        """The metric that decided."""
        return self.searched.metric


def tune(
    model: str | type[Recommender],
    train: Interactions,
    validation: HeldOut | None,
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    trials: int | None = 20,
    minutes: float | None = None,
    space: Mapping[str, Range | Choices] | None = None,
    fixed: Mapping[str, Any] | None = None,
    metric: str = "ndcg@100",
    sampler: Sampler | None = None,
    storage: Path | None = None,
    run: Run | None = None,
) -> Tuned:
    """Try several settings of a model, and fit it with those that validate best.

    Parameters
    ----------
    model : str or class
    train : Interactions
    validation : HeldOut
        ``split(...).validation``.
    grid : mapping of name to values, optional
        Every combination is tried, and nothing else. Without it, settings are searched.
    trials : int or None
        How many settings are fitted; those that share an inverse count as one.
    minutes : float, optional
        The search ends then, also before `trials`.
    space : mapping of name to `Range` or `Choices`, optional
        Where to search; the ranges that the model declares, unless given.
    fixed : mapping, optional
        Hyper-parameters that have the same value in all trials.
    metric : str
        The metric that decides; higher is better.
    sampler : {"tpe", "random"}, optional
        Optuna's sampler or chance; Optuna's where it is installed, unless given.
    storage : Path, optional
        An SQLite file that keeps the study, and from which it goes on.
    run : Run, optional
        Its seed is also that of the sampler. With an executor, fits run side by side on its
        machines.

    Returns
    -------
    Tuned

    Raises
    ------
    DataError
        There are no validation users, the budget is none, or the storage cannot be used.
    ModelError
        The model predicts ratings, or a setting is not valid for it.
    """
    kind = by_name(model) if isinstance(model, str) else model
    if grid is not None:
        problem = Problem.of(kind, train, validation, space={}, fixed=fixed, metric=metric, run=run)
        found = try_grid(problem, grid)
    else:
        found = search(
            kind,
            train,
            validation,
            budget=Budget(trials, minutes),
            space=space,
            fixed=fixed,
            metric=metric,
            sampler=sampler or usual_sampler(),
            storage=storage,
            run=run,
        )
    # fitted again, since keeping the best model so far would take its memory during the search
    fitted = kind(**found.best.settings).fit(train, validation, run)
    return Tuned(fitted, found)
