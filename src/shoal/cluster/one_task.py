"""A fit that is one task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shoal.base.recommender import Recommender
from shoal.cluster.learned import take_over
from shoal.cluster.sharded import ShardedLog
from shoal.executor import Executor, Needs
from shoal.run import Run, Silent


def fit_in_one_task(
    executor: Executor, model: Recommender, log: Any, validation: Any, run: Run
) -> Recommender:
    """Fit a model whose work cannot be divided, on the machine with the most memory."""
    threads = min(run.threads or executor.threads_of_the_largest, executor.threads_of_the_largest)
    there = replace(run, executor=None, progress=Silent(), threads=threads)
    needs = Needs(threads, largest=True, gpus=int(run.device != "cpu"))
    handle = executor.submit(
        _fitted, type(model)(**model.model_dump()), log, validation, there, executor, needs=needs
    )
    return take_over(model, executor.get(handle), log)


def _fitted(model: Recommender, log: Any, validation: Any, run: Run, executor: Executor) -> Any:
    if isinstance(log, ShardedLog):
        log = log.whole(executor)
    model.fit(log, validation, run)
    return model.state(), model.facts
