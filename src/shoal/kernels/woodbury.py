"""Corrections of low rank to a symmetric inverse, by Woodbury's identity, and what they need.

    (A ± UᵀU)⁻¹ = P ∓ Vᵀ C⁻¹ V        P = A⁻¹,  V = U·P,  C = I ± U·P·Uᵀ

for a sparse U of few rows. `recover` gets P back from the item-item weights that were made of it.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, blas, cholesky

from shoal.kernels import dual, lapack, linear
from shoal.kernels.arrays import Double, Float, Int, Long, Sparse
from shoal.kernels.compiling import chunks, parallel, prange
from shoal.kernels.spd import NotPositiveDefiniteError

_TILE = 64  # rows and columns of a tile
PANEL = 1024  # rows of the inverse that are corrected at once
BLOCK = 512  # most rows of U


@parallel
def _recover(W: Float, rows: Float, columns: Float, positions: Int, out: Float) -> None:
    n = W.shape[0]
    n_tiles = (n + _TILE - 1) // _TILE
    for a in prange(n_tiles):
        for b in range(a, n_tiles):
            for i in range(a * _TILE, min(n, (a + 1) * _TILE)):
                for j in range(max(i + 1, b * _TILE), min(n, (b + 1) * _TILE)):
                    above = W[i, j] * rows[i] * columns[j]
                    below = W[j, i] * rows[j] * columns[i]
                    p = np.float32(-0.5) * (above + below)
                    out[positions[i], positions[j]] = p
                    out[positions[j], positions[i]] = p


def recover(W: Float, rows: Float, columns: Float, positions: Int, out: Float) -> None:
    """Write P, off its diagonal, from W = diag(1/rows)·(I − P)·diag(1/columns).

    Each number is the mean of what its two places in W say.

    Parameters
    ----------
    W : (n, n) float32, C-ordered
    rows, columns : (n,) float32
        1/l and 1/(s·r), where W was made by `linear.weights_from_inverse` with s, l and r.
    positions : (n,) int32
        Ascending: row and column of `out` for each row and column of W.
    out : (N, N) float32, N ≥ n
        Both triangles are written.
    """
    with chunks(4):
        _recover(W, rows, columns, positions, out)


@parallel
def _products(indptr: Long, indices: Int, data: Float, V: Float, out: Double) -> None:
    """Write the lower triangle of V·Uᵀ."""
    for r in prange(V.shape[0]):
        row = V[r]
        for q in range(r + 1):
            total = 0.0
            for p in range(indptr[q], indptr[q + 1]):
                total += np.float64(data[p]) * row[indices[p]]
            out[r, q] = total


def correct(P: Float, U: Sparse, sign: int) -> None:
    """Replace P = A⁻¹ by (A + UᵀU)⁻¹ (sign 1) or by (A − UᵀU)⁻¹ (sign −1), in place.

    It takes about k·n² flops in a matrix product, and a multiply-add of n numbers for each entry of
    U.

    Parameters
    ----------
    P : (n, n) float32, C-ordered
        Both triangles are read; the upper one is replaced, the lower one is unchanged.
    U : CSR arrays of U, (k, n)
        Memory for it is that of k·n numbers in float32 and 3·k² in float64.
    sign : {1, −1}

    Raises
    ------
    NotPositiveDefiniteError
        A − UᵀU is singular or indefinite; P is as it was.
    """
    # for many entries, reading P once is quicker than a row of P for each entry
    few = U[1].size < 4 * len(P)
    V = (linear.sparse_times_dense if few else dual.sparse_times_symmetric)(*U, P)
    k = len(V)
    C = np.zeros((k, k))
    with chunks(8):
        _products(*U, V, C)
    C *= sign
    np.einsum("ii->i", C)[:] += 1
    try:
        L = cholesky(C, lower=True, overwrite_a=True, check_finite=True)
    except (LinAlgError, ValueError):
        raise NotPositiveDefiniteError from None
    # Vᵀ ← Vᵀ·L⁻ᵀ, column-major, which is V ← L⁻¹·V in place
    blas.strsm(1.0, L.astype(np.float32), V.T, side=1, lower=1, trans_a=1, overwrite_b=1)
    lapack.add_square_of_columns(P, V, -float(sign), PANEL)
