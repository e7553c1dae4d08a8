"""G = Xᵀ diag(w) X as a sparse matrix: only the pairs of columns that meet in a row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit, parallel_chunksize, prange

from shoal.kernels.arrays import Float, Int, Long, Ranking
from shoal.kernels.gram import column_index

GROUP = 64  # rows of G that share a buffer
PIECE = 4096  # rows of G between two reports


@njit(parallel=True, cache=True, nogil=True)
def _count(
    indptr: Long, indices: Int, starts: Long, rows: Int, begin: int, end: int, counts: Long
) -> None:
    n_columns = starts.size - 1
    for group in prange((end - begin + GROUP - 1) // GROUP):
        last = np.full(n_columns, -1, np.int32)  # the row of G that met a column last
        first = begin + group * GROUP
        for i in range(first, min(end, first + GROUP)):
            count = 0
            for p in range(starts[i], starts[i + 1]):
                u = rows[p]
                for q in range(indptr[u], indptr[u + 1]):
                    j = indices[q]
                    if last[j] != i:
                        last[j] = i
                        count += 1
            counts[i] = count


@njit(cache=True)
def _in_order(met: Int, last: Int, i: int) -> None:
    """Sort the columns that row i met; where they are many, by looking at all of them."""
    if met.size * 64 < last.size:
        met.sort()
        return
    at = 0
    for j in range(last.size):
        if last[j] == i:
            met[at] = j
            at += 1


@njit(parallel=True, cache=True, nogil=True)
def _fill(
    indptr: Long,
    indices: Int,
    data: Float,
    weights: Float,
    starts: Long,
    rows: Int,
    places: Long,
    begin: int,
    end: int,
    extents: Long,
    columns: Int,
    values: Float,
) -> None:
    n_columns = starts.size - 1
    for group in prange((end - begin + GROUP - 1) // GROUP):
        total = np.zeros(n_columns, np.float32)
        last = np.full(n_columns, -1, np.int32)
        first = begin + group * GROUP
        for i in range(first, min(end, first + GROUP)):
            met = columns[extents[i] : extents[i + 1]]
            size = 0
            for p in range(starts[i], starts[i + 1]):
                u = rows[p]
                x = data[places[p]] * weights[u]
                for q in range(indptr[u], indptr[u + 1]):
                    j = indices[q]
                    if last[j] != i:
                        last[j] = i
                        total[j] = 0.0
                        met[size] = j
                        size += 1
                    total[j] += x * data[q]
            _in_order(met, last, i)
            for at in range(size):
                values[extents[i] + at] = total[met[at]]


def extents(
    indptr: Long,
    indices: Int,
    n_columns: int,
    done: Callable[[float], None] = lambda _rows: None,
) -> Long:
    """Where the rows of the sparse G begin and end: its ``indptr``, so that its size is known.

    Parameters
    ----------
    indptr, indices : of the CSR arrays of X, shape (m, n)
    n_columns : int
        n.
    done : callable
        Gets the number of rows finished since the last call.

    Returns
    -------
    (n + 1,) int64
        The last is the number of entries of G, on both sides of its diagonal.
    """
    starts, rows, _ = column_index(indptr, indices, n_columns)
    counts = np.zeros(n_columns + 1, np.int64)
    with parallel_chunksize(1):
        for begin in range(0, n_columns, PIECE):
            end = min(n_columns, begin + PIECE)
            _count(indptr, indices, starts, rows, begin, end, counts[1:])
            done(end - begin)
    return np.cumsum(counts)


def sparse_gram(
    indptr: Long,
    indices: Int,
    data: Float,
    weights: Float,
    where: Long,
    done: Callable[[float], None] = lambda _rows: None,
) -> Ranking:
    """Fill the sparse G = Xᵀ diag(w) X.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of X, shape (m, n)
    weights : (m,) float32
        w.
    where : (n + 1,) int64
        The `extents` of G.
    done : callable
        Gets the number of rows finished since the last call.

    Returns
    -------
    columns, values : (nnz of G,)
        G in CSR form with `where`, columns ascending.

    Notes
    -----
    Each row of G is one thread's, and its sums have the order of X's rows: the result does not
    depend on the number of threads. Beside the output this takes 16 bytes per entry of X and
    8·n for each thread.
    """
    n = where.size - 1
    index = column_index(indptr, indices, n)
    columns, values = np.empty(where[-1], np.int32), np.empty(where[-1], np.float32)
    with parallel_chunksize(1):
        for begin in range(0, n, PIECE):
            end = min(n, begin + PIECE)
            _fill(indptr, indices, data, weights, *index, begin, end, where, columns, values)
            done(end - begin)
    return columns, values
