"""Inner products of chosen pairs of rows: some entries of a matrix product A·Bᵀ."""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Float, Long
from shoal.kernels.compiling import jit, parallel, prange

_CHUNK = 256  # pairs that a thread takes at a time


# "reassoc" lets the compiler vectorise the sum; its order does not depend on the threads
@jit(fastmath={"reassoc", "contract"})
def _dot(a: Float, b: Float) -> np.float32:
    total = np.float32(0)
    for f in range(a.size):
        total += a[f] * b[f]
    return total


@parallel
def _products(rows: Long, columns: Long, A: Float, B: Float, out: Float) -> None:
    n_chunks = (out.size + _CHUNK - 1) // _CHUNK
    for chunk in prange(n_chunks):
        for p in range(chunk * _CHUNK, min(out.size, (chunk + 1) * _CHUNK)):
            out[p] = _dot(A[rows[p]], B[columns[p]])


def products(rows: Long, columns: Long, A: Float, B: Float) -> Float:
    """Return A[rows[p]]·B[columns[p]] for each pair p.

    Parameters
    ----------
    rows, columns : (e,) int64
        Row numbers of A and of B. Pairs with the same row of A should be adjacent, so that the row
        stays in the cache.
    A : (m, d) float32, C-ordered
    B : (n, d) float32, C-ordered

    Returns
    -------
    (e,) float32
    """
    out = np.empty(rows.size, np.float32)
    _products(rows, columns, A, B, out)
    return out
