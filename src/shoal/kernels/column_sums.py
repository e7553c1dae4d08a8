"""Counts and sums of the columns of a sparse matrix, a piece of its entries at a time.

numpy's ``bincount`` copies all it counts to 8 bytes per entry, more than a binary log itself takes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoal.kernels.arrays import Double, Float, Int, Long

PIECE = 2**16  # least number of entries that are copied at a time


def _pieces(n_entries: int, n_columns: int) -> Iterator[slice]:
    """Slices of the entries, as long as there are columns, so that a piece outweighs its sum."""
    size = max(PIECE, n_columns)
    for begin in range(0, n_entries, size):
        yield slice(begin, begin + size)


def counts(indices: Int, n_columns: int) -> Long:
    """Return how many entries each column has, (n_columns,) int64.

    Parameters
    ----------
    indices : (nnz,) int32
        The column of each entry.
    n_columns : int
    """
    out = np.zeros(n_columns, np.int64)
    for part in _pieces(indices.size, n_columns):
        out += np.bincount(indices[part], minlength=n_columns)
    return out


def sums(indices: Int, data: Float, n_columns: int, *, squared: bool = False) -> Double:
    """Return the sum of each column's values, or of their squares, (n_columns,) float64.

    Parameters
    ----------
    indices : (nnz,) int32
        The column of each entry.
    data : (nnz,) float32
    n_columns : int
    squared : bool
        Whether to add up squares.
    """
    out = np.zeros(n_columns)
    for part in _pieces(indices.size, n_columns):
        values = data[part].astype(np.float64)
        if squared:
            values *= values
        out += np.bincount(indices[part], weights=values, minlength=n_columns)
    return out
