"""The passes over columns that find non-negative elastic nets: XᵀX, then every column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shoal.base.by_columns import Done, Known, Pass
from shoal.base.cosines import IndexedLog
from shoal.kernels.arrays import Double, Float, Sparse
from shoal.kernels.coordinate_descent import Nets, candidates_of_columns, nonnegative_columns
from shoal.kernels.gram import gram


@dataclass(frozen=True)
class GramMatrix(Pass):
    """XᵀX; or X by column, where XᵀX would not fit.

    It reads an `IndexedLog` and gives XᵀX, (n_items, n_items), or the CSR arrays of Xᵀ. It is done
    at once: it takes little time beside the nets, and in parts it would take its memory twice.
    """

    label: ClassVar[str] = "Gram matrix"

    def work(self, known: Known) -> Double:
        """The steps of the rows of XᵀX, and n² numbers."""
        log: IndexedLog = known[0]
        return np.array([0.7 * log.meetings.sum() + 8.0 * log.norms.size**2])

    def columns(self, begin: int, end: int, done: Done, known: Known) -> Float | Sparse:
        """The whole matrix."""
        log: IndexedLog = known[0]
        if log.dense:
            return gram(*log.X, log.norms.size)
        starts, rows, places = log.columns
        return starts, rows, log.X[2][places]

    def joined(self, parts: Sequence[Float | Sparse], known: Known) -> Float | Sparse:
        """The same."""
        return parts[0]


@dataclass(frozen=True)
class ElasticNets(Pass):
    """The weights of every column.

    It reads an `IndexedLog`, the lists of `Cosines` and the result of `GramMatrix`.

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
        return 2000 + 400 * candidates_of_columns(source, near, self.l1).astype(np.float64)

    def columns(self, begin: int, end: int, done: Done, known: Known) -> Nets:
        """Weights of the columns of a range."""
        _, near, source = known
        penalties = self.l1, self.l2, self.tolerance
        return nonnegative_columns(source, near, *penalties, begin, end, self.start, done)

    def joined(self, parts: Sequence[Nets], known: Known) -> Nets:
        """Weights of all columns."""
        return Nets.joined(parts) if len(parts) > 1 else parts[0]
