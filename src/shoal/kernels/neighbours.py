"""The most similar items of each item, without storing all n × n similarities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shoal.kernels import column_sums
from shoal.kernels.arrays import Float, Int, Long, Ranking
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.gram import Index
from shoal.kernels.selection import LOWEST, capacity, key_of, offer, sorted_lists

PIECE = 1024  # items between two reports of progress
_CHUNK = 32  # items that a thread takes at a time, with a buffer for one row

NeighbourLists = tuple[Int, Int]  # items, and their float32 scores seen as int32


@jit()
def _reached(
    indptr: Long, indices: Int, data: Float, index: Index, i: int, row: Float, touched: Int
) -> int:
    """Write row i of XᵀX into `row`, which is zero, and list its non-zero columns in `touched`.

    Returns the number of these columns.
    """
    starts, rows, places = index
    size, meetings = 0, 0
    for p in range(starts[i], starts[i + 1]):
        meetings += indptr[rows[p] + 1] - indptr[rows[p]]
    if meetings > row.size:  # then it is faster to search the row for non-zeros afterwards
        for p in range(starts[i], starts[i + 1]):
            u, x = rows[p], data[places[p]]
            for q in range(indptr[u], indptr[u + 1]):
                row[indices[q]] += x * data[q]
        for j in range(row.size):
            if row[j] > 0:
                touched[size] = j
                size += 1
        return size
    for p in range(starts[i], starts[i + 1]):
        u, x = rows[p], data[places[p]]
        for q in range(indptr[u], indptr[u + 1]):
            product = x * data[q]
            if product > 0:
                j = indices[q]
                if row[j] == 0:
                    touched[size] = j
                    size += 1
                row[j] += product
    return size


@jit()
def _best_reached(
    row: Float, touched: Int, norms: Float, i: int, shrink: float, keys: Long, lists: NeighbourLists
) -> None:
    """Write the best of the `touched` columns to `lists`, best first, and set `row` to zero again.

    row[j] is x_iᵀx_j on entry; the score of j is row[j] / (‖x_i‖‖x_j‖ + shrink).
    """
    items, score_bits = lists
    size, floor = 0, np.int64(LOWEST)
    bits = row.view(np.int32)
    for j in touched:
        row[j] /= norms[i] * norms[j] + shrink
        if j != i:
            size, floor = offer(keys, size, floor, key_of(bits[j], j), items.size)
    sorted_lists(keys, size, items, score_bits)
    row[touched] = 0


@parallel
def _cosine(
    indptr: Long,
    indices: Int,
    data: Float,
    index: Index,
    norms: Float,
    shrink: float,
    begin: int,
    room: int,
    items: Int,
    score_bits: Int,
) -> None:
    n = norms.size
    for chunk in prange((items.shape[0] + _CHUNK - 1) // _CHUNK):
        row, touched, keys = (
            np.zeros(n, np.float32),
            np.empty(n, np.int32),
            np.empty(room, np.int64),
        )
        for at in range(chunk * _CHUNK, min(items.shape[0], (chunk + 1) * _CHUNK)):
            i = begin + at
            size = _reached(indptr, indices, data, index, i, row, touched)
            lists = items[at], score_bits[at]
            _best_reached(row, touched[:size], norms, i, shrink, keys, lists)


def norms_of_columns(indices: Int, data: Float, n_items: int) -> Float:
    """Return ‖x_i‖ of each column of X, (n_items,) float32, from the entries of its CSR arrays."""
    return np.sqrt(column_sums.sums(indices, data, n_items, squared=True)).astype(np.float32)


def nearest_by_cosine(
    indptr: Long,
    indices: Int,
    data: Float,
    index: Index,
    norms: Float,
    begin: int,
    end: int,
    k: int,
    shrink: float,
    done: Callable[[float], None] = lambda _items: None,
) -> Ranking:
    """Find the k items with the highest shrunk cosine to each of the items begin … end − 1.

    s_ij = x_iᵀx_j / (‖x_i‖‖x_j‖ + shrink), x_i being column i of X.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of X (m, n_items), values ≥ 0
    index : (starts, rows, places)
        From `column_index`.
    norms : (n_items,) float32
        From `norms_of_columns`.
    begin, end : int
    k : int
        Neighbours of each item.
    shrink : float
        Added to the denominator.
    done : callable
        Called with the number of items finished since the last call.

    Returns
    -------
    items : (end − begin, k) int32, best first, −1 where there are fewer than k
    scores : (end − begin, k) float32
    """
    items = np.full((end - begin, k), -1, np.int32)
    scores = np.full((end - begin, k), -np.inf, np.float32)
    with chunks(1):
        # in pieces, to report progress and react to an interrupt
        for first in range(begin, end, PIECE):
            part = slice(first - begin, min(end, first + PIECE) - begin)
            lists = items[part], scores[part].view(np.int32)
            _cosine(indptr, indices, data, index, norms, shrink, first, capacity(k), *lists)
            done(part.stop - part.start)
    return items, scores
