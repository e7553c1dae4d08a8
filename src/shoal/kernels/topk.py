"""The k best of each row, with what may not be chosen left out."""

from __future__ import annotations

import numpy as np
from numba import njit, parallel_chunksize, prange
from numpy.typing import NDArray

Int = NDArray[np.int32]
Long = NDArray[np.int64]
Float = NDArray[np.float32]


@njit(cache=True, inline="always")
def _worse(score_a: float, item_a: int, score_b: float, item_b: int) -> bool:
    """Whether a ranks after b: a lower score, or an equal one and a later item."""
    return score_a < score_b or (score_a == score_b and item_a > item_b)


@njit(cache=True)
def sift_down(items: Int, scores: Float, at: int, size: int) -> None:
    """Restore the heap whose root is the worst of the kept."""
    item, score = items[at], scores[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _worse(
            scores[child + 1], items[child + 1], scores[child], items[child]
        ):
            child += 1
        if not _worse(scores[child], items[child], score, item):
            break
        items[at], scores[at] = items[child], scores[child]
        at = child
    items[at], scores[at] = item, score


@njit(cache=True)
def _best_of_row(row: Float, allowed: NDArray[np.bool_], items: Int, scores: Float) -> int:
    """Fill `items` and `scores` with the best of `row`, best first; returns how many."""
    k = items.size
    size = 0
    for i in range(row.size):
        s = row[i]
        if size < k:
            if s > -np.inf and allowed[i]:
                items[size], scores[size] = i, s
                size += 1
                if size == k:
                    for at in range(k // 2 - 1, -1, -1):
                        sift_down(items, scores, at, k)
        elif s > scores[0] and allowed[i]:
            items[0], scores[0] = i, s
            sift_down(items, scores, 0, k)
    if size < k:
        for at in range(size // 2 - 1, -1, -1):
            sift_down(items, scores, at, size)
    for end in range(size - 1, 0, -1):  # heap sort: the worst goes last
        items[0], items[end] = items[end], items[0]
        scores[0], scores[end] = scores[end], scores[0]
        sift_down(items, scores, 0, end)
    return size


@njit(parallel=True, cache=True, nogil=True)
def _best(
    block: Float, indptr: Long, indices: Int, allowed: NDArray[np.bool_], items: Int, scores: Float
) -> None:
    for r in prange(block.shape[0]):
        for q in range(indptr[r], indptr[r + 1]):
            block[r, indices[q]] = -np.inf
        _best_of_row(block[r], allowed, items[r], scores[r])


def best(
    block: Float, k: int, indptr: Long, indices: Int, allowed: NDArray[np.bool_]
) -> tuple[Int, Float]:
    """Choose the k highest scores of each row.

    Parameters
    ----------
    block : (m, n) float32
        Scores; the excluded entries are overwritten by −inf. NaN and −inf are never chosen.
    k : int
    indptr, indices : CSR arrays with m rows
        The items that may not be chosen, row by row.
    allowed : (n,) bool
        The items that may be chosen at all.

    Returns
    -------
    items : (m, k) int32, best first, −1 where fewer than k could be chosen
    scores : (m, k) float32, −inf where fewer than k could be chosen

    Notes
    -----
    Equal scores are ordered by item number, so the result is the same on every run.
    """
    items = np.full((block.shape[0], k), -1, np.int32)
    scores = np.full((block.shape[0], k), -np.inf, np.float32)
    with parallel_chunksize(8):
        _best(block, indptr, indices, allowed, items, scores)
    return items, scores


@njit(parallel=True, cache=True, nogil=True)
def hits(items: Int, indptr: Long, indices: Int) -> NDArray[np.bool_]:
    """Which of the chosen `items` (m, k) stand in the CSR row of the same number."""
    out = np.zeros(items.shape, np.bool_)
    for r in prange(items.shape[0]):
        for rank in range(items.shape[1]):
            # by hand: np.searchsorted takes seconds to compile
            low, high = indptr[r], indptr[r + 1]
            while low < high:
                middle = (low + high) // 2
                if indices[middle] < items[r, rank]:
                    low = middle + 1
                else:
                    high = middle
            out[r, rank] = low < indptr[r + 1] and indices[low] == items[r, rank]
    return out
