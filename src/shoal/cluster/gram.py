"""XᵀX of a log whose rows are divided by user: bands of rows, or tiles, of its upper triangle.

A task adds up one band of XᵀX over one chunk of consecutive shards; where there are several chunks,
other tasks add up what they found, by a tree of fixed shape. Chunks, bands and tree follow from the
log alone, so the bits do not depend on the cluster. A binary log without weights of users is
counted in whole numbers, so its XᵀX is exact until it is rounded to floats, once.

**Memory.** With bands of h rows over n items, a task takes 2·4·h·n bytes (the band, and what it
returns), 12 bytes for each entry of the band's columns in `GROUP` interactions, and `GROUP`
interactions themselves, copied so that all users of an item are near each other. A task of a band
above `BAND_OF_A_THREAD` bytes takes a thread for each such part, so that threads share one band. In
the object store of a machine are, at once, the shards of the chunks that its tasks work on, and a
band for each of its tasks. In all stores together are the log, the finished upper triangle (2·n²
bytes), and at most (2 · tasks that run at once + `FAN_IN` · depth of the tree) bands. `Plan` gives
these numbers, and refuses work for which a machine is too small before it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.base.system import weights_of_users
from shoal.cluster.sharded import Shard, ShardedLog
from shoal.errors import MemoryBudgetError
from shoal.executor import Executor, Handle, Needs
from shoal.kernels import gram, linear
from shoal.kernels.arrays import Float
from shoal.run import Step, human_bytes

BANDS = 16  # bands of an XᵀX whose bands need not have a given height, unless they are too large
LARGEST_BAND = 2**30  # bytes
SMALLEST_BAND = 128  # rows
BAND_OF_A_THREAD = 2**28  # bytes
GROUP = 2**24  # interactions that are added up as one
ADDITIONS = 64  # to each number of XᵀX by a chunk, so that making and adding bands is little beside
LARGEST_CHUNK = 2**29  # interactions
FAN_IN = 8  # bands that one task adds up


def even_edges(n_items: int) -> tuple[int, ...]:
    """Where the bands of XᵀX begin, and the number of items: bands of the same height."""
    n_bands = max(BANDS, -(-4 * n_items**2 // LARGEST_BAND))
    n_bands = max(1, min(n_bands, n_items // SMALLEST_BAND))
    return tuple(int(edge) for edge in np.linspace(0, n_items, n_bands + 1).round())


@dataclass(frozen=True)
class Plan:
    """How XᵀX of a log is divided into tasks, and what they take.

    Parameters
    ----------
    edges : tuple of int
        Where bands begin, and the number of items.
    chunks : tuple of slice
        Consecutive shards.
    bytes_of_chunk : int
        Of the largest chunk.
    n_together : int
        Interactions that are added up as one, at most.
    exact : bool
        Whether it is counted in whole numbers.
    """

    edges: tuple[int, ...]
    chunks: tuple[slice, ...]
    bytes_of_chunk: int
    n_together: int
    exact: bool

    @staticmethod
    def of(sharded: ShardedLog, edges: Sequence[int], beta: float = 0.0) -> Plan:
        """Plan XᵀX of a log, with users weighted by d^−β for d interactions."""
        chunks = _chunks(sharded)
        width = 8 if sharded.values else 4
        sizes = [8 * s.n_users + width * s.n_interactions for s in sharded.sizes]
        return Plan(
            tuple(edges),
            chunks,
            max(sum(sizes[chunk]) for chunk in chunks),
            max(min(len(sharded), GROUP), *(s.n_interactions for s in sharded.sizes)),
            beta == 0 and not sharded.values,
        )

    @property
    def bytes_of_band(self) -> int:
        """Size of the largest band in float32."""
        n = self.edges[-1]
        return max(4 * (end - begin) * (n - begin) for begin, end in pairwise(self.edges))

    def bytes_of_task(self, factor: int = 1) -> int:
        """Memory of the task of the largest band; with numbers of `factor` times four bytes."""
        tallest = max(end - begin for begin, end in pairwise(self.edges))
        share = min(1.0, 4 * tallest / self.edges[-1])  # popular items may stand together
        return int(2 * factor * self.bytes_of_band + (12 + 12 * share) * self.n_together)

    @property
    def bytes_in_store(self) -> int:
        """What the largest chunk and a band take in the object store of the machine of a task."""
        return self.bytes_of_chunk + self.bytes_of_band

    def threads(self, band: int) -> int:
        """Threads that share a band."""
        begin, end = self.edges[band : band + 2]
        return -(-4 * (end - begin) * (self.edges[-1] - begin) // BAND_OF_A_THREAD)

    def check(self, executor: Executor) -> None:
        """Refuse work for which the machines are too small.

        Raises
        ------
        MemoryBudgetError
            It says what is needed, what there is, and the way out.
        """
        need, room = self.bytes_of_task(), executor.memory_of_the_largest
        if need > room:
            raise MemoryBudgetError(
                f"a part of XᵀX of {self.edges[-1]:,} items takes {human_bytes(need)} in a task, "
                f"and the machine with the most memory has {human_bytes(room)} for tasks: add "
                "machines with more, or drop rare items (--min-item-users)"
            )
        need = self.bytes_in_store  # what else the stores hold can be spilled to disks
        executor.check_room("a chunk of the log with its part of XᵀX", need, need)


def _chunks(sharded: ShardedLog) -> tuple[slice, ...]:
    """Consecutive shards that are added up by one task, about the same work in each."""
    squares = np.array([size.squares for size in sharded.sizes], np.float64)
    by_work = squares.sum() / (ADDITIONS * float(sharded.n_items) ** 2)
    wanted = max(by_work, len(sharded) / LARGEST_CHUNK, 1)
    n_chunks = min(int(np.ceil(wanted)), len(squares))
    shares = np.cumsum(squares) - squares / 2
    number = (shares / max(squares.sum(), 1) * n_chunks).astype(np.int64)
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    return tuple(slice(int(a), int(b)) for a, b in pairwise([*begins, len(squares)]))


def gram_bands(
    executor: Executor,
    sharded: ShardedLog,
    edges: Sequence[int],
    beta: float = 0.0,
    precision: Any = np.float32,
    step: Step | None = None,
) -> list[Handle]:
    """Compute the upper triangle of Xᵀ diag(d^−β) X in bands of rows.

    Parameters
    ----------
    executor : Executor
    sharded : ShardedLog
        X.
    edges : sequence of int
        Where bands begin, and last the number of items.
    beta : float
    precision : float32 or float64
    step : Step, optional
        Is told which share of the work is done.

    Returns
    -------
    list of Handle
        Of rows edges[i] … edges[i + 1] − 1 from column edges[i] on, C-ordered, for each i. What is
        left of the diagonal in a band is that of the symmetric matrix.
    """
    found = _gram(executor, sharded, edges, beta, precision, step, in_tiles=False)
    return [handles[0] for handles in found]


def gram_tiles(
    executor: Executor,
    sharded: ShardedLog,
    edges: Sequence[int],
    beta: float = 0.0,
    precision: Any = np.float32,
    step: Step | None = None,
) -> dict[tuple[int, int], Handle]:
    """Compute the tiles of the upper triangle of Xᵀ diag(d^−β) X; parameters as of `gram_bands`.

    Returns
    -------
    dict of (int, int) to Handle
        For i ≤ j the rows edges[i] … edges[i + 1] − 1 and columns edges[j] … edges[j + 1] − 1,
        C-ordered; tiles on the diagonal are whole.
    """
    found = _gram(executor, sharded, edges, beta, precision, step, in_tiles=True)
    return {(i, i + k): tile for i, tiles in enumerate(found) for k, tile in enumerate(tiles)}


def _gram(
    executor: Executor,
    sharded: ShardedLog,
    edges: Sequence[int],
    beta: float,
    precision: Any,
    step: Step | None,
    *,
    in_tiles: bool,
) -> list[list[Handle]]:
    plan = Plan.of(sharded, edges, beta)
    plan.check(executor)
    n, factor = plan.edges[-1], np.dtype(precision).itemsize // 4
    running: list[tuple[Handle, float]] = []

    def wait_for(at_most: int) -> None:
        left = executor.wait([handle for handle, _ in running], at_most)
        if step is not None:
            step.advance(sum(share for i, (_, share) in enumerate(running) if i not in left))
        running[:] = [running[i] for i in left]

    bands: list[list[Handle]] = []
    for band, (begin, end) in enumerate(pairwise(plan.edges)):
        threads = min(plan.threads(band), executor.threads_of_a_machine)
        needs = Needs(threads, plan.bytes_of_task(factor))
        cuts = [edge - begin for edge in plan.edges[band:]] if in_tiles else [0, n - begin]
        share = (end - begin) * (2 * n - begin - end) / n**2 / len(plan.chunks)
        trees = [_Tree(executor, precision) for _ in cuts[1:]]
        for chunk in plan.chunks:
            wait_for(2 * max(1, executor.n_workers // threads) - 1)
            last = precision if len(plan.chunks) == 1 else None
            parts = executor.submit(
                _band, (begin, end, n), cuts, beta, plan.exact, precision, last,
                *sharded.shards[chunk], needs=needs, n_results=len(trees),
            )  # fmt: skip
            parts = parts if len(trees) > 1 else [parts]
            running.append((parts[0], share))
            for tree, part in zip(trees, parts, strict=True):
                tree.add(part)
        bands.append([tree.total() for tree in trees])
    wait_for(0)
    return bands


class _Tree:
    """Adds up arrays in an order that depends on their number alone, `FAN_IN` at a time."""

    def __init__(self, executor: Executor, precision: Any) -> None:
        self._executor, self._precision = executor, precision
        self._levels: list[list[Handle]] = []

    def add(self, part: Handle) -> None:
        level = 0
        while True:
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(part)
            if len(self._levels[level]) < FAN_IN:
                return
            part = self._executor.submit(_sum, None, *self._levels[level])
            self._levels[level] = []
            level += 1

    def total(self) -> Handle:
        parts = [part for level in reversed(self._levels) for part in level]
        if len(parts) == 1 and len(self._levels) == 1:
            return parts[0]
        return self._executor.submit(_sum, self._precision, *parts)


def _sum(precision: Any, *parts: NDArray[Any]) -> NDArray[Any]:
    """The sum of arrays, in this precision or in their own."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total if precision is None else total.astype(precision, copy=False)


def _band(
    extent: tuple[int, int, int],
    cuts: list[int],
    beta: float,
    exact: bool,
    precision: Any,
    last: Any,
    *shards: Shard,
) -> Any:
    """The tile, or the tiles, of rows begin … end − 1 of XᵀX for some shards."""
    begin, end, n = extent
    out = np.zeros((end - begin, n - begin), np.int32 if exact else precision)
    for group in _groups(shards):
        indptr, indices, values = _joined(group)
        if exact:
            gram.add_to_rows(indptr, indices, None, None, begin, out)
            continue
        data = np.ones(len(indices), np.float32) if values is None else values
        weights = weights_of_users(indptr, beta).astype(precision)
        gram.add_to_rows(indptr, indices, data, weights, begin, out)
    square = out[:, : end - begin]
    square[:] = _mirrored(square)
    tiles = [np.ascontiguousarray(out[:, a:b]) for a, b in pairwise(cuts)]
    del out, square
    if last is not None:
        tiles = [tile.astype(last, copy=False) for tile in tiles]
    return tuple(tiles) if len(tiles) > 1 else tiles[0]


def _mirrored(square: NDArray[Any]) -> NDArray[Any]:
    copy = np.ascontiguousarray(square)
    linear.mirror_upper(copy)
    return copy


def _groups(shards: Sequence[Shard]) -> list[list[Shard]]:
    """Consecutive shards of about `GROUP` interactions."""
    groups: list[list[Shard]] = []
    n_entries = GROUP
    for shard in shards:
        if n_entries + len(shard.indices) > GROUP:
            groups.append([])
            n_entries = 0
        groups[-1].append(shard)
        n_entries += len(shard.indices)
    return groups


def _joined(shards: Sequence[Shard]) -> tuple[Any, Any, Float | None]:
    """The CSR arrays of some shards, one after the other."""
    if len(shards) == 1:
        return shards[0].indptr, shards[0].indices, shards[0].values
    lengths = np.concatenate([np.diff(shard.indptr) for shard in shards])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    indices = np.concatenate([shard.indices for shard in shards])
    values = [shard.values for shard in shards if shard.values is not None]
    return indptr, indices, np.concatenate(values) if values else None
