"""The passes over columns that regress each item on the items of strongest covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from shoal.base.by_columns import Done, Known, Pass, work_of_rows
from shoal.kernels.arrays import Double, Float, Int, Sparse
from shoal.kernels.covariance import CentredGram, Neighbours, pairs_above, strongest
from shoal.kernels.gram import meetings
from shoal.kernels.sparse_blocks import block_weights, block_work, items_to_keep, kept_rows

FLOPS = 40.0  # of a Cholesky factorisation, by one thread in a nanosecond


class Covariances(NamedTuple):
    """What all items read: rows of G̃ on demand, and a threshold for them."""

    gram: CentredGram
    threshold: float  # estimated; slightly more pairs than wanted are above it

    @property
    def meetings(self) -> Double:
        """Steps that each row of XᵀX takes, (n_items,)."""
        return meetings(self.gram.indptr, self.gram.starts, self.gram.users)


class Near(NamedTuple):
    """The lists of neighbours, and the items whose rows of XᵀX are worth keeping."""

    lists: Neighbours
    keeps: Int


@dataclass(frozen=True)
class StrongestPairs(Pass):
    """The `wanted` pairs of strongest covariance, at most `k` of an item.

    It reads `Covariances` and gives `Near`. The threshold is one for all items: each range
    collects what is above the estimated one, and the exact one is found among all that was
    collected, which is no more than a few bytes for each weight of the model.
    """

    label: ClassVar[str] = "neighbours"
    wanted: int
    k: int
    room: int  # bytes for rows of XᵀX that are kept

    def work(self, known: Known) -> Double:
        """Steps of the rows of XᵀX, each of which is scaled and compared."""
        shared: Covariances = known[0]
        return work_of_rows(shared.meetings)

    def columns(self, begin: int, end: int, done: Done, known: Known) -> list[Sparse]:
        """Pairs of the items of a range."""
        shared: Covariances = known[0]
        return pairs_above(shared.gram, shared.threshold, self.k, begin, end, done)

    def joined(self, parts: Sequence[list[Sparse]], known: Known) -> Near:
        """The strongest of all pairs."""
        shared: Covariances = known[0]
        pieces, n = [piece for part in parts for piece in part], shared.gram.sums.size
        near = strongest(pieces, n, self.wanted, shared.threshold)
        return Near(near, items_to_keep(shared.gram, near, self.room))


@dataclass(frozen=True)
class KeptRows(Pass):
    """The rows of XᵀX that are in most blocks; it reads `Covariances` and `Near`."""

    label: ClassVar[str] = "rows of the Gram matrix"

    def work(self, known: Known) -> Double:
        """Steps of these rows."""
        shared, near = known
        work: Double = 2 * shared.meetings[near.keeps] + 2.0 * shared.gram.sums.size
        return work

    def columns(self, begin: int, end: int, done: Done, known: Known) -> Float:
        """Some of these rows."""
        shared, near = known
        rows = kept_rows(shared.gram, near.keeps[begin:end])
        done(end - begin)
        return rows

    def joined(self, parts: Sequence[Float], known: Known) -> Float:
        """All of these rows."""
        if not parts:
            return np.empty((0, known[0].gram.sums.size), np.float32)
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


class Blocks(NamedTuple):
    """The weights of all lists of neighbours, and the largest residual of a block."""

    weights: Float
    residual: float


@dataclass(frozen=True)
class RidgeBlocks(Pass):
    """The regression of each item on its neighbours, with the ridge `l2`.

    It reads `Covariances`, `Near` and the rows of `KeptRows`, and gives `Blocks`.
    """

    label: ClassVar[str] = "weights"
    l2: float

    def work(self, known: Known) -> Double:
        """A Cholesky factorisation of each block, and the sums of its pairs."""
        sizes = np.diff(known[1].lists.starts)
        return sizes**3 / 3 / FLOPS + 3 * block_work(sizes)

    def columns(self, begin: int, end: int, done: Done, known: Known) -> Blocks:
        """Weights of the items of a range."""
        shared, near, kept = known
        rows = near.keeps, kept
        return Blocks(*block_weights(shared.gram, near.lists, self.l2, *rows, begin, end, done))

    def joined(self, parts: Sequence[Blocks], known: Known) -> Blocks:
        """Weights of all items."""
        if len(parts) == 1:
            return parts[0]
        worst = max(parts, key=lambda part: (not np.isfinite(part.residual), part.residual))
        return Blocks(np.concatenate([part.weights for part in parts]), worst.residual)
