"""How the fit of a model is divided into tasks, by what its family can share out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shoal.base.closed_form import ClosedForm
from shoal.base.deep import DeepRecommender
from shoal.base.recommender import Recommender
from shoal.cluster import closed_form, tiled, training
from shoal.cluster.sharded import ShardedLog
from shoal.data.interactions import Interactions
from shoal.executor import Executor, Needs
from shoal.run import Run, Silent


def fit(
    executor: Executor, model: Recommender, interactions: Any, validation: Any, run: Run
) -> Recommender:
    """Fit a model with an executor; parameters and result as of `Executor.fit`."""
    if isinstance(model, DeepRecommender) and executor.trains_together:
        learned = training.fit(executor, model, interactions, validation, run)
        return take_over(model, learned, interactions)
    if isinstance(model, ClosedForm) and closed_form.can_divide(executor, model, interactions, run):
        if tiled.chosen(executor, model, interactions.size, run):
            return tiled.fit(executor, model, interactions, run)
        return take_over(model, closed_form.fit(executor, model, interactions, run), interactions)
    return fit_in_one_task(executor, model, interactions, validation, run)


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


def take_over(model: Recommender, learned: Any, log: Interactions | ShardedLog) -> Recommender:
    """Give `model` the arrays and facts that a worker learned."""
    state, facts = learned
    model.restore(state)
    model.take_catalogue(log.catalogue() if isinstance(log, ShardedLog) else log)
    model._facts, model._search = facts, None
    return model
