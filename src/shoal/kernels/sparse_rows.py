"""Rows of a square sparse matrix in CSR form: scale them, and keep the largest entries of each."""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Float, Int, Long
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.selection import LOWEST, capacity, keep_best, key_of, offer

_GROUP = 64  # rows that a thread takes at a time


@parallel
def _scale(indptr: Long, indices: Int, data: Float, rows: Float, columns: Float) -> None:
    for i in prange(indptr.size - 1):
        for p in range(indptr[i], indptr[i + 1]):
            data[p] *= rows[i] * columns[indices[p]]


def scale(indptr: Long, indices: Int, data: Float, rows: Float, columns: Float) -> None:
    """Multiply entry (i, j) by rows[i]·columns[j], in place.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of the matrix (n, n)
    rows, columns : (n,) float32
    """
    with chunks(_GROUP):
        _scale(indptr, indices, data, rows, columns)


@jit()
def _one_row(indices: Int, bits: Int, i: int, k: int, keys: Long, kept: Int) -> int:
    """Write the places of the kept entries of row i to `kept`; return their number."""
    size, floor = 0, np.int64(LOWEST)
    for p in range(indices.size):
        if indices[p] != i:
            size, floor = offer(keys, size, floor, key_of(bits[p], indices[p]), k)
    floor = np.int64(LOWEST)
    if size > k:
        keep_best(keys, size, k)
        floor = keys[k - 1]
    elif size == k:
        floor = keys[:k].min()
    count = 0
    for p in range(indices.size):
        if indices[p] == i or key_of(bits[p], indices[p]) >= floor:
            kept[count] = p
            count += 1
    return count


@parallel
def _largest(
    indptr: Long, indices: Int, data: Float, bits: Int, k: int, room: int, longest: int,
    extents: Long, columns: Int, values: Float,
) -> None:  # fmt: skip
    n = indptr.size - 1
    for group in prange((n + _GROUP - 1) // _GROUP):
        keys, kept = np.empty(room, np.int64), np.empty(longest, np.int32)
        for i in range(group * _GROUP, min(n, (group + 1) * _GROUP)):
            begin, end = indptr[i], indptr[i + 1]
            count = _one_row(indices[begin:end], bits[begin:end], i, k, keys, kept)
            for at in range(count):
                columns[extents[i] + at] = indices[begin + kept[at]]
                values[extents[i] + at] = data[begin + kept[at]]


def largest_of_rows(indptr: Long, indices: Int, data: Float, k: int) -> tuple[Long, Int, Float]:
    """Keep the diagonal and the k largest other entries of each row.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of the matrix (n, n)
    k : int
        At least 1.

    Returns
    -------
    indptr, indices, data : CSR arrays of the kept entries
        Columns keep their order; of equal entries those of the lower columns are kept.
    """
    lengths = np.diff(indptr)
    rows = np.repeat(np.arange(lengths.size, dtype=np.int32), lengths)
    diagonal = np.bincount(rows[rows == indices], minlength=lengths.size)
    extents = np.zeros_like(indptr)
    np.cumsum(np.minimum(lengths - diagonal, k) + diagonal, out=extents[1:])
    columns, values = np.empty(extents[-1], np.int32), np.empty(extents[-1], np.float32)
    longest, k = int(lengths.max(initial=0)), min(k, max(lengths.size, 1))
    with chunks(1):
        _largest(
            indptr, indices, data, data.view(np.int32), k, capacity(k), longest,
            extents, columns, values,
        )  # fmt: skip
    return extents, columns, values
