"""X·B and the k best of each row in one pass: no block of scores is ever written.

B is taken in column tiles that stay in the cache while all rows of X pass over them; each row keeps
the heap of its best so far. A tile's scores live in a few hundred floats.
"""

from __future__ import annotations

import numpy as np
from numba import njit, parallel_chunksize, prange
from numpy.typing import NDArray

from shoal.kernels.linear import add_rows
from shoal.kernels.topk import sift_down

Int = NDArray[np.int32]
Long = NDArray[np.int64]
Float = NDArray[np.float32]

TILE = 256  # columns; measured best of 32 … 512 at n = 10,000 with 32 MB of shared cache


@njit(parallel=True, cache=True, nogil=True)
def _tile(
    indptr: Long,
    indices: Int,
    data: Float,
    columns: Float,
    begin: int,
    seen_indptr: Long,
    seen: Int,
    cursor: Long,
    allowed: NDArray[np.bool_],
    items: Int,
    scores: Float,
    sizes: Long,
    broken: NDArray[np.bool_],
) -> None:
    """Offer the scores of one tile of columns to the heaps of all rows."""
    width, k = columns.shape[1], items.shape[1]
    for r in prange(indptr.size - 1):
        row = np.zeros(width, np.float32)
        add_rows(indices, data, indptr[r], indptr[r + 1], columns, row)
        for t in range(width):
            broken[r] |= row[t] != row[t]  # NaN
        at = cursor[r]
        while at < seen_indptr[r + 1] and seen[at] < begin + width:
            row[seen[at] - begin] = -np.inf
            at += 1
        cursor[r] = at
        best, values, size = items[r], scores[r], sizes[r]
        floor = values[0] if size == k else np.float32(-np.inf)
        for t in range(width):
            if row[t] > floor and allowed[begin + t]:
                if size < k:
                    best[size], values[size] = begin + t, row[t]
                    size += 1
                    if size == k:
                        for node in range(k // 2 - 1, -1, -1):
                            sift_down(best, values, node, k)
                        floor = values[0]
                else:
                    best[0], values[0] = begin + t, row[t]
                    sift_down(best, values, 0, k)
                    floor = values[0]
        sizes[r] = size


@njit(parallel=True, cache=True, nogil=True)
def _in_order(items: Int, scores: Float, sizes: Long) -> None:
    for r in prange(items.shape[0]):
        best, values, size = items[r], scores[r], sizes[r]
        if size < items.shape[1]:
            for node in range(size // 2 - 1, -1, -1):
                sift_down(best, values, node, size)
        for end in range(size - 1, 0, -1):
            best[0], best[end] = best[end], best[0]
            values[0], values[end] = values[end], values[0]
            sift_down(best, values, 0, end)


def best_of_product(
    x: tuple[Long, Int, Float],
    B: Float,
    k: int,
    seen_indptr: Long,
    seen: Int,
    allowed: NDArray[np.bool_],
) -> tuple[Int, Float]:
    """The k highest entries of each row of X·B.

    Parameters
    ----------
    x : CSR arrays of X (m, n): indptr, indices, data
    B : (n, c) float32
    k : int
    seen_indptr, seen : CSR arrays with m rows
        Columns that may not be chosen, ascending within each row.
    allowed : (c,) bool
        Columns that may be chosen at all.

    Returns
    -------
    items : (m, k) int32, best first, −1 where fewer than k could be chosen
    scores : (m, k) float32, −inf where fewer than k could be chosen

    Raises
    ------
    FloatingPointError
        A score is NaN.

    Notes
    -----
    The same numbers, bit by bit, as `linear.sparse_times_dense` followed by `topk.best`, for any
    number of threads. Beyond the result this takes 4·n·TILE bytes and 24 bytes per row.
    """
    m, c = x[0].size - 1, B.shape[1]
    items = np.full((m, k), -1, np.int32)
    scores = np.full((m, k), -np.inf, np.float32)
    sizes, cursor = np.zeros(m, np.int64), seen_indptr[:-1].copy()
    broken = np.zeros(m, np.bool_)
    with parallel_chunksize(64):
        for begin in range(0, c, TILE):
            columns = np.ascontiguousarray(B[:, begin : begin + TILE])
            rules = seen_indptr, seen, cursor, allowed
            _tile(*x, columns, begin, *rules, items, scores, sizes, broken)  # type: ignore[arg-type]
        _in_order(items, scores, sizes)
    if broken.any():
        raise FloatingPointError("a score is NaN")
    return items, scores
