"""Item-item weights B from an inverse P, products X·B that give scores, and symmetric products."""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Double, Float, Int, Long
from shoal.kernels.compiling import chunks, jit, parallel, prange

_TILE = 64  # rows and columns of a tile


@parallel
def _weights(P: Float, scale: Float, left: Float, right: Float) -> None:
    n = P.shape[0]
    n_tiles = (n + _TILE - 1) // _TILE
    for a in prange(n_tiles):
        for b in range(a, n_tiles):
            for i in range(a * _TILE, min(n, (a + 1) * _TILE)):
                for j in range(max(i + 1, b * _TILE), min(n, (b + 1) * _TILE)):
                    p = -P[i, j]
                    P[i, j] = p * scale[j] * left[i] * right[j]
                    P[j, i] = p * scale[i] * left[j] * right[i]
        for i in range(a * _TILE, min(n, (a + 1) * _TILE)):
            P[i, i] = np.float32(1.0) - P[i, i] * scale[i]


def weights_from_inverse(P: Float, scale: Float, left: Float, right: Float) -> None:
    """Replace the symmetric P by B = diag(left)·(I − P·diag(scale))·diag(right), in place.

    Parameters
    ----------
    P : (n, n) float32, C-ordered
        Only its upper triangle is read; all of it is overwritten by B.
    scale : (n,) float32
        Λ + μ, one factor per column of B.
    left, right : (n,) float32
        Factors of rows and columns, which the diagonal does not have; 1 for no scaling.
    """
    with chunks(4):
        _weights(P, scale, left, right)


@parallel
def pack_weights(
    P: Float, scale: Float, left: Float, right: Float, begin: int, end: int, tile: Float
) -> None:
    """Write the columns begin … end − 1 of B, as of `weights_from_inverse`, without changing P.

    Both triangles of P (n, n) are read; row j of these columns goes to tile[j, : end − begin].
    """
    for j in prange(P.shape[0]):
        for i in range(begin, end):
            tile[j, i - begin] = -P[j, i] * scale[i] * left[j] * right[i]
        if begin <= j < end:
            tile[j, j - begin] = np.float32(1.0) - P[j, j] * scale[j]


@jit()
def _signed_in_row(row: Float, i: int, sign: int) -> int:
    count = 0
    for j in range(row.size):
        if row[j] * sign > 0 and i != j:
            count += 1
    return count


@parallel
def signed_entries(B: Float, sign: int) -> int:
    """Count the entries of B off the diagonal that are above 0 (sign 1) or below 0 (sign −1)."""
    count = 0
    for i in prange(B.shape[0]):
        # the inner loop is a function of its own, as numba fails on it on Python 3.12 and later
        count += _signed_in_row(B[i], i, sign)
    return count


@parallel
def negative_entries(block: Float) -> int:
    """Count the entries of some columns of B that are below 0."""
    count = 0
    for i in prange(block.shape[0]):
        count += _signed_in_row(block[i], -1, -1)
    return count


@jit(fastmath={"contract"})
def _add_rows(indices: Int, data: Float, begin: int, end: int, rows: Float, out: Float) -> None:
    """Add Σ x·rows[j] over the entries (j, x) of a sparse row to `out`, in order, four at a time.

    "contract" allows fused multiply-add (one rounding for x·y + z), as in `vector.add_up`.
    """
    q = begin
    while q + 4 <= end:
        a, b = rows[indices[q]], rows[indices[q + 1]]
        c, d = rows[indices[q + 2]], rows[indices[q + 3]]
        xa, xb, xc, xd = data[q], data[q + 1], data[q + 2], data[q + 3]
        for i in range(out.size):
            out[i] = xd * d[i] + (xc * c[i] + (xb * b[i] + (xa * a[i] + out[i])))
        q += 4
    while q < end:
        a, xa = rows[indices[q]], data[q]
        for i in range(out.size):
            out[i] = xa * a[i] + out[i]
        q += 1


@parallel
def _dense_product(indptr: Long, indices: Int, data: Float, B: Float, out: Float) -> None:
    for r in prange(indptr.size - 1):
        out[r, :] = 0.0
        _add_rows(indices, data, indptr[r], indptr[r + 1], B, out[r])


def sparse_times_dense(indptr: Long, indices: Int, data: Float, B: Float) -> Float:
    """Return X·B, (m, c) float32, for the CSR arrays of X (m, n) and a C-ordered float32 B (n, c).

    The result does not depend on the number of threads.
    """
    out = np.empty((indptr.size - 1, B.shape[1]), np.float32)
    with chunks(8):
        _dense_product(indptr, indices, data, B, out)
    return out


@parallel
def _some_products(
    indptr: Long, indices: Int, data: Float, B: Float, items: Int, out: Float
) -> None:
    for r in prange(out.shape[0]):
        for p in range(indptr[r], indptr[r + 1]):
            row, weight = B[indices[p]], data[p]
            for c in range(items.shape[1]):
                out[r, c] += weight * row[items[r, c]]


def sparse_times_some(indptr: Long, indices: Int, data: Float, B: Float, items: Int) -> Float:
    """Some entries of X·B for a sparse X and a dense B: out[r, c] = (X·B)[r, items[r, c]].

    Parameters
    ----------
    indptr, indices, data
        Arrays of X in CSR form.
    B : (n, n) float32, C-ordered
    items : (m, c) int32
        −1 stands for the last one.

    Returns
    -------
    (m, c) float32
    """
    out = np.zeros(items.shape, np.float32)
    _some_products(indptr, indices, data, B, items, out)
    return out


@parallel
def _sparse_product(
    indptr: Long,
    indices: Int,
    data: Float,
    b_indptr: Long,
    b_indices: Int,
    b_data: Float,
    out: Float,
) -> None:
    for r in prange(indptr.size - 1):
        row = out[r]
        row[:] = 0.0
        for q in range(indptr[r], indptr[r + 1]):
            x = data[q]
            j = indices[q]
            for p in range(b_indptr[j], b_indptr[j + 1]):
                row[b_indices[p]] += x * b_data[p]


def sparse_times_sparse(
    indptr: Long,
    indices: Int,
    data: Float,
    b_indptr: Long,
    b_indices: Int,
    b_data: Float,
    n_columns: int,
) -> Float:
    """Return X·B, a dense (m, n_columns) float32 array, for the CSR arrays of X and B."""
    out = np.empty((indptr.size - 1, n_columns), np.float32)
    with chunks(8):
        _sparse_product(indptr, indices, data, b_indptr, b_indices, b_data, out)
    return out


_CHUNKS = 16  # fixed, so that sums have one order for any number of threads


@parallel
def _symmetric_times(upper: Float, v: Double, parts: Double) -> None:
    n = v.size
    for chunk in prange(_CHUNKS):
        out = parts[chunk]
        for i in range(chunk, n, _CHUNKS):
            row, total, vi = upper[i], upper[i, i] * v[i], v[i]
            for j in range(i + 1, n):
                total += row[j] * v[j]
                out[j] += row[j] * vi
            out[i] += total


def symmetric_times(upper: Float, v: Double) -> Double:
    """Return S·v, (n,) float64, for v (n,) and a symmetric S (n, n), read by its upper triangle."""
    parts = np.zeros((_CHUNKS, v.size))
    _symmetric_times(upper, v, parts)
    total: Double = parts.sum(axis=0)
    return total


@parallel
def sum_of_scaled_columns(A: Float, a: Float, B: Float, b: Float, out: Float) -> None:
    """Write A·diag(a) + B·diag(b) to `out`; A, B and out (m, n), a and b (n,), all float32."""
    for r in prange(A.shape[0]):
        for i in range(A.shape[1]):
            out[r, i] = A[r, i] * a[i] + B[r, i] * b[i]


@parallel
def _mirror(S: Float) -> None:
    n = S.shape[0]
    n_tiles = (n + _TILE - 1) // _TILE
    for a in prange(n_tiles):
        for b in range(a, n_tiles):
            for i in range(a * _TILE, min(n, (a + 1) * _TILE)):
                for j in range(max(i + 1, b * _TILE), min(n, (b + 1) * _TILE)):
                    S[j, i] = S[i, j]


def mirror_upper(S: Float) -> None:
    """Copy the upper triangle of S (n, n) onto the lower one, in place."""
    with chunks(4):
        _mirror(S)
