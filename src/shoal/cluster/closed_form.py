"""Closed-form models (`shoal.base.closed_form`) fitted to a log whose rows are divided by user.

XᵀX is added up by tasks (`gram`), and the machine with the most memory fetches its bands one by one
into a single n × n array, in which it computes the inverse and the weights as a fit to a whole log
does. What needs the rows again (the check of the inverse, G'·z for later updates) are sums over
shards. A binary log gives the weights of a local fit bit by bit, with the same number of threads
and β = 0; otherwise sums are rounded in another order, the same on every cluster.

**Memory** of the largest machine: 4·n² bytes, a band, and in its object store the weights once more
as a result; the process that asked for the fit holds them, too. The bands of XᵀX stay in the object
stores until then (2·n² bytes on all machines together), so that a solver that is killed begins
with the inverse again and not with the log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shoal.base import dual
from shoal.base.closed_form import ClosedForm
from shoal.base.system import System, gram_times, ridge_of, weights_of_users
from shoal.cluster.gram import Plan, even_edges, gram_bands
from shoal.cluster.sharded import Shard, ShardedLog
from shoal.data.checks import check_enough, check_weights
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.errors import MemoryBudgetError, ModelError
from shoal.executor import Executor, Handle, Needs
from shoal.kernels import column_sums
from shoal.kernels.arrays import Double, Float, Long, State
from shoal.run import Run, Silent, human_bytes


def can_divide(executor: Executor, model: ClosedForm, log: Any, run: Run) -> bool:
    """Whether a fit adds up XᵀX; if not, it needs the whole log on one machine.

    That is so for a model that computes more than B of the formula (its low-pass filter), and where
    there are so few users that they are solved for in place of the items.
    """
    if type(model)._fit is not ClosedForm._fit:
        return False
    if not model.can_share_inverse:
        return True
    budget = run.memory or executor.memory_of_the_largest
    return not dual.chosen(log.size, log.item_counts, bytes_to_solve(log.size), budget)


def fit(executor: Executor, model: ClosedForm, log: Interactions | ShardedLog, run: Run) -> Any:
    """What a fit learns, computed by an executor.

    Parameters
    ----------
    executor : Executor
    model : ClosedForm
        Its hyper-parameters count; it is not changed.
    log : Interactions or ShardedLog
    run : Run

    Returns
    -------
    (state, facts)
        As `fitting.take_over` takes them.

    Raises
    ------
    DataError, ModelError
        As of a local fit.
    MemoryBudgetError
        The machines are too small; no work has begun.
    """
    check_enough(log)
    _check(executor, model, log.size, run)
    sharded = log if isinstance(log, ShardedLog) else ShardedLog.of(log, executor)
    edges = even_edges(sharded.n_items)
    Plan.of(sharded, edges, model.beta).check(executor)
    squares = squares_of(executor, sharded)
    ridge = ridge_of(model.name, squares, model.l2, model._dropout)
    with run.progress.step(f"{model.name}: Gram matrix", 1.0) as step:
        bands = gram_bands(executor, sharded, edges, model.beta, step=step)
    system = ShardedSystem(
        model.name, sharded.catalogue(), ridge, np.zeros(0, np.float32), squares,
        executor, sharded, tuple(bands), edges, model.beta,
    )  # fmt: skip
    most = executor.threads_of_the_largest
    threads = min(run.threads or most, most)
    there = replace(run, executor=None, progress=Silent(), threads=threads)
    needs = Needs(threads, _bytes_of_solving(model, sharded.size), largest=True)
    with run.progress.step(f"{model.name}: inverse of {len(ridge):,} × {len(ridge):,}"):
        fresh = type(model)(**model.model_dump())
        return executor.get(executor.submit(_solved, fresh, system, there, needs=needs))


def _check(executor: Executor, model: ClosedForm, size: Size, run: Run) -> None:
    """Refuse what the largest machine cannot do, before any work."""
    refuse_device(model, run)
    need, room = _bytes_of_solving(model, size), room_of_the_largest(executor, run)
    if need > room:
        raise MemoryBudgetError(
            f"{model.name} on {size.n_items:,} items needs {human_bytes(need)} on one machine, and "
            f"the one with the most memory has {human_bytes(room)} for it: add a machine with "
            "more, or drop rare items (--min-item-users)"
        )
    executor.check_room("the model", 4 * size.n_items**2, 4 * size.n_items**2)


def refuse_device(model: ClosedForm, run: Run) -> None:
    """Refuse an accelerator, before any work."""
    if run.device not in ("cpu", "auto"):
        raise ModelError(
            f"{model.name} on several machines computes on their processors, not on "
            f"{run.device!r}: leave the device out"
        )


def room_of_the_largest(executor: Executor, run: Run) -> int:
    """Bytes that a task may take on the machine with the most memory."""
    there = executor.memory_of_the_largest
    return there if run.memory is None else min(run.memory, there)


def _bytes_of_solving(model: ClosedForm, size: Size) -> int:
    """Memory of the largest machine, also for what a model does with its weights afterwards."""
    without_log = size._replace(n_interactions=0)
    return max(bytes_to_solve(size), model.bytes_to_fit(without_log))


def bytes_to_solve(size: Size) -> int:
    """Memory of the largest machine: n × n, a band that is fetched, and some vectors."""
    n = size.n_items
    edges = even_edges(n)
    band = 4 * max(end - begin for begin, end in pairwise(edges)) * n
    return 4 * n**2 + band + 256 * n


def _solved(model: ClosedForm, system: System, run: Run) -> tuple[State, dict[str, float]]:
    model.fit_system(system, run)
    return model.state(), model.facts


@dataclass(frozen=True)
class ShardedSystem(System):
    """The matrix to invert of a log whose rows are on many machines.

    Parameters
    ----------
    name, ridge, squares
        As of `System`.
    log : Interactions
        The items alone.
    user_weights : (0,) float32
        Not used: tasks compute those of their users.
    executor : Executor
    sharded : ShardedLog
        X.
    bands : tuple of Handle
        Of the upper triangle of G', as `gram.gram_bands` made them.
    edges : tuple of int
        Where bands begin, and the number of items.
    beta : float
    """

    executor: Executor
    sharded: ShardedLog
    bands: tuple[Handle, ...]
    edges: tuple[int, ...]
    beta: float

    @property
    def item_counts(self) -> Long:
        """(n_items,) users per item."""
        return self.sharded.item_counts

    def gram_times(self, v: Double) -> Double:
        """G'·v, (n_items,) float64, as a sum over shards in their order."""
        vector = self.executor.put(v)
        shards = self.sharded.shards
        return _total(self.executor.map(_gram_times, shards, self.beta, vector), len(v))

    def _write_gram(self, P: NDArray[Any]) -> Double:
        bands = self.bands
        if P.dtype != np.float32:
            bands = tuple(
                gram_bands(self.executor, self.sharded, self.edges, self.beta, P.dtype.type)
            )
        for (begin, end), band in zip(pairwise(self.edges), bands, strict=True):
            P[begin:end, begin:] = self.executor.get(band)
        return self.ridge


def _gram_times(shard: Shard, beta: float, v: Double) -> Double:
    weights = weights_of_users(shard.indptr, beta)
    return gram_times(shard.indptr, shard.indices, shard.values, weights, v)


def squares_of(executor: Executor, sharded: ShardedLog) -> Double:
    """G_jj, (n_items,) float64, of a log whose values are checked on the way."""
    if not sharded.values:
        return sharded.item_counts.astype(np.float64)
    parts = executor.map(_squares_of_shard, sharded.shards, executor.put(sharded.items))
    return _total(parts, sharded.n_items)


def _squares_of_shard(shard: Shard, items: Ids) -> Double:
    values: Float = np.ones(0, np.float32) if shard.values is None else shard.values
    if not (np.isfinite(values).all() and (values > 0).all()):
        users = shard.users or Ids(pl.Series(np.arange(shard.n_users)), "int")
        check_weights(Interactions(users, items, shard.indptr, shard.indices, values))
    return column_sums.sums(shard.indices, values, len(items), squared=True)


def _total(parts: list[Double], n: int) -> Double:
    total = np.zeros(n)
    for part in parts:
        total += part
    return total
