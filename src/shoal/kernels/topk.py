"""The k best scores of each row, without the items that are excluded."""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Bool, Float, Int, Long, Ranking
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.selection import capacity, item_of, keep_best, key_of, sorted_lists

_ROWS = 64  # rows that a thread takes at a time


@jit()
def best_of_row(row: Float, allowed: Bool, keys: Long, items: Int, score_bits: Int) -> None:
    """Write the best scores of `row` to `items` and `score_bits`, best first.

    Parameters
    ----------
    row : (n,) float32
        Scores.
    allowed : (n,) bool
        Items that may be chosen.
    keys : (`selection.capacity` (k),) int64
        Work space.
    items : (k,) int32
        Output: item numbers.
    score_bits : (k,) int32
        Output: their scores, float32 seen as int32.
    """
    k, size = items.size, 0
    bits = row.view(np.int32)
    floor = np.float32(-np.inf)
    for i in range(row.size):
        if row[i] > floor and allowed[i]:
            keys[size] = key_of(bits[i], i)
            size += 1
            if size == keys.size:
                keep_best(keys, size, k)
                size = k
                floor = row[item_of(keys[k - 1])]
    sorted_lists(keys, size, items, score_bits)


@parallel
def _best(
    block: Float,
    indptr: Long,
    indices: Int,
    allowed: Bool,
    room: int,
    items: Int,
    score_bits: Int,
) -> None:
    for r in prange(block.shape[0]):
        for q in range(indptr[r], indptr[r + 1]):
            block[r, indices[q]] = -np.inf
        keys = np.empty(room, np.int64)
        best_of_row(block[r], allowed, keys, items[r], score_bits[r])


def best(block: Float, k: int, indptr: Long, indices: Int, allowed: Bool) -> Ranking:
    """Choose the k highest scores of each row.

    Parameters
    ----------
    block : (m, n) float32
        Scores; the excluded entries are overwritten by −inf. NaN and −inf are never chosen.
    k : int
    indptr, indices : of a CSR matrix with m rows
        The items that must not be chosen, for each row.
    allowed : (n,) bool
        The items that may be chosen in any row.

    Returns
    -------
    items : (m, k) int32, best first, −1 where fewer than k could be chosen
    scores : (m, k) float32, −inf where fewer than k could be chosen

    Notes
    -----
    Items with equal scores are ordered by their number, so every run gives the same result.
    """
    items = np.full((block.shape[0], k), -1, np.int32)
    scores = np.full((block.shape[0], k), -np.inf, np.float32)
    with chunks(8):
        bits = scores.view(np.int32)
        _best(block, indptr, indices, allowed, capacity(k), items, bits)
    return items, scores


def merged(a: Ranking, b: Ranking) -> Ranking:
    """The best lists of two rankings (m, k) of different items, with the order of `best`."""
    k = a[0].shape[1]
    items, scores = (np.concatenate(both, axis=1) for both in zip(a, b, strict=True))
    none = items < 0
    order = np.lexsort((np.where(none, np.iinfo(np.int32).max, items), -scores, none))[:, :k]
    return np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)


@parallel
def _hits(items: Int, indptr: Long, indices: Int, n: int, out: Bool) -> None:
    m = items.shape[0]
    for chunk in prange((m + _ROWS - 1) // _ROWS):
        there = np.zeros(n, np.bool_)
        for r in range(chunk * _ROWS, min(m, (chunk + 1) * _ROWS)):
            for q in range(indptr[r], indptr[r + 1]):
                there[indices[q]] = True
            for rank in range(items.shape[1]):
                i = items[r, rank]
                out[r, rank] = i >= 0 and there[i]
            for q in range(indptr[r], indptr[r + 1]):
                there[indices[q]] = False


def hits(items: Int, indptr: Long, indices: Int, n: int) -> Bool:
    """Return whether each of `items` (m, k) is in the CSR row of the same number, (m, k) bool.

    Items are numbers below n; −1 marks an absent item, which is never a hit.
    """
    out = np.empty(items.shape, np.bool_)
    with chunks(1):
        _hits(items, indptr, indices, n, out)
    return out
