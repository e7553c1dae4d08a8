"""`run_experiment`: carry out an experiment file, cell by cell, in a folder that loses nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from shoal.errors import ModelError
from shoal.experiments.files.data import load
from shoal.experiments.files.locating import tables_of
from shoal.experiments.runs.data_set import DataSet, Seen, Work
from shoal.experiments.runs.environment import without_folders
from shoal.experiments.runs.finish import finish
from shoal.experiments.runs.folder import (
    CELLS,
    CHECKPOINTS,
    COMPLETE,
    FAILED,
    INTERRUPTED,
    PARTIAL,
    STUDIES,
    RunFolder,
)
from shoal.experiments.runs.order import Order
from shoal.experiments.runs.start import begin, check_data, mark_running
from shoal.experiments.tuning.search import check_optuna


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
            work = Work(folder, order, spent, seen)
            do_all(work, tables)
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


def do_all(work: Work, tables: Sequence[dict[str, Path]]) -> None:
    """Do all data sets, one after the other; `tables` are the files of each."""
    run, experiment, folder = work.order.run, work.order.experiment, work.folder
    with run.progress.step(f"running {experiment.name}", work.order.cells_now) as step:
        for part, files in zip(experiment.data, tables, strict=True):
            loaded = load(experiment, part, files, run)  # one data set is in memory at a time
            check_data(folder, loaded.name, loaded.hashes)
            DataSet(work, loaded, run, step).do()
    folder.remove(CHECKPOINTS)
    for lock in (folder.path / STUDIES).glob(".*.lock"):  # they name the host
        lock.unlink(missing_ok=True)
    if work.refused and not any((folder.path / CELLS).glob("*.json")):
        data, refused = next(iter(work.refused.items()))
        label, why = next(iter(refused.items()))
        raise ModelError(f"no model could be fitted: {label} on {data}: {why}")
