"""The most similar items of each item, without ever holding all similarities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit, parallel_chunksize, prange
from numpy.typing import NDArray

from shoal.kernels.gram import column_index
from shoal.kernels.selection import capacity
from shoal.kernels.topk import best_of_row

PIECE = 1024  # items at a time
_ENTRIES = 2**20  # at a time

Int = NDArray[np.int32]
Long = NDArray[np.int64]
Float = NDArray[np.float32]


@njit(parallel=True, cache=True, nogil=True)
def _cosine(
    indptr: Long,
    indices: Int,
    data: Float,
    starts: Long,
    rows: Int,
    places: Long,
    norms: Float,
    shrink: float,
    begin: int,
    room: int,
    items: Int,
    score_bits: Int,
) -> None:
    n = norms.size
    everything = np.ones(n, np.bool_)
    for at in prange(items.shape[0]):
        i = begin + at
        row = np.zeros(n, np.float32)
        for p in range(starts[i], starts[i + 1]):
            u = rows[p]
            x = data[places[p]]
            for q in range(indptr[u], indptr[u + 1]):
                row[indices[q]] += x * data[q]
        row[i] = 0.0
        for j in range(n):
            if row[j] != 0.0:
                row[j] /= norms[i] * norms[j] + shrink
            else:
                row[j] = -np.inf  # no common user: not a neighbour
        keys = np.empty(room, np.int64)
        best_of_row(row, everything, keys, items[at], score_bits[at])


def nearest_by_cosine(
    indptr: Long,
    indices: Int,
    data: Float,
    n_items: int,
    k: int,
    shrink: float,
    done: Callable[[float], None] = lambda _items: None,
) -> tuple[Int, Float]:
    """Find the k items with the highest shrunk cosine to each item.

    s_ij = x_iᵀx_j / (‖x_i‖‖x_j‖ + shrink) over the columns x of a CSR matrix. `done` is called
    with the number of items finished since the last call.

    Returns
    -------
    items : (n_items, k) int32, best first, −1 where there are fewer than k
    scores : (n_items, k) float32
    """
    starts, rows, places = column_index(indptr, indices, n_items)
    squares = np.zeros(n_items)
    for begin in range(0, indices.size, _ENTRIES):  # in pieces: 16 bytes for each would be much
        some = slice(begin, begin + _ENTRIES)
        weights = np.square(data[some], dtype=np.float64)
        squares += np.bincount(indices[some], weights=weights, minlength=n_items)
    norms = np.sqrt(squares).astype(np.float32)
    items = np.full((n_items, k), -1, np.int32)
    scores = np.full((n_items, k), -np.inf, np.float32)
    index = starts, rows, places
    with parallel_chunksize(8):
        # in pieces, so that progress can be told and an interrupt is heard
        for begin in range(0, n_items, PIECE):
            part = slice(begin, min(n_items, begin + PIECE))
            lists = items[part], scores[part].view(np.int32)
            rest = norms, shrink, begin, capacity(k), *lists
            _cosine(indptr, indices, data, *index, *rest)  # type: ignore[arg-type]
            done(part.stop - begin)
    return items, scores
