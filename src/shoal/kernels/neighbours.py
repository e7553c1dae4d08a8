"""The most similar items of each item, without ever holding all similarities."""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit, parallel_chunksize, prange
from numpy.typing import NDArray

from shoal.kernels.gram import column_index
from shoal.kernels.topk import _best_of_row

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
    items: Int,
    scores: Float,
) -> None:
    n = norms.size
    everything = np.ones(n, np.bool_)
    for i in prange(n):
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
        _best_of_row(row, everything, items[i], scores[i])


def nearest_by_cosine(
    indptr: Long, indices: Int, data: Float, n_items: int, k: int, shrink: float
) -> tuple[Int, Float]:
    """Find the k items with the highest shrunk cosine to each item.

    s_ij = x_iᵀx_j / (‖x_i‖‖x_j‖ + shrink) over the columns x of a CSR matrix.

    Returns
    -------
    items : (n_items, k) int32, best first, −1 where there are fewer than k
    scores : (n_items, k) float32
    """
    starts, rows, places = column_index(indptr, indices, n_items)
    squares = np.bincount(indices, weights=data.astype(np.float64) ** 2, minlength=n_items)
    norms = np.sqrt(squares).astype(np.float32)
    items = np.full((n_items, k), -1, np.int32)
    scores = np.full((n_items, k), -np.inf, np.float32)
    with parallel_chunksize(max(1, min(32, n_items // (4 * get_num_threads())))):
        _cosine(indptr, indices, data, starts, rows, places, norms, shrink, items, scores)
    return items, scores
