"""Products of a large symmetric matrix, stored as one triangle, with thin matrices, by BLAS."""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas

from shoal.kernels import spd
from shoal.kernels.arrays import Double, Float

ROWS = 4096  # rows that are worked on at once


def symmetric_product(upper: Float, V: Float) -> Float:
    """Return S·V, (n, d) float32, for a symmetric S (n, n) and V (n, d), C-ordered float32.

    Only the upper triangle of S is read. It takes 2·n²·d flops and makes no copy.
    """
    # BLAS reads a C-ordered array as its transpose: it computes Vᵀ·S with the lower triangle of S
    product: Float = blas.ssymm(1.0, upper.T, V.T, side=1, lower=1).T
    return product


def add_product(out: Float, A: Float, R: Float) -> None:
    """Add A·Rᵀ to `out`, in place; out (m, n), A (m, d), R (n, d), all C-ordered float32."""
    for begin in range(0, len(out), ROWS):
        rows = slice(begin, begin + ROWS)
        target = out[rows].T
        blas.sgemm(1.0, R.T, A[rows].T, beta=1.0, c=target, trans_a=1, overwrite_c=1)


def cross(V: Float, W: Float) -> Double:
    """Return VᵀW, (d, d), for V and W (n, d) float32; it is summed in float64."""
    total = np.zeros((V.shape[1], W.shape[1]))
    for begin in range(0, len(V), ROWS):
        rows = slice(begin, begin + ROWS)
        total += V[rows].T.astype(np.float64) @ W[rows].astype(np.float64)
    return total


def inverse(K: Double) -> Double:
    """Invert a symmetric positive definite K (d, d) in place, and return it.

    Raises
    ------
    NotPositiveDefiniteError
        K is singular or indefinite in float64.
    """
    spd.invert_upper(K)
    K[:] = np.triu(K) + np.triu(K, 1).T
    return K


def quadratic(V: Float, M: Double) -> tuple[Float, Double]:
    """Return V·M, (n, d) float32, and v_jᵀ M v_j for each row v_j of V (n, d), (n,) float64."""
    product, form = np.empty_like(V), np.empty(len(V))
    for begin in range(0, len(V), ROWS):
        rows = slice(begin, begin + ROWS)
        exact = V[rows].astype(np.float64)
        block = exact @ M
        form[rows] = np.einsum("jd,jd->j", exact, block)
        product[rows] = block
    return product, form
