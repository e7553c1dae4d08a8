"""The largest and the middle value of a log that is divided among machines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shoal.cluster.reducing import added, reduced
from shoal.cluster.sharded import Shard
from shoal.executor import Executor, Handle
from shoal.kernels.arrays import Float, Long

_HALF = 16  # bits


def extent_elsewhere(executor: Executor, shards: Sequence[Handle]) -> tuple[float, float]:
    """The largest value and the median of all shards, as `shoal.data.interpret.extent_of`.

    The bits of a float32 are put in the order of the numbers. A count of their upper halves says in
    which of 65,536 classes the value of a rank is, and a count of the lower halves there which it
    is.
    """
    high: Long = executor.get(
        reduced(executor, added, [executor.submit(_upper, shard) for shard in shards])
    )
    n, ends = int(high.sum()), np.cumsum(high)

    def at(rank: int) -> Float:
        upper = int(np.searchsorted(ends, rank, side="right"))
        low: Long = executor.get(
            reduced(executor, added, [executor.submit(_lower, shard, upper) for shard in shards])
        )
        rest = rank - int(ends[upper] - high[upper])
        lower = int(np.searchsorted(np.cumsum(low), rest, side="right"))
        return _number(upper, lower)

    middle = [at(rank) for rank in sorted({(n - 1) // 2, n // 2})]
    return float(at(n - 1)[0]), float(np.median(np.concatenate(middle)))


def _ordered(values: Float) -> NDArray[np.uint32]:
    """The bits of numbers as whole numbers in the same order."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    sign = np.uint32(1 << 31)
    return np.where(bits & sign, ~bits, bits | sign)


def _number(upper: int, lower: int) -> Float:
    """The number of two halves of ordered bits, (1,) float32."""
    ordered = np.array([upper << _HALF | lower], np.uint32)
    sign = np.uint32(1 << 31)
    return np.where(ordered & sign, ordered & ~sign, ~ordered).astype(np.uint32).view(np.float32)


def _upper(shard: Shard) -> Long:
    """How many values have which upper half."""
    assert shard.values is not None
    return np.bincount(_ordered(shard.values) >> _HALF, minlength=1 << _HALF)


def _lower(shard: Shard, upper: int) -> Long:
    """How many of the values with one upper half have which lower half."""
    assert shard.values is not None
    ordered = _ordered(shard.values)
    chosen = ordered[ordered >> _HALF == upper]
    return np.bincount(chosen & ((1 << _HALF) - 1), minlength=1 << _HALF)
