"""Several processes at one study: each proposes, fits and tells, until the budget is used."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

from shoal.errors import DataError
from shoal.experiments.tuning.search import search
from shoal.experiments.tuning.trials import Searched
from shoal.kernels.threads import cores
from shoal.run import Run, Silent

FEW = 16  # processes that any machine may be asked for


def search_in_processes(jobs: int, **arguments: Any) -> Searched:
    """Do what `search` does, in several processes that share the study and its budget.

    Parameters
    ----------
    jobs : int
        Number of processes. The threads of the run are divided among them; each holds the data
        and fits a model of its own, within its share of the memory budget.
    **arguments
        Those of `search`, with a `storage`.

    Raises
    ------
    DataError
        `jobs` is below 1 or far above the number of cores, or there is no storage.
    """
    if jobs < 1:
        raise DataError(f"jobs={jobs}: give 1 or more")
    if jobs > 1 and (arguments.get("run") or Run()).executor is not None:
        raise DataError(
            f"jobs={jobs}: on a cluster so many trials are under way as its machines can do; leave "
            "out --jobs, and say by --threads how many cores each trial takes"
        )
    if jobs > (most := max(cores(), FEW)):
        raise DataError(
            f"jobs={jobs}: this machine has {cores()} cores: give {most} or fewer, since each is a "
            "process that holds the data"
        )
    if jobs > 1 and arguments.get("storage") is None:
        raise DataError("several processes share a study in a file: name one with --storage FILE")
    if jobs > 1:
        run = arguments.get("run") or Run()
        share = replace(
            run,
            threads=max(1, (run.threads or cores()) // jobs),
            memory=run.memory_budget // jobs,
            progress=Silent(),
        )
        # a study that cannot be used is refused here, by one process
        with run.progress.step(f"tuning in {jobs} processes", jobs) as step:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(jobs, mp_context=context) as pool:
                work: Callable[..., Searched] = search
                begun = [pool.submit(work, **{**arguments, "run": share}) for _ in range(jobs)]
                for each in begun:
                    each.result()
                    step.advance()
    return search(**arguments)  # nothing is left to try but what a killed process left
