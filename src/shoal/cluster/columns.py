"""The fit of a model that goes over columns, with ranges of columns as tasks.

What all columns read is made once, by the machine with the most memory, and stays in the object
store: each machine fetches it once, and all tasks there read the same memory. So does the result of
each pass. The process that asks for the fit holds none of it, but the estimates of work and the
fitted model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shoal.base.by_columns import ColumnwiseRecommender, Pass, ranges_of
from shoal.base.recommender import Recommender
from shoal.cluster.learned import take_over
from shoal.data.interactions import Interactions
from shoal.executor import Executor, Handle, Needs
from shoal.kernels.arrays import Double, not_locked
from shoal.run import Run, Silent


def fit_by_columns(
    executor: Executor, model: ColumnwiseRecommender, log: Interactions, run: Run
) -> Recommender:
    """Fit a model whose passes over columns are divided into ranges.

    Parameters
    ----------
    executor : Executor
    model : ColumnwiseRecommender
        Unfitted; it is fitted afterwards.
    log : Interactions
    run : Run

    Returns
    -------
    Recommender
        `model` itself, with the bits of a fit in one process with the same memory budget.
    """
    unfitted = type(model)(**model.model_dump())
    one = _one_machine(executor, run)
    there = replace(run, executor=None, progress=Silent(), threads=one.threads)
    read = replace(log, item_table=None, times=None, rows=None, seen=None)
    with run.progress.step(f"{model.name}: data"):
        known = [executor.submit(shared_by_columns, unfitted, read, there, needs=one)]
        executor.get(executor.submit(_is_there, known[0]))
    for each in unfitted._passes(log.n_items):
        known.append(_in_ranges(executor, each, known, run, model.name))
    learned = executor.submit(model_of_columns, unfitted, *known, needs=one)
    return take_over(model, executor.get(learned), log)


def _in_ranges(
    executor: Executor, each: Pass, known: Sequence[Handle], run: Run, name: str
) -> Handle:
    """Do one pass; the handle of its result."""
    work = executor.get(executor.submit(work_of_columns, each, *known))
    ranges, n_known = ranges_of(work), len(known)
    tasks = [
        executor.submit(range_of_columns, each, begin, end, *known, n_results=2)
        for begin, end in ranges
    ]
    if tasks:
        with run.progress.step(f"{name}: {each.label}", len(work)) as step:
            for _, n_columns in executor.as_completed([finished for finished, _ in tasks]):
                step.advance(n_columns)
    parts, one = [part for _, part in tasks], _one_machine(executor, run)
    return executor.submit(joined_columns, each, n_known, *known, *parts, needs=one)


def _one_machine(executor: Executor, run: Run) -> Needs:
    """What a step takes that is not divided: the machine with the most memory."""
    most = executor.threads_of_the_largest
    return Needs(min(run.threads or most, most), largest=True)


# -- tasks ----------------------------------------------------------------------------------


def shared_by_columns(model: ColumnwiseRecommender, log: Interactions, run: Run) -> Any:
    """What all columns read."""
    model.check_can_fit(log, run)
    return model._shared(log, run)


def work_of_columns(each: Pass, *known: Any) -> Double:
    """The work of each column."""
    return each.work(not_locked(known))


def range_of_columns(each: Pass, begin: int, end: int, *known: Any) -> tuple[int, Any]:
    """How many columns a range has, as a sign that it is done, and their result."""
    return end - begin, each.columns(begin, end, lambda _columns: None, not_locked(known))


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
