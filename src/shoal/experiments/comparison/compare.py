"""`compare`: fit several models on one split, and say whether their differences could be chance."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shoal.base.recommender import Recommender
from shoal.errors import DataError, ModelError, ShoalError
from shoal.evaluation.evaluate import DEFAULT_METRICS, refuse_long_lists
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.conclude import Comparison, best_by_kind, conclude
from shoal.experiments.comparison.entrant import Entrant, entrants_of
from shoal.experiments.comparison.entry import Entry, entry_of
from shoal.experiments.comparison.measure import measure
from shoal.experiments.comparison.searching import search_together
from shoal.experiments.tuning.search import Sampler
from shoal.experiments.tuning.trials import Budget, Searched
from shoal.experiments.warmup import warm_up
from shoal.run import Run
from shoal.splitting.held_out import Split

__all__ = ["Comparison", "Entry", "compare", "conclude"]

Splits = Split | Callable[[int], Split]
FIRST_SEED_TUNED = (
    "Tuned once, on the validation users of the first seed, who may be test users of another seed."
)


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


@dataclass
class Contest:
    """A comparison that is running: what takes part, and what is finished.

    Parameters
    ----------
    split : Split or callable
    entrants : list of Entrant
    metrics : list of str
        The first one is also that of the tuning.
    seeds : list of int
    budget : Budget or None
        Of the search for each entrant that is tuned; None does not tune.
    run : Run
    sampler : {"tpe", "random"} or None
    keep_models : bool or "best"
    data : dict
    """

    split: Splits
    entrants: list[Entrant]
    metrics: list[str]
    seeds: list[int]
    budget: Budget | None
    run: Run
    sampler: Sampler | None = None
    keep_models: bool | Literal["best"] = False
    data: dict[str, Any] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    searches: dict[str, Searched] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    models: dict[str, Recommender] = field(default_factory=dict)
    last_refusal: ShoalError | None = None

    def run_all(self, seen: Callable[[Entry], None] | None) -> None:
        """Fit and evaluate all models with all seeds, one after the other."""
        total = len(self.entrants) * len(self.seeds)
        with self.run.progress.step("comparing", total) as step:
            for seed in self.seeds:
                parts = self._parts(seed)
                if not self.cells:  # not after the searches, each of which would be lost
                    refuse_long_lists(self.metrics, parts.train.n_items)
                for place, entrant in enumerate(self.entrants):
                    label = entrant.label
                    step.note(label)
                    if label not in self.refused:
                        self.entrants[place] = self._enter(entrant, parts, seed)
                        if seen is not None and label not in self.refused:
                            seen(entry_of(self._of(label), self.searches.get(label)))
                    step.advance()
        if self.keep_models == "best" and len(self.seeds) > 1:
            self._keep_best_over_all_seeds()

    def _parts(self, seed: int) -> Split:
        """The split of a seed."""
        return self.split if isinstance(self.split, Split) else self.split(seed)

    def _enter(self, entrant: Entrant, parts: Split, seed: int) -> Entrant:
        """Fit and evaluate one entrant; gives the entrant for the next seed, tuned."""
        try:
            if self.budget is not None and entrant.tune and entrant.searchable:
                entrant = self._tuned(entrant, parts, self.budget)
            cell, model = measure(entrant, parts, self.metrics, self._run_of(entrant, seed), seed)
        except ShoalError as error:
            self.refused[entrant.label], self.last_refusal = str(error), error
            self.cells = [cell for cell in self.cells if cell.label != entrant.label]
            return entrant
        self.cells.append(cell)
        if self.keep_models and seed == self.seeds[0]:
            self._keep(cell, model)
        return replace(entrant, model=None)  # other seeds fit another object

    def _keep(self, cell: Cell, model: Recommender) -> None:
        """Keep a fitted model, and let those go that are not to be kept any more."""
        if self.keep_models == "best":
            alike = [c for c in self.cells if c.kind == cell.kind and c.seed == cell.seed]
            if best_by_kind(alike)[cell.kind] != cell.label:
                return
            for other in alike:
                self.models.pop(other.label, None)
        self.models[cell.label] = model

    def _keep_best_over_all_seeds(self) -> None:
        """Keep the models that the table has first of their kinds; the first seed may differ."""
        best = set(best_by_kind(self.cells).values())
        self.models = {label: model for label, model in self.models.items() if label in best}
        missing = [entrant for entrant in self.entrants if entrant.label in best - set(self.models)]
        if not missing:
            return
        run = replace(self.run, seed=self.seeds[0], checkpoint=None)
        parts = self._parts(run.seed)
        for entrant in missing:
            try:
                model = entrant.unfitted().fit(parts.train, parts.validation, run)
            except ShoalError as error:  # it costs no result
                warnings.warn(f"{entrant.label} is not kept: {error}", stacklevel=2)
            else:
                self.models[entrant.label] = model

    def _tuned(self, entrant: Entrant, parts: Split, budget: Budget) -> Entrant:
        """The entrant with the settings that are best on the validation users of the first seed."""
        if entrant.label in self.searches:
            return entrant.with_settings(self.searches[entrant.label].best.settings)
        warm_up(entrant.unfitted(), parts.train, self.run, grid=True)
        self.searches |= search_together(
            entrant,
            self.entrants,
            parts,
            self.metrics[0],
            budget=budget,
            sampler=self.sampler,
            run=self.run,
            known=self.searches,
        )
        return entrant.with_settings(self.searches[entrant.label].best.settings)

    def _run_of(self, entrant: Entrant, seed: int) -> Run:
        """The run of one fit, which keeps its checkpoint in a folder of its own."""
        folder = self.run.checkpoint
        if folder is not None and sum(e.kind.trained for e in self.entrants) > 1:
            folder /= entrant.label
        if folder is not None and len(self.seeds) > 1:
            folder /= f"seed-{seed}"
        return replace(self.run, checkpoint=folder)

    def _of(self, label: str) -> list[Cell]:
        return [cell for cell in self.cells if cell.label == label]

    def conclusion(self) -> Comparison:
        """What follows from the models and seeds that are finished."""
        unfinished = [
            entrant.label
            for entrant in self.entrants
            if entrant.label not in self.refused and len(self._of(entrant.label)) < len(self.seeds)
        ]
        notes = [FIRST_SEED_TUNED] if self.searches and not isinstance(self.split, Split) else []
        return conclude(
            self.cells,
            self.searches,
            metrics=self.metrics,
            refused=self.refused,
            unfinished=unfinished,
            models=dict(self.models),
            data=self.data,
            notes=notes if len(self.seeds) > 1 else (),
        )
