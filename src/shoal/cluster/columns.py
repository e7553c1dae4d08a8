"""The fit of a model that goes over columns, with ranges of columns as tasks.

What all columns read is made once, by the machine with the most memory, and stays in the object
store: each machine fetches it once, and all tasks there read the same memory. So does the result of
each pass. The process that asks for the fit holds none of it, but the estimates of work and the
fitted model.

Where a log is divided by user, a model that needs XᵀX alone has it added up over the shards
(`shoal.cluster.gram`), and no machine holds the log. Others need every user of an item at once: the
machine with the most memory puts the whole log together, and each machine that works on columns
holds it by row and by column. That is the limit of this way: 16 to 20 bytes for each interaction,
beside what `bytes_to_fit` counts for the model, on each machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from shoal.base.by_columns import ColumnwiseRecommender, Pass, ranges_of
from shoal.base.recommender import Recommender
from shoal.base.system import ridge_of
from shoal.cluster.closed_form import room_of_the_largest, squares_of
from shoal.cluster.gram import Plan, even_edges, gram_bands
from shoal.cluster.learned import take_over
from shoal.cluster.sharded import ShardedLog
from shoal.data.checks import check_enough
from shoal.data.interactions import Interactions
from shoal.errors import MemoryBudgetError
from shoal.executor import Executor, Handle, Needs
from shoal.kernels.arrays import Double, Float, not_locked
from shoal.kernels.linear import mirror_upper
from shoal.run import Run, Silent


def fit_by_columns(
    executor: Executor, model: ColumnwiseRecommender, log: Interactions | ShardedLog, run: Run
) -> Recommender:
    """Fit a model whose passes over columns are divided into ranges.

    Parameters
    ----------
    executor : Executor
    model : ColumnwiseRecommender
        Unfitted; it is fitted afterwards.
    log : Interactions or ShardedLog
    run : Run

    Returns
    -------
    Recommender
        `model` itself, with the bits of a fit in one process with the same memory budget. Where
        XᵀX was added up over shards that have values, it has them up to rounding.

    Raises
    ------
    DataError, ModelError
        As of a fit in one process.
    MemoryBudgetError
        The machines are too small; no work has begun.
    """
    check_enough(log)
    need = model.bytes_to_fit(log.size)
    if why := model.refusal(log.size, room_of_the_largest(executor, run)):
        raise MemoryBudgetError(f"on the machine with the most memory, {why}")
    executor.check_room("what all columns read", need, need)
    unfitted = type(model)(**model.model_dump())
    known: list[Handle] = []
    if isinstance(log, ShardedLog) and unfitted._of_gram(None) is not None:
        known += unfitted._of_gram(_gram_of_shards(executor, unfitted.name, log, run)) or ()
    else:
        known.append(_shared(executor, unfitted, log, run))
    for each in unfitted._passes(log.n_items)[len(known) - 1 :]:
        known.append(_in_ranges(executor, each, known, run, model.name))
    one = _one_machine(executor, run)
    learned = executor.get(executor.submit(model_of_columns, unfitted, *known, needs=one))
    return take_over(model, learned, log)


def _shared(
    executor: Executor, model: ColumnwiseRecommender, log: Interactions | ShardedLog, run: Run
) -> Handle:
    """What all columns read, made of the whole log by one machine."""
    one = _one_machine(executor, run)
    there = replace(run, executor=None, progress=Silent(), threads=one.threads)
    if isinstance(log, Interactions):
        log = replace(log, item_table=None, times=None, rows=None, seen=None)
    with run.progress.step(f"{model.name}: data"):
        shared = executor.submit(shared_by_columns, model, log, there, executor, needs=one)
        executor.get(executor.submit(_is_there, shared))
    return shared


def _gram_of_shards(executor: Executor, name: str, log: ShardedLog, run: Run) -> Handle:
    """XᵀX, added up over shards."""
    edges = even_edges(log.n_items)
    Plan.of(log, edges).check(executor)
    ridge_of(name, squares_of(executor, log), 1.0, 0.0)  # refuses values that are too large
    with run.progress.step(f"{name}: Gram matrix", 1.0) as step:
        bands = gram_bands(executor, log, edges, step=step)
    return executor.submit(whole_gram, edges, *bands, needs=_one_machine(executor, run))


def _in_ranges(
    executor: Executor, each: Pass, known: Sequence[Handle], run: Run, name: str
) -> Handle:
    """Do one pass; the handle of its result."""
    work = executor.get(executor.submit(work_of_columns, each, *known))
    ranges, one = ranges_of(work), _one_machine(executor, run)
    if len(ranges) < 2:  # as parts, its result would be copied once more
        return executor.submit(all_columns, each, *known, needs=one)
    tasks = [
        executor.submit(range_of_columns, each, begin, end, *known, n_results=2)
        for begin, end in ranges
    ]
    with run.progress.step(f"{name}: {each.label}", len(work)) as step:
        for _, n_columns in executor.as_completed([finished for finished, _ in tasks]):
            step.advance(n_columns)
    parts = [part for _, part in tasks]
    return executor.submit(joined_columns, each, len(known), *known, *parts, needs=one)


def _one_machine(executor: Executor, run: Run) -> Needs:
    """What a step takes that is not divided: the machine with the most memory."""
    most = executor.threads_of_the_largest
    return Needs(min(run.threads or most, most), largest=True)


# -- tasks ----------------------------------------------------------------------------------


def shared_by_columns(
    model: ColumnwiseRecommender, log: Interactions | ShardedLog, run: Run, executor: Executor
) -> Any:
    """What all columns read."""
    if isinstance(log, ShardedLog):
        log = log.whole(executor)
    own: Interactions = not_locked(log)
    model.check_can_fit(own, run)
    return model._shared(own, run)


def whole_gram(edges: Sequence[int], *bands: Float) -> Float:
    """Both triangles of XᵀX."""
    G = np.empty((edges[-1], edges[-1]), np.float32)
    for (begin, end), band in zip(pairwise(edges), bands, strict=True):
        G[begin:end, begin:] = band
    mirror_upper(G)
    return G


def work_of_columns(each: Pass, *known: Any) -> Double:
    """The work of each column."""
    return each.work(not_locked(known))


def range_of_columns(each: Pass, begin: int, end: int, *known: Any) -> tuple[int, Any]:
    """How many columns a range has, as a sign that it is done, and their result."""
    return end - begin, each.columns(begin, end, lambda _columns: None, not_locked(known))


def all_columns(each: Pass, *known: Any) -> Any:
    """The result of a pass that is not divided."""
    return each.all_columns(Silent(), "", not_locked(known))


def joined_columns(each: Pass, n_known: int, *known_and_parts: Any) -> Any:
    """The result of all columns."""
    values = not_locked(known_and_parts)
    return each.joined(values[n_known:], values[:n_known])


def model_of_columns(model: ColumnwiseRecommender, *known: Any) -> Any:
    """The arrays and facts of the fitted model."""
    model._learn(not_locked(known))
    return model.state(), model.facts


def _is_there(_shared: Any) -> bool:
    """A sign that what all columns read is made."""
    return True
