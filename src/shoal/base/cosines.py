"""The pass over columns that finds the most similar items of each item, by cosine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np

from shoal.base.by_columns import Done, Known, Pass, work_of_rows
from shoal.data.interactions import Interactions
from shoal.kernels.arrays import Double, Float, Ranking, Sparse
from shoal.kernels.gram import Index, column_index, meetings
from shoal.kernels.neighbours import nearest_by_cosine, norms_of_columns


class IndexedLog(NamedTuple):
    """X by row, and what finds the entries of a column in it.

    Parameters
    ----------
    X : (indptr, indices, data)
    columns : (starts, rows, places)
        From `column_index`.
    norms : (n_items,) float32
        ‖x_i‖ of each column.
    dense : bool
        Whether XᵀX is made of it.
    """

    X: Sparse
    columns: Index
    norms: Float
    dense: bool = False

    @staticmethod
    def of(log: Interactions, *, dense: bool = False) -> IndexedLog:
        """Index a log."""
        X, n = log.arrays, log.n_items
        norms = norms_of_columns(X[1], X[2], n)
        return IndexedLog(X, column_index(X[0], X[1], n), norms, dense)

    @property
    def meetings(self) -> Double:
        """Steps that each row of XᵀX takes, (n_items,)."""
        return meetings(self.X[0], self.columns[0], self.columns[1])


@dataclass(frozen=True)
class Cosines(Pass):
    """For each item the `k` items of highest shrunk cosine; without k, nothing is to be done.

    It reads an `IndexedLog` and gives items and cosines, both (n_items, k), or None without k.
    """

    label: ClassVar[str] = "neighbours"
    k: int
    shrink: float = 0.0

    def work(self, known: Known) -> Double:
        """Steps of the rows of XᵀX, each with a selection."""
        log: IndexedLog = known[0]
        if not self.k:
            return np.empty(0)
        return work_of_rows(log.meetings)

    def columns(self, begin: int, end: int, done: Done, known: Known) -> Ranking:
        """Lists of the items of a range."""
        log: IndexedLog = known[0]
        near = partial(nearest_by_cosine, *log.X, log.columns, log.norms)
        return near(begin, end, self.k, self.shrink, done)

    def joined(self, parts: Sequence[Ranking], known: Known) -> Ranking | None:
        """The lists of all items."""
        if len(parts) < 2:
            return parts[0] if parts else None
        items, cosines = zip(*parts, strict=True)
        return np.concatenate(items), np.concatenate(cosines)
