"""A fit that is one task."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.cluster.learned import take_over
from shoal.cluster.sharded import ShardedLog
from shoal.data.interactions import Interactions
from shoal.executor import Executor, Needs
from shoal.run import Run, Silent


def fit_in_one_task(
    executor: Executor, model: Recommender, log: Any, validation: Any, run: Run
) -> Recommender:
    """Fit a model whose work cannot be divided, on the machine with the most memory."""
    if isinstance(log, Interactions):
        size = _bytes_of(log)
        executor.check_room("the log", size, size)
    threads = min(run.threads or executor.threads_of_the_largest, executor.threads_of_the_largest)
    there = replace(run, executor=None, progress=Silent(), threads=threads)
    needs = Needs(threads, largest=True, gpus=int(run.device.startswith("cuda")))
    with run.progress.step(f"{model.name}: fitted on one machine"):
        handle = executor.submit(
            *(_fitted, type(model)(**model.model_dump()), log, validation, there, executor),
            needs=needs,
        )
        learned, told = executor.get(handle)
    for category, message in told:
        warnings.warn(message, category, stacklevel=2)
    return take_over(model, learned, log)


def _fitted(model: Recommender, log: Any, validation: Any, run: Run, executor: Executor) -> Any:
    """What a fit learns, and the warnings that nobody would see where it is done."""
    if isinstance(log, ShardedLog):
        log = log.whole(executor)
    with warnings.catch_warnings(record=True) as caught:
        model.fit(log, validation, run)
    return (model.state(), model.facts), [(w.category, str(w.message)) for w in caught]


def _bytes_of(log: Interactions) -> int:
    arrays = (log.indptr, log.indices, log.values, log.times, log.rows, log.item_vectors)
    return sum(a.nbytes for a in arrays if isinstance(a, np.ndarray))
