"""A run that is being carried out: its data sets, and the cells of each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field, replace

from shoal.base.recommender import Recommender
from shoal.errors import ArtifactError, DataError
from shoal.evaluation.evaluate import refuse_long_lists
from shoal.executor import Executor
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.comparison.searching import search_together
from shoal.experiments.files.data import Loaded, make_split, splits_alike
from shoal.experiments.files.hashes import held_out_hash
from shoal.experiments.runs.cells import load_cell, save_cell
from shoal.experiments.runs.ending import load_search, save_search
from shoal.experiments.runs.folder import (
    CELLS,
    CHECKPOINTS,
    DATA,
    FAULTS,
    REFUSED,
    STUDIES,
    RunFolder,
    safe_name,
)
from shoal.experiments.runs.kept_models import KeptModels
from shoal.experiments.runs.one_cell import Failure, fit_one_cell
from shoal.experiments.runs.order import Order
from shoal.experiments.runs.start import check_held_out
from shoal.experiments.side_by_side import (
    SideBySide,
    in_a_task,
    needs_of_a_machine,
    needs_of_fit,
    side_by_side,
)
from shoal.experiments.tuning.trials import Searched
from shoal.experiments.warmup import warm_up
from shoal.run import Run, Step
from shoal.splitting.held_out import Split

CHECKPOINT_PAUSE = 30.0  # seconds: a shorter fit is done again, and writing takes a few per cent

Seen = Callable[[str, Cell, int, int], None]


@dataclass
class Work:
    """A run that is being carried out."""

    folder: RunFolder
    order: Order
    spent: Callable[[], float]  # seconds so far
    seen: Seen | None = None
    done: int = 0
    refused: dict[str, dict[str, str]] = field(default_factory=dict)  # tried again by each process
    left_out: bool = False  # whether models are left for later

    def refuse(self, data: str, label: str, why: str) -> None:
        """Write down that a model cannot be fitted; the others go on."""
        self.refused.setdefault(data, {})[label] = why
        self.folder.write_json(REFUSED, self.refused)


@dataclass(frozen=True)
class ToDo:
    """A cell that is to be measured; the entrant has the settings of its search."""

    entrant: Entrant
    seed: int


@dataclass
class DataSet:
    """One data set of a run: all seeds, and all models of each."""

    work: Work
    loaded: Loaded
    run: Run
    step: Step
    _parts: dict[int, Split] = field(default_factory=dict)
    _models: KeptModels = field(init=False)

    def do(self) -> None:
        """Measure what has not been measured, and what a report shows besides."""
        order = self.work.order
        self.work.folder.write_json(REFUSED, self.work.refused)  # not what was refused before
        self._refuse_long_lists()
        self._write_facts()
        finished = self._finished()
        folder, name = self.work.folder, self.loaded.name
        models = self._models = KeptModels(folder, name, order, finished.values())
        cells = self._cells(finished)
        executor = self.run.executor
        if executor is not None:
            # cells are kept as they end, so nobody must wait for a search meanwhile
            cells = iter(list(cells))
        self._do(cells, executor)
        if self.work.left_out:
            return
        models.choose(self._fit_again)
        models.make_extras(lambda: self._split(order.seeds[0]), self.loaded, self.run)

    def _refuse_long_lists(self) -> None:
        """End at once where no model could be judged; once one is measured, the others go on."""
        order = self.work.order
        if any((self.work.folder.path / CELLS).glob("*.json")):
            return
        tuning = order.experiment.tuning
        asked = list(order.metrics)
        if tuning is not None and order.searches:
            asked.append(tuning.metric)
        try:
            refuse_long_lists(asked, self._split(order.seeds[0]).train.n_items)
        except DataError as error:
            raise DataError(f"{self.loaded.name}: {error}") from None

    @property
    def _refused(self) -> dict[str, str]:
        """Why models cannot be fitted to this data set, by label."""
        return self.work.refused.get(self.loaded.name, {})

    def _finished(self) -> dict[tuple[int, str], Cell]:
        """The cells that were finished before, by seed and label; damaged ones count as none."""
        folder, name, order = self.work.folder, self.loaded.name, self.work.order
        finished = {}
        for seed in order.seeds:
            for label in (entrant.label for entrant in order.entrants):
                try:
                    cell = load_cell(folder, name, seed, label)
                except ArtifactError as error:
                    warnings.warn(f"{error}; {label} is measured again", stacklevel=2)
                    continue
                if cell is not None:
                    finished[seed, label] = cell
        return finished

    def _write_facts(self) -> None:
        """Keep what the data are; the held-out pairs are those of the first seed."""
        folder = self.work.folder
        known = folder.read_json_if_there(DATA)
        held_out = held_out_hash(self._split(self.work.order.seeds[0]).test)
        if self.loaded.name in known:
            check_held_out(folder, self.loaded.name, known, held_out)
        else:
            loaded, experiment = self.loaded, self.work.order.experiment
            known[loaded.name] = {
                "hashes": loaded.hashes | {"held_out": held_out},
                "facts": loaded.facts,
                "notes": list(loaded.notes),
                "splits_alike": splits_alike(loaded, experiment),
            }
            folder.write_json(DATA, known)

    def _cells(self, finished: Container[tuple[int, str]]) -> Iterator[ToDo]:
        """The cells that are to be measured, each once its model has been searched."""
        order = self.work.order
        for seed in order.seeds:
            for entrant in order.entrants:
                is_finished = (seed, entrant.label) in finished
                if not order.does(entrant.label):
                    self.work.left_out |= not is_finished
                    continue
                self.step.note(f"{self.loaded.name}, seed {seed}: {entrant.label}")
                tuned = None
                if not is_finished and entrant.label not in self._refused:
                    tuned = self._tuned_or_refused(entrant, seed)
                if tuned is None:
                    self._count()
                else:
                    yield ToDo(tuned, seed)

    def _count(self) -> None:
        self.work.done += 1
        self.step.advance()

    def _do(self, cells: Iterator[ToDo], executor: Executor | None) -> None:
        """Fit and measure: one after the other in this process, or as tasks side by side.

        A model that has no room on one machine comes after the others, with its fit divided.
        """
        metrics, divided = self.work.order.metrics, list[ToDo]()
        with SideBySide[ToDo](executor, needs_of_a_machine(self.run)) as under_way:
            while True:
                while under_way.has_room and (cell := next(cells, None)) is not None:
                    if cell.entrant.label in self._refused:  # with another seed meanwhile
                        self._count()
                        continue
                    model, run = cell.entrant.unfitted(), self._run_of(cell)
                    parts, needs = self._split(cell.seed), None
                    if executor is not None:
                        if side_by_side(run, model, parts.train) is None:
                            divided.append(cell)
                            continue
                        needs = needs_of_fit(run, model, parts.train)
                        run = in_a_task(run, needs)
                    keeps = self._models.may_keep(cell.seed)
                    under_way.begin(
                        cell, fit_one_cell, cell.entrant, under_way.put(parts), metrics, run, keeps,
                        needs=needs, n_results=2,
                    )  # fmt: skip
                if not under_way:
                    break
                cell, (measured, model_of) = under_way.ended()
                self._keep(cell, measured, model_of)
                self._count()
        if divided:
            self._do(iter(divided), None)

    def _keep(
        self, cell: ToDo, found: Cell | Failure, model: Callable[[], Recommender | None]
    ) -> None:
        """Keep what came of a model with a seed; `model` gives it, where it may be kept."""
        folder, name, label = self.work.folder, self.loaded.name, cell.entrant.label
        if isinstance(found, Failure):
            self._refuse(cell.entrant, cell.seed, found)
            return
        save_cell(folder, name, found)
        folder.set(seconds=self.work.spent())
        folder.remove(self._checkpoint(cell.seed, label))
        self._models.offer(found, model)
        if self.work.seen is not None:
            self.work.seen(name, found, self.work.done + 1, self.work.order.cells_now)

    def _refuse(self, entrant: Entrant, seed: int, failure: Failure) -> None:
        """Write down why a model cannot be measured."""
        why, name = failure.why, self.loaded.name
        if failure.fault:
            fault = f"{FAULTS}/{safe_name(name, seed, entrant.label)}.txt"
            self.work.folder.write_text(fault, failure.fault)
            why += f" (see {fault} in the folder of the run)"
        self.work.refuse(name, entrant.label, why)
        self._models.forget(entrant.label)

    def _tuned_or_refused(self, entrant: Entrant, seed: int) -> Entrant | None:
        """The entrant with the settings of its search; None where that cannot be made."""
        try:
            return self._tuned(entrant, seed)
        except Exception as error:
            # a fault in one model must not cost the results of the others
            self._refuse(entrant, seed, Failure.of(error))
            return None

    def _run_of(self, cell: ToDo) -> Run:
        """The run of one fit, which keeps its checkpoint in the folder."""
        place = self.work.folder.path / self._checkpoint(cell.seed, cell.entrant.label)
        pause = CHECKPOINT_PAUSE
        return replace(
            self.run, seed=cell.seed, checkpoint=place.absolute(), checkpoint_pause=pause
        )

    def _tuned(self, entrant: Entrant, seed: int) -> Entrant:
        """The entrant with the settings of its search, which is made here if it has not been."""
        order, folder, name = self.work.order, self.work.folder, self.loaded.name
        tuning, budget = order.experiment.tuning, order.budget
        if tuning is None or budget is None or not order.experiment.searches(entrant):
            return entrant
        seed = seed if tuning.each_seed else order.seeds[0]
        found = load_search(folder, name, seed, entrant.label)
        if found is None:
            parts = self._split(seed)
            run = replace(self.run, seed=seed)
            warm_up(entrant.unfitted(), parts.train, run, grid=True)
            storage = folder.path / STUDIES / f"{safe_name(name, seed)}.sqlite"
            storage.parent.mkdir(exist_ok=True)
            # those that share its inverses are searched with it, and need no search afterwards
            searched = search_together(
                entrant,
                order.entrants,
                parts,
                tuning.metric,
                budget=budget,
                sampler=tuning.sampler,
                run=run,
                storage=storage if tuning.sampler == "tpe" else None,
                known=self._searched(seed),
            )
            for label, each in searched.items():
                save_search(folder, name, seed, label, each)
            found = searched[entrant.label]
        return entrant.with_settings(found.best.settings)

    def _searched(self, seed: int) -> dict[str, Searched]:
        """The searches that are done, by label."""
        known = {
            entrant.label: load_search(self.work.folder, self.loaded.name, seed, entrant.label)
            for entrant in self.work.order.entrants
        }
        return {label: found for label, found in known.items() if found is not None}

    def _fit_again(self, label: str) -> Recommender:
        """Fit a model once more, with the first seed."""
        order = self.work.order
        seed = order.seeds[0]
        entrant = next(e for e in order.entrants if e.label == label)
        parts, run = self._split(seed), replace(self.run, seed=seed)
        return self._tuned(entrant, seed).unfitted().fit(parts.train, parts.validation, run)

    def _split(self, seed: int) -> Split:
        """The split of a seed, in which all models share; the last one is kept."""
        experiment = self.work.order.experiment
        if splits_alike(self.loaded, experiment):
            seed = experiment.seeds[0]
        if seed not in self._parts:
            self._parts = {seed: make_split(self.loaded, experiment, seed)}
        return self._parts[seed]

    def _checkpoint(self, seed: int, label: str) -> str:
        return f"{CHECKPOINTS}/{safe_name(self.loaded.name, seed, label)}"
