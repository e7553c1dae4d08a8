"""`compare`: fit several models on one split, and say whether their differences could be chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from shoal.base.recommender import Recommender
from shoal.errors import DataError, ModelError
from shoal.evaluation.evaluate import DEFAULT_METRICS
from shoal.experiments.comparison.conclude import Comparison, conclude
from shoal.experiments.comparison.contest import Contest, Splits
from shoal.experiments.comparison.entrant import Entrant, entrants_of
from shoal.experiments.comparison.entry import Entry
from shoal.experiments.tuning.search import Sampler
from shoal.experiments.tuning.trials import Budget
from shoal.run import Run
from shoal.splitting.held_out import Split

__all__ = ["Comparison", "Entry", "compare", "conclude"]


def compare(
    split: Splits,
    models: Iterable[str | Recommender | Entrant],
    *,
    metrics: Iterable[str] = DEFAULT_METRICS,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    seeds: int | Sequence[int] = 1,
    trials: int = 0,
    minutes: float | None = None,
    sampler: Sampler | None = None,
    keep_models: bool | Literal["best"] = False,
    run: Run | None = None,
    seen: Callable[[Entry], None] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Comparison:
    """Fit several models and evaluate all on the same users.

    Parameters
    ----------
    split : Split or callable
        With several seeds, a function that splits by a seed (``lambda seed: shoal.split(log,
        seed=seed)``), so that each seed has users of its own; with a `Split`, only the fits differ.
    models : names, unfitted models or entrants
    metrics : iterable of str
        The first one orders the models; it must be one with values per user.
    settings : mapping name → hyper-parameters, optional
        For models given by name.
    seeds : int or sequence of int
        How many seeds, from the run's on, or which. Each splits, and seeds the fits.
    trials : int
        Tune each model given by name on the validation users of the first seed, with so many
        settings; 0 uses the defaults, unless `minutes` are given.
    minutes : float, optional
        Most minutes of the search for each model.
    sampler : {"tpe", "random"}, optional
        How settings are chosen (`shoal.experiments.tuning.search`); "tpe", which needs Optuna, is
        the default where that is installed.
    keep_models : bool or "best"
        Keep the fitted models of the first seed in the result, which takes the memory of all of
        them; or only the best one of each kind ("deep", "linear", "baseline") over all seeds. While
        several seeds are computed, the best ones of the first seed are kept; where another model
        is the best over all seeds, it is fitted once more.
    run : Run, optional
        With an executor, models are fitted side by side on its machines; models that are given as
        objects stay unfitted.
    seen : callable, optional
        Called with each model, averaged over the seeds so far, as soon as it is evaluated with
        another seed.
    data : mapping, optional
        Facts of the log (`shoal.experiments.files.facts.facts_of`), for the result and for the
        rule of thumb of `shoal.experiments.comparison.family`.

    Returns
    -------
    Comparison
        Models that cannot be fitted (too large for the memory budget, an optional package that is
        not installed, a log without the times that they need) are in its `refused`; the others are
        compared.

    Raises
    ------
    ModelError
        There is no such model or hyper-parameter. Raised before the first fit.
    ShoalError
        No model could be fitted: the error of the last one.
    Interrupted
        Ctrl-C, once a model was evaluated; a KeyboardInterrupt that holds what was finished.
    """
    if not isinstance(split, Split) and not callable(split):
        raise DataError("compare takes a split first, then the models: compare(split, ['ease', …])")
    run = run or Run()
    contest = Contest(
        split,
        entrants_of(models, settings),
        list(metrics),
        _seeds(seeds, run.seed),
        budget_of(trials, minutes),
        run,
        sampler,
        keep_models=keep_models,
        data=dict(data or {}),
    )
    try:
        contest.run_all(seen)
    except KeyboardInterrupt:
        if contest.cells:
            raise Interrupted(contest.conclusion()) from None
        raise
    if contest.last_refusal is not None and not contest.cells:
        raise contest.last_refusal
    return contest.conclusion()


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the midst of a comparison.

    Parameters
    ----------
    comparison : Comparison
        Of what was finished.
    """

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self.comparison = comparison


def budget_of(trials: int, minutes: float | None) -> Budget | None:
    """The budget of each model's search; None, which tunes nothing, for no trials and no minutes.

    Parameters
    ----------
    trials : int
    minutes : float, optional

    Raises
    ------
    DataError
        A number below 0, or no number.
    """
    return Budget(trials or None, minutes) if trials or minutes is not None else None


def _seeds(seeds: int | Sequence[int], first: int) -> list[int]:
    chosen = list(range(first, first + seeds)) if isinstance(seeds, int) else list(seeds)
    if not chosen:
        raise ModelError(f"seeds={seeds}: give 1 or more")
    if len(set(chosen)) < len(chosen) or min(chosen) < 0:
        raise ModelError(f"seeds={seeds}: give different numbers, 0 or more")
    return chosen
