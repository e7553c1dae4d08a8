"""`Contest`: a comparison that is running, here or on the machines of an executor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shoal.base.recommender import Recommender
from shoal.errors import ShoalError
from shoal.evaluation.evaluate import refuse_long_lists
from shoal.executor import Executor
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.conclude import Comparison, best_by_kind, conclude
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.comparison.entry import Entry, entry_of
from shoal.experiments.comparison.measure import Refusal, measure_or_refuse
from shoal.experiments.comparison.searching import search_together
from shoal.experiments.side_by_side import (
    SideBySide,
    in_a_task,
    needs_of_a_machine,
    needs_of_fit,
    side_by_side,
)
from shoal.experiments.tuning.search import Sampler
from shoal.experiments.tuning.trials import Budget, Searched
from shoal.experiments.warmup import warm_up
from shoal.run import Run, Step
from shoal.splitting.held_out import Split

Splits = Split | Callable[[int], Split]
FIRST_SEED_TUNED = (
    "Tuned once, on the validation users of the first seed, who may be test users of another seed."
)


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
    _last: tuple[int, Split] | None = None

    def run_all(self, seen: Callable[[Entry], None] | None) -> None:
        """Fit and evaluate all models with all seeds: one after the other, or side by side."""
        total, executor = len(self.entrants) * len(self.seeds), self.run.executor
        with self.run.progress.step("comparing", total) as step:
            cells = self._to_measure(step)
            if executor is not None:
                cells = iter(list(cells))  # all searches first, each with all machines
            self._measure(cells, executor, step, seen)
        if self.keep_models == "best" and len(self.seeds) > 1:
            self._keep_best_over_all_seeds()

    def _to_measure(self, step: Step) -> Iterator[tuple[Entrant, int]]:
        """Each entrant with each seed, once it is tuned."""
        for seed in self.seeds:
            if seed == self.seeds[0]:
                refuse_long_lists(self.metrics, self._parts(seed).train.n_items)
            for place, entrant in enumerate(self.entrants):
                step.note(entrant.label)
                if entrant.label not in self.refused:
                    self.entrants[place] = self._tuned_or_refused(entrant, seed)
                if entrant.label in self.refused:
                    step.advance()
                else:
                    yield self.entrants[place], seed
                # other seeds fit another object
                self.entrants[place] = replace(self.entrants[place], model=None)

    def _measure(
        self,
        cells: Iterator[tuple[Entrant, int]],
        executor: Executor | None,
        step: Step,
        seen: Callable[[Entry], None] | None,
    ) -> None:
        """Measure cells here, or as tasks; those that have no room on a machine at the end."""
        divided: list[tuple[Entrant, int]] = []
        with SideBySide[tuple[Entrant, int]](executor, needs_of_a_machine(self.run)) as work:
            while True:
                while work.has_room and (cell := next(cells, None)) is not None:
                    entrant, seed = cell
                    if entrant.label in self.refused:  # with another seed meanwhile
                        step.advance()
                        continue
                    parts, model, needs = self._parts(seed), entrant.unfitted(), None
                    run = self._run_of(entrant, seed)
                    if executor is not None:
                        if side_by_side(run, model, parts.train) is None:
                            divided.append(cell)
                            continue
                        needs = needs_of_fit(run, model, parts.train)
                        run = in_a_task(run, needs)
                    keeps = bool(self.keep_models) and seed == self.seeds[0]
                    work.begin(
                        cell, measure_or_refuse, entrant, work.put(parts), self.metrics, run,
                        seed, keeps, needs=needs, n_results=2,
                    )  # fmt: skip
                if not work:
                    break
                (entrant, seed), (found, model_of) = work.ended()
                self._take(entrant, found, model_of)
                if seen is not None and entrant.label not in self.refused:
                    seen(entry_of(self._of(entrant.label), self.searches.get(entrant.label)))
                step.advance()
        if divided:
            self._measure(iter(divided), None, step, seen)

    def _take(
        self, entrant: Entrant, found: Cell | Refusal, model: Callable[[], Recommender | None]
    ) -> None:
        """Keep what came of an entrant with a seed."""
        if isinstance(found, Refusal):
            self._refuse(entrant, found.error)
        elif entrant.label not in self.refused:  # with another seed meanwhile
            self.cells.append(found)
            if self.keep_models and found.seed == self.seeds[0]:
                self._keep(found, model)

    def _refuse(self, entrant: Entrant, error: ShoalError) -> None:
        self.refused[entrant.label], self.last_refusal = str(error), error
        self.cells = [cell for cell in self.cells if cell.label != entrant.label]

    def _parts(self, seed: int) -> Split:
        """The split of a seed; the last one is kept."""
        if isinstance(self.split, Split):
            return self.split
        if self._last is None or self._last[0] != seed:
            self._last = None  # its memory is free while the next is made
            self._last = seed, self.split(seed)
        return self._last[1]

    def _tuned_or_refused(self, entrant: Entrant, seed: int) -> Entrant:
        """The entrant with the best settings; as it is, where it is not tuned or is refused."""
        if self.budget is None or not entrant.tune or not entrant.searchable:
            return entrant
        try:
            return self._tuned(entrant, seed, self.budget)
        except ShoalError as error:
            self._refuse(entrant, error)
            return entrant

    def _keep(self, cell: Cell, model: Callable[[], Recommender | None]) -> None:
        """Keep a fitted model, and let those go that are not to be kept any more."""
        if self.keep_models == "best":
            alike = [c for c in self.cells if c.kind == cell.kind and c.seed == cell.seed]
            if best_by_kind(alike)[cell.kind] != cell.label:
                return
            for other in alike:
                self.models.pop(other.label, None)
        fitted = model()
        assert fitted is not None
        self.models[cell.label] = fitted

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

    def _tuned(self, entrant: Entrant, seed: int, budget: Budget) -> Entrant:
        """The entrant with the settings that are best on the validation users of the first seed."""
        if entrant.label in self.searches:
            return entrant.with_settings(self.searches[entrant.label].best.settings)
        parts = self._parts(seed)
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
        place = {seed: number for number, seed in enumerate(self.seeds)}
        notes = [FIRST_SEED_TUNED] if self.searches and not isinstance(self.split, Split) else []
        return conclude(
            sorted(self.cells, key=lambda cell: place[cell.seed]),  # they end in any order
            self.searches,
            metrics=self.metrics,
            refused=self.refused,
            unfinished=unfinished,
            models=dict(self.models),
            data=self.data,
            notes=notes if len(self.seeds) > 1 else (),
        )
