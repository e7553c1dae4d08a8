"""`run_experiment`: carry out an experiment file, cell by cell, in a folder that loses nothing."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from shoal.base.recommender import Recommender
from shoal.errors import ArtifactError, DataError, ModelError, ShoalError, TrainingError
from shoal.evaluation.evaluate import refuse_long_lists
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.comparison.measure import measure
from shoal.experiments.comparison.searching import search_together
from shoal.experiments.files.data import Loaded, load, make_split, splits_alike
from shoal.experiments.files.hashes import held_out_hash
from shoal.experiments.files.locating import tables_of
from shoal.experiments.runs.cells import load_cell, save_cell
from shoal.experiments.runs.ending import load_search, save_search
from shoal.experiments.runs.environment import without_folders
from shoal.experiments.runs.finish import finish
from shoal.experiments.runs.folder import (
    CELLS,
    CHECKPOINTS,
    COMPLETE,
    DATA,
    FAILED,
    FAULTS,
    INTERRUPTED,
    PARTIAL,
    REFUSED,
    STUDIES,
    RunFolder,
    safe_name,
)
from shoal.experiments.runs.kept_models import KeptModels
from shoal.experiments.runs.order import Order
from shoal.experiments.runs.start import begin, check_data, check_held_out, mark_running
from shoal.experiments.tuning.search import check_optuna
from shoal.experiments.tuning.trials import Searched
from shoal.experiments.warmup import warm_up
from shoal.run import Run, Step
from shoal.splitting.held_out import Split

CHECKPOINT_PAUSE = 30.0  # seconds: a shorter fit is done again, and writing takes a few per cent

Seen = Callable[[str, Cell, int, int], None]


def run_experiment(
    order: Order,
    path: Path,
    *,
    sha256: str | None = None,
    command: Sequence[str] = (),
    begun: Callable[[], None] | None = None,
    seen: Seen | None = None,
) -> RunFolder:
    """Carry out an experiment: search, fit and measure each model with each seed on each data set.

    Whatever is finished is on the disk at once. A run of the same file that ended early goes on.

    Parameters
    ----------
    order : Order
        The experiment, and where its data are.
    path : Path
        The folder of the run, as `choose_folder` gives it.
    sha256 : str, optional
        Of the experiment file, to be kept with the run.
    command : sequence of str
        The command line, to be kept with the run.
    begun : callable, optional
        Called when the folder is there, and no other process runs it.
    seen : callable, optional
        Called with the data set, the cell, its number and the number of all, once it is finished.

    Returns
    -------
    RunFolder

    Raises
    ------
    ShoalError
        The folder is in use, or the data have changed since the run was begun.
    KeyboardInterrupt
        Ctrl-C; results and report hold what was finished.
    """
    # models that are none, and data that are not there, are refused before a folder is made
    order.entrants  # noqa: B018
    tables = [
        tables_of(part, order.experiment.folder, order.elsewhere.get(part.label))
        for part in order.experiment.data
    ]
    tuning = order.experiment.tuning
    if tuning is not None and tuning.sampler == "tpe" and order.searches:
        check_optuna()  # without it every model that is tuned would be left out
    folder = begin(path, order)
    with folder.held():
        if begun is not None:
            begun()
        mark_running(folder, order, sha256, command)
        began, before = time.perf_counter(), float(folder.about["seconds"])

        def spent() -> float:
            return round(before + time.perf_counter() - began, 3)

        try:
            work = Work(folder, order, tables, spent, seen)
            work.do_all()
            finish(folder, order, PARTIAL if work.left_out else COMPLETE, spent())
        except KeyboardInterrupt:
            finish(folder, order, INTERRUPTED, spent())
            raise
        except BaseException as error:
            with suppress(Exception):  # the first error is the one to tell
                why = str(error).strip().splitlines() or [type(error).__name__]
                folder.set(failure=without_folders(why[0][:500]))
                finish(folder, order, FAILED, spent())
            raise
    return folder


@dataclass
class Work:
    """A run that is being carried out."""

    folder: RunFolder
    order: Order
    tables: Sequence[dict[str, Path]]  # the files of each data set
    spent: Callable[[], float]  # seconds so far
    seen: Seen | None = None
    done: int = 0
    refused: dict[str, dict[str, str]] = field(default_factory=dict)  # tried again by each process
    left_out: bool = False  # whether models are left for later

    def do_all(self) -> None:
        """Do all data sets, one after the other."""
        run, experiment = self.order.run, self.order.experiment
        with run.progress.step(f"running {experiment.name}", self.order.cells_now) as step:
            for part, files in zip(experiment.data, self.tables, strict=True):
                loaded = load(experiment, part, files, run)  # one data set is in memory at a time
                check_data(self.folder, loaded.name, loaded.hashes)
                DataSet(self, loaded, run, step).do()
        self.folder.remove(CHECKPOINTS)
        for lock in (self.folder.path / STUDIES).glob(".*.lock"):  # they name the host
            lock.unlink(missing_ok=True)
        if self.refused and not any((self.folder.path / CELLS).glob("*.json")):
            data, refused = next(iter(self.refused.items()))
            label, why = next(iter(refused.items()))
            raise ModelError(f"no model could be fitted: {label} on {data}: {why}")

    def refuse(self, data: str, label: str, why: str) -> None:
        """Write down that a model cannot be fitted; the others go on."""
        self.refused.setdefault(data, {})[label] = why
        self.folder.write_json(REFUSED, self.refused)


@dataclass
class DataSet:
    """One data set of a run: all seeds, and all models of each."""

    work: Work
    loaded: Loaded
    run: Run
    step: Step
    _parts: dict[int, Split] = field(default_factory=dict)

    def do(self) -> None:
        """Measure what has not been measured, and what a report shows besides."""
        order = self.work.order
        self.work.folder.write_json(REFUSED, self.work.refused)  # not what was refused before
        self._refuse_long_lists()
        self._write_facts()
        finished = self._finished()
        models = KeptModels(self.work.folder, self.loaded.name, order, finished.values())
        for seed in order.seeds:
            for entrant in order.entrants:
                is_finished = (seed, entrant.label) in finished
                if not order.does(entrant.label):
                    self.work.left_out |= not is_finished
                    continue
                self.step.note(f"{self.loaded.name}, seed {seed}: {entrant.label}")
                if not is_finished and entrant.label not in self._refused:
                    self._do_cell(entrant, seed, models)
                self.work.done += 1
                self.step.advance()
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

    def _do_cell(self, entrant: Entrant, seed: int, models: KeptModels) -> None:
        """Measure one model with one seed, and keep what came of it."""
        folder, name = self.work.folder, self.loaded.name
        found = self._measure(entrant, seed)
        if found is None:
            models.forget(entrant.label)
            return
        cell, model = found
        save_cell(folder, name, cell)
        folder.set(seconds=self.work.spent())
        folder.remove(self._checkpoint(seed, entrant.label))
        models.offer(cell, model)
        if self.work.seen is not None:
            self.work.seen(name, cell, self.work.done + 1, self.work.order.cells_now)

    def _measure(self, entrant: Entrant, seed: int) -> tuple[Cell, Recommender] | None:
        """Search, fit and measure; None where the model cannot be fitted."""
        folder, name = self.work.folder, self.loaded.name
        try:
            tuned = self._tuned(entrant, seed)
            goes_on = (folder.path / self._checkpoint(seed, entrant.label)).is_dir()
            try:
                return self._fit(tuned, seed)
            except TrainingError:
                if not goes_on:
                    raise
                # of another version, say: what was trained so far is lost, and nothing else
                folder.remove(self._checkpoint(seed, entrant.label))
                return self._fit(tuned, seed)
        except ShoalError as error:
            self.work.refuse(name, entrant.label, str(error))
        except Exception as error:
            # a fault in one model must not cost the results of the others
            fault = f"{FAULTS}/{safe_name(name, seed, entrant.label)}.txt"
            folder.write_text(fault, traceback.format_exc())
            lines = str(error).strip().splitlines() or [""]
            why = f"{type(error).__name__}: {lines[0][:200]} (see {fault} in the folder of the run)"
            self.work.refuse(name, entrant.label, why)
        return None

    def _fit(self, entrant: Entrant, seed: int) -> tuple[Cell, Recommender]:
        """Fit and measure a model, which goes on from its checkpoint if it has one."""
        place = self.work.folder.path / self._checkpoint(seed, entrant.label)
        run = replace(
            self.run,
            checkpoint=place if entrant.unfitted().trained_parts() else None,
            checkpoint_pause=CHECKPOINT_PAUSE,
        )
        metrics = self.work.order.metrics
        cell, model = measure(entrant, self._split(seed), metrics, run, seed)
        # of a fit that was continued, the epochs before count, too
        epochs = sum(row.get("seconds", 0.0) for row in cell.curve)
        return replace(cell, fit_seconds=max(cell.fit_seconds, epochs)), model

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
