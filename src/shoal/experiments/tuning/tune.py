"""`tune`: choose hyper-parameters by a metric on validation users, never on test users."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import DataError, ModelError
from shoal.evaluation.evaluate import evaluate
from shoal.experiments.tuning.random import draw
from shoal.experiments.tuning.trials import Trial
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.splitting.held_out import HeldOut


@dataclass(frozen=True)
class Tuned:
    """The outcome of `tune`: the best model, fitted, and all trials in order of their settings."""

    model: Recommender
    best: Trial
    trials: tuple[Trial, ...]
    metric: str


def tune(
    model: str | type[Recommender],
    train: Interactions,
    validation: HeldOut | None,
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    trials: int = 20,
    fixed: Mapping[str, Any] | None = None,
    metric: str = "ndcg@100",
    run: Run | None = None,
) -> Tuned:
    """Fit a model with several settings and keep the one that validates best.

    Parameters
    ----------
    model : str or class
    train : Interactions
    validation : HeldOut
        ``split(...).validation``.
    grid : mapping of name to values, optional
        Every combination is tried. Without it, `trials` settings are drawn from the ranges that
        the model declares.
    trials : int
    fixed : mapping, optional
        Hyper-parameters that have the same value in all trials.
    metric : str
        The metric that decides; higher is better.
    run : Run, optional
        Its seed is also that of the random settings.

    Returns
    -------
    Tuned

    Raises
    ------
    DataError
        There are no validation users, or `trials` is below 1.
    ModelError
        The model predicts ratings, or a setting is not valid for it.
    """
    kind = by_name(model) if isinstance(model, str) else model
    if kind.task != "ranking":
        raise ModelError(
            f"{kind.name} predicts ratings, and tuning is by metrics of rankings: try settings "
            'with evaluate_ratings(model, split, part="validation")'
        )
    if validation is None:
        raise DataError("tuning needs validation users: split with validation > 0")
    if trials < 1:
        raise DataError(f"trials={trials}: give 1 or more")
    run = run or Run()
    settings = _settings_to_try(kind, grid, trials, fixed or {}, run.seed, train.n_items)
    best, tried = _try_all(kind, settings, train, validation, metric, run)
    # fitted again, since keeping the best model so far would take its memory during the search
    fitted = kind(**settings[best]).fit(train, validation, run)
    return Tuned(fitted, tried[best], tuple(tried), metric)


def _settings_to_try(
    kind: type[Recommender],
    grid: Mapping[str, Sequence[Any]] | None,
    trials: int,
    fixed: Mapping[str, Any],
    seed: int,
    n_items: int,
) -> list[dict[str, Any]]:
    """All combinations of a grid, or so many random settings; all of them are valid.

    Raises
    ------
    ModelError
        A setting is not valid for this model.
    """
    if grid is not None:
        combinations = itertools.product(*grid.values())
        settings = [dict(fixed) | dict(zip(grid, c, strict=True)) for c in combinations]
    else:
        settings = draw(kind, trials, seed, fixed)
        for drawn in settings:
            # the declared range does not know how many items there are
            if "factors" in set(drawn) - set(fixed):
                drawn["factors"] = min(drawn["factors"], n_items)
    for candidate in settings:  # refuse bad settings before the first fit
        kind(**candidate)
    return settings


def _try_all(
    kind: type[Recommender],
    settings: list[dict[str, Any]],
    train: Interactions,
    validation: HeldOut,
    metric: str,
    run: Run,
) -> tuple[int, list[Trial]]:
    """Fit a model with each of the settings and evaluate it on the validation users.

    Returns
    -------
    best : int
        Position of the settings with the highest score; of equal ones, the first.
    trials : list of Trial
        In the order of `settings`.
    """
    done: dict[int, Trial] = {}
    best = -1
    # a checkpoint and a log file are for the final fit only
    search_run = replace(run, checkpoint=None, training_log=None)
    with run.progress.step(f"tuning {kind.name}", len(settings)) as step:
        for index, fitted in kind.fit_grid(settings, train, validation, search_run):
            score = evaluate(fitted, validation, [metric], run)[metric]
            done[index] = Trial(fitted.model_dump(), score)
            # the first of equal ones, in whatever order `fit_grid` fits them
            if best < 0 or (-score, index) < (-done[best].score, best):
                best = index
            step.advance()
            step.note(f"best {metric} {done[best].score:.4f}")
    return best, [done[index] for index in range(len(settings))]
