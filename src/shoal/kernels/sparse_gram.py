"""G = Xᵀ diag(w) X as a sparse matrix, with entries only for columns that share a row of X."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shoal.kernels.arrays import Float, Int, Long, Ranking
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.gram import column_index

GROUP = 64  # rows of G that a thread takes at a time, with one buffer
PIECE = 4096  # rows of G between two reports of progress


@parallel
def _count(
    indptr: Long, indices: Int, starts: Long, rows: Int, begin: int, end: int, counts: Long
) -> None:
    n_columns = starts.size - 1
    for group in prange((end - begin + GROUP - 1) // GROUP):
        last = np.full(n_columns, -1, np.int32)  # the last row of G that has each column
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


@jit()
def _in_order(met: Int, last: Int, i: int) -> None:
    """Sort the columns `met` of row i of G, if they are many by scanning all columns."""
    if met.size * 64 < last.size:
        met.sort()
        return
    at = 0
    for j in range(last.size):
        if last[j] == i:
            met[at] = j
            at += 1


@parallel
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
    """Count the entries of each row of the sparse G; the result is its ``indptr``.

    Parameters
    ----------
    indptr, indices : of the CSR arrays of X, shape (m, n)
    n_columns : int
        n.
    done : callable
        Called with the number of rows finished since the last call.

    Returns
    -------
    (n + 1,) int64
        Its last element is the number of entries of G, in both triangles.
    """
    starts, rows, _ = column_index(indptr, indices, n_columns)
    counts = np.zeros(n_columns + 1, np.int64)
    with chunks(1):
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
    """Compute the entries of the sparse G = Xᵀ diag(w) X.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of X, shape (m, n)
    weights : (m,) float32
        w, one weight per row of X.
    where : (n + 1,) int64
        The ``indptr`` of G, from `extents`.
    done : callable
        Called with the number of rows finished since the last call.

    Returns
    -------
    columns : (nnz of G,) int32
        Column numbers of the entries, ascending within each row.
    values : (nnz of G,) float32
        Values of the entries.

    Notes
    -----
    Each row of G is summed by one thread in the order of X's rows, so the result does not depend on
    the number of threads. Beyond the output this takes 16 bytes per entry of X and 8·n bytes for
    each thread.
    """
    n = where.size - 1
    index = column_index(indptr, indices, n)
    columns, values = np.empty(where[-1], np.int32), np.empty(where[-1], np.float32)
    with chunks(1):
        for begin in range(0, n, PIECE):
            end = min(n, begin + PIECE)
            _fill(indptr, indices, data, weights, *index, begin, end, where, columns, values)
            done(end - begin)
    return columns, values
