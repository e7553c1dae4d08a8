"""The largest entries of each column of a dense matrix."""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Float, Int, Ranking
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.selection import capacity, item_of, keep_best, key_of, sort_descending

_COLUMNS = 16  # columns that a thread takes at a time: one cache line of each row


@jit()
def _of_columns(B: Float, begin: int, end: int, room: int, items: Int, entries: Float) -> None:
    k = items.shape[1]
    keys = np.empty((end - begin, room), np.int64)
    size, floor = np.zeros(end - begin, np.int64), np.full(end - begin, np.int64(-1))
    cell = np.empty(1, np.float32)
    bits = cell.view(np.int32)
    for j in range(B.shape[0]):
        for c in range(end - begin):
            cell[0] = abs(B[j, begin + c])
            key = key_of(bits[0], j)
            if key > floor[c]:
                keys[c, size[c]] = key
                size[c] += 1
                if size[c] == room:
                    keep_best(keys[c], room, k)
                    size[c], floor[c] = k, keys[c, k - 1]
    for c in range(end - begin):
        if size[c] > k:
            keep_best(keys[c], size[c], k)
        sort_descending(keys[c], min(size[c], k))
        for rank in range(min(size[c], k)):
            items[begin + c, rank] = item_of(keys[c, rank])
            entries[begin + c, rank] = B[items[begin + c, rank], begin + c]


@parallel
def _all_columns(B: Float, room: int, items: Int, entries: Float) -> None:
    n = B.shape[1]
    for tile in prange((n + _COLUMNS - 1) // _COLUMNS):
        begin, end = tile * _COLUMNS, min(n, (tile + 1) * _COLUMNS)
        _of_columns(B, begin, end, room, items, entries)


def largest_of_columns(B: Float, k: int) -> Ranking:
    """Find the k entries of each column that are largest in absolute value.

    Parameters
    ----------
    B : (m, n) float32, C-ordered
        Only read.
    k : int
        Entries of each column; at most m.

    Returns
    -------
    rows : (n, k) int32
        Row numbers of each column's entries, the largest |entry| first; of equals the lower row.
    entries : (n, k) float32
        The entries themselves, with their signs.
    """
    items = np.empty((B.shape[1], k), np.int32)
    entries = np.empty((B.shape[1], k), np.float32)
    with chunks(4):
        _all_columns(B, capacity(k), items, entries)
    return items, entries
