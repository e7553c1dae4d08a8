"""`tune`: choose hyper-parameters on validation users, never on the test."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import DataError, ModelError
from shoal.evaluation.evaluate import evaluate
from shoal.experiments.tasks import task_of
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.splitting.held_out import HeldOut


@dataclass(frozen=True)
class Trial:
    """Hyper-parameters that were tried, and what they gave on the validation users."""

    settings: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Tuned:
    """What `tune` found: the best model, fitted, and all trials in the order they were made."""

    model: Recommender
    best: Trial
    trials: tuple[Trial, ...]
    metric: str


def search_space(model: type[Recommender]) -> dict[str, tuple[float, float, str, bool]]:
    """Ranges that a model declares: name → (low, high, scale, whole numbers only)."""
    space = {}
    for name, field in model.model_fields.items():
        extra: Any = field.json_schema_extra or {}
        if "search" in extra:
            low, high = extra["search"]
            space[name] = (float(low), float(high), str(extra["scale"]), field.annotation is int)
    return space


def draw(
    model: type[Recommender],
    trials: int,
    seed: int,
    fixed: Mapping[str, Any],
    only: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Draw settings from the declared ranges: the defaults first, then at random.

    Parameters
    ----------
    model : class
    trials : int
    seed : int
    fixed : mapping
        Settings that stay.
    only : list of str, optional
        Draw these; the others keep their defaults.
    """
    rng = np.random.default_rng(seed)
    space = {n: s for n, s in search_space(model).items() if n not in fixed}
    unknown = set(only or ()) - set(space)
    if unknown:
        raise ModelError(f"{model.name} declares no range for {', '.join(sorted(unknown))}")
    out = [dict(fixed)]
    while len(out) < trials and space:
        settings = dict(fixed)
        for name, (low, high, scale, whole) in space.items():
            at = rng.random()
            if only is not None and name not in only:
                continue
            value = low * (high / low) ** at if scale == "log" else low + (high - low) * at
            settings[name] = round(value) if whole else float(f"{value:.3g}")
        out.append(settings)
    return out


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
        Settings that stay.
    metric : str
        Higher is better.
    run : Run, optional
        Its seed seeds the drawing.

    Returns
    -------
    Tuned

    Raises
    ------
    DataError
        No validation users.
    ModelError
        The model predicts ratings.
    """
    made = by_name(model) if isinstance(model, str) else model
    if made.task != "ranking":
        raise ModelError(
            f"{made.name} predicts ratings, and tuning is by metrics of rankings: try settings "
            'with evaluate_ratings(model, split, part="validation")'
        )
    if validation is None:
        raise DataError("tuning needs validation users: split with validation > 0")
    if trials < 1:
        raise DataError(f"trials={trials}: give 1 or more")
    run = run or Run()
    if grid is not None:
        combinations = itertools.product(*grid.values())
        settings = [dict(fixed or {}) | dict(zip(grid, c, strict=True)) for c in combinations]
    else:
        settings = draw(made, trials, run.seed, fixed or {})
        for one in settings:
            if "factors" in set(one) - set(fixed or {}):  # ranges know nothing of the catalogue
                one["factors"] = min(one["factors"], train.n_items)
    for one in settings:  # refuse bad settings before the first fit
        made(**one)
    done: dict[int, Trial] = {}
    best = -1
    apart = replace(run, checkpoint=None, training_log=None)  # these are for the fit that is kept
    with run.progress.step(f"tuning {made.name}", len(settings)) as step:
        for at, fitted in made.fit_grid(settings, train, validation, apart):
            score = evaluate(fitted, validation, [metric], run)[metric]
            done[at] = Trial(fitted.model_dump(), score)
            # the earlier of equals, whatever order the family fits in
            if best < 0 or (-score, at) < (-done[best].score, best):
                best = at
            step.advance()
            step.note(f"best {metric} {done[best].score:.4f}")
    # fitted again, since keeping the best so far would take its memory during the search
    chosen = made(**settings[best]).fit(train, validation, run)
    return Tuned(chosen, done[best], tuple(done[at] for at in range(len(settings))), metric)


FEW_USERS = 20  # below that, validation says nothing


def with_best_epochs(model: Recommender, log: Interactions, run: Run | None = None) -> Recommender:
    """The same model, unfitted, with the number of epochs that validates best.

    A tenth of the users (of the ratings, for a model that rates) is kept apart, the model is
    fitted to the others with early stopping, and the epoch that was best becomes `n_epochs`. So a
    model for production can then be fitted to all, where nothing is left to validate on.

    Parameters
    ----------
    model : Recommender
        One that is `trained`; others, and logs of fewer than 20 users, come back as they are.
    log : Interactions
    run : Run, optional
        Its checkpoint and log are left for the fit that follows.
    """
    if not model.trained or log.n_users < FEW_USERS:
        return model
    # checkpoint and training log are for the fit that follows
    run = replace(run or Run(), checkpoint=None, training_log=None)
    probe = type(model)(**model.model_dump(exclude_unset=True))
    train, kept_apart = task_of(model).keep_tenth_apart(log, run.seed)
    return probe.fit(train, kept_apart, run).until_best()
