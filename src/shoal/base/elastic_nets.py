"""The passes over columns that find non-negative elastic nets: XᵀX by rows, then every column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shoal.base.by_columns import Done, Known, Pass
from shoal.base.cosines import IndexedLog
from shoal.kernels.arrays import Double, Float, Sparse
from shoal.kernels.coordinate_descent import Nets, candidates_of_columns, nonnegative_columns
from shoal.kernels.gram import gram_rows
from shoal.kernels.linear import mirror_upper


@dataclass(frozen=True)
class GramRows(Pass):
    """XᵀX; or X by column, where XᵀX would not fit.

    It reads an `IndexedLog` and gives XᵀX, (n_items, n_items), or the CSR arrays of Xᵀ.
    """

    label: ClassVar[str] = "Gram matrix"

    def work(self, known: Known) -> Double:
        """Half the steps of the rows of XᵀX, since the other half is the mirror image."""
        log: IndexedLog = known[0]
        return 0.7 * log.meetings + 0.5 * log.norms.size if log.dense else np.empty(0)

    def columns(self, begin: int, end: int, done: Done, known: Known) -> Float:
        """Rows of XᵀX from the diagonal on."""
        log: IndexedLog = known[0]
        rows = gram_rows(*log.X, log.columns, begin, end)
        done(end - begin)
        return rows

    def joined(self, parts: Sequence[Float], known: Known) -> Float | Sparse:
        """Both triangles of XᵀX."""
        log: IndexedLog = known[0]
        if not log.dense:
            starts, rows, places = log.columns
            return starts, rows, log.X[2][places]
        G, begin = parts[0], 0
        if len(parts) > 1:
            G = np.empty((log.norms.size, log.norms.size), np.float32)
            for part in parts:
                G[begin : begin + len(part)] = part
                begin += len(part)
        mirror_upper(G)
        return G


@dataclass(frozen=True)
class ElasticNets(Pass):
    """The weights of every column.

    It reads an `IndexedLog`, the lists of `Cosines` and the result of `GramRows`.

    Parameters
    ----------
    l1, l2, tolerance : float
        As for `nonnegative_columns`.
    start : sparse columns, optional
        Weights to begin with.
    """

    label: ClassVar[str] = "weights"
    l1: float
    l2: float
    tolerance: float
    start: Sparse | None = None

    def work(self, known: Known) -> Double:
        """Sweeps over the candidates, of which some share are above zero."""
        _, near, source = known
        candidates: Double = candidates_of_columns(source, near, self.l1).astype(np.float64)
        return 2000 + 300 * candidates

    def columns(self, begin: int, end: int, done: Done, known: Known) -> Nets:
        """Weights of the columns of a range."""
        _, near, source = known
        penalties = self.l1, self.l2, self.tolerance
        return nonnegative_columns(source, near, *penalties, begin, end, self.start, done)

    def joined(self, parts: Sequence[Nets], known: Known) -> Nets:
        """Weights of all columns."""
        return Nets.joined(parts) if len(parts) > 1 else parts[0]
