"""The largest singular values of a sparse matrix, with their right singular vectors.

Subspace iteration on G = XᵀX from a random start, with a QR in each round (Halko, Martinsson and
Tropp, SIAM Review 2011, algorithm 4.4). G is never made: G·Q is computed as Xᵀ(X·Q), some columns
of Q at a time. Each round subtracts half of the smallest Ritz value from G, which keeps the order
of the leading eigenvalues and makes those near the last one converge about twice as fast
(Feng, Yu, Xie and Tang, ACM TOMS 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg as dense

from shoal.kernels.arrays import Double, Float, Int, Long, Sparse
from shoal.kernels.gram import by_column
from shoal.kernels.linear import sparse_times_dense
from shoal.kernels.threads import blas_threads_for, one_blas_thread

SMALL = 256  # up to so many columns, all are used: one exact round
WIDTH = 64  # columns multiplied at a time, so that only m × 64 numbers of X·Q are stored
MAX_ROUNDS = 30  # largest number of rounds
ROUNDS = 14  # typical number of rounds, for estimates of time


def subspace(rank: int, n_columns: int) -> int:
    """Return how many columns Q has, to find `rank` singular vectors: about an eighth more."""
    return min(n_columns, max(SMALL, rank + max(16, rank // 8)))


def bytes_needed(n_rows: int, n_columns: int, nnz: int, rank: int) -> int:
    """Return the peak bytes of `top_singular`: two n × l blocks, pieces of them, and X and Xᵀ."""
    width = subspace(rank, n_columns)
    blocks = 4 * (2 * n_columns * width + (n_rows + 4 * n_columns) * min(WIDTH, width))
    return blocks + 40 * width**2 + 20 * nnz + 24 * (n_rows + n_columns)


def work_needed(n_columns: int, nnz: int, rank: int) -> dict[str, float]:
    """Return the work of `top_singular` by kind, as in `Costs.work_to_fit`, for typical data.

    Sparse products and QR run at about an eighth of the speed of a large dense product.
    """
    width = subspace(rank, n_columns)
    rounds = 1 if width == n_columns or width <= SMALL >= n_columns else ROUNDS
    flops = 4.0 * nnz * width + 4.0 * n_columns * width**2
    return {"product": 8 * rounds * flops, "entry": nnz}


def _gram_times(X: Sparse, Xt: Sparse, weights: Float | None, columns: Float | None, Q: Any) -> Any:
    """Return C·Xᵀ diag(w) X·C·Q, (n, l), with C = diag(columns); Q and result in Fortran order."""
    out = np.empty_like(Q)
    for begin in range(0, Q.shape[1], WIDTH):
        part = slice(begin, begin + WIDTH)
        block = Q[:, part] if columns is None else Q[:, part] * columns[:, None]
        product = sparse_times_dense(*X, np.ascontiguousarray(block))
        if weights is not None:
            product *= weights[:, None]
        product = sparse_times_dense(*Xt, product)
        out[:, part] = product if columns is None else product * columns[:, None]
    return out


def _orthonormal(block: Any) -> Any:
    """Return Q of the QR decomposition of a Fortran-ordered block, which is overwritten.

    In one thread: it calls BLAS for each column, and threads that meet so often spend the time with
    waiting, on a busy machine dozens of times as long as one thread takes.
    """
    with one_blas_thread():
        return dense.qr(block, mode="economic", overwrite_a=True, check_finite=False)[0]


def top_singular(
    indptr: Long,
    indices: Int,
    data: Float,
    n_columns: int,
    rank: int,
    *,
    rows: Float | None = None,
    columns: Float | None = None,
    seed: int = 0,
    tolerance: float = 1e-3,
    max_rounds: int = MAX_ROUNDS,
    done: Callable[[float], None] = lambda _rounds: None,
) -> tuple[Double, Float]:
    """Find the largest singular values of diag(rows)·X·diag(columns) and their right vectors.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of X, shape (m, n)
    n_columns : int
        n.
    rank : int
        Number of singular values; at most n.
    rows : (m,) float32, optional
        Factors of the rows.
    columns : (n,) float32, optional
        Factors of the columns.
    seed : int
        Seed of the random start.
    tolerance : float
        Stop when no squared singular value changed by more than this share in a round.
    max_rounds : int
        Largest number of rounds.
    done : callable
        Called with 1 after each round.

    Returns
    -------
    values : (rank,) float64
        Singular values, descending.
    vectors : (n, rank) float32, C-ordered
        Right singular vectors: orthonormal columns, the largest |entry| of each positive.

    Notes
    -----
    `bytes_needed` gives the memory; no array is m × n, n × n or m × rank. Values below about 1e-3
    of the largest are not accurate in float32. Sums over rows have a fixed order, products of
    blocks are made by BLAS, so the number of threads changes the result only by rounding. A column
    without entries is zero, up to rounding, in the vectors of all values above zero.
    """
    width = subspace(rank, n_columns)
    X = indptr, indices, data
    Xt = by_column(*X, n_columns)
    weights = None if rows is None else rows**2
    if width == n_columns:
        Q = np.eye(n_columns, dtype=np.float32, order="F")
        max_rounds = 1
    else:
        Q = np.random.default_rng(seed).standard_normal((width, n_columns), np.float32).T
        Q[np.diff(Xt[0]) == 0] = 0
        Q = _orthonormal(Q)
    before = np.zeros(rank)
    for turn in range(max_rounds):
        Z = _gram_times(X, Xt, weights, columns, Q)
        with blas_threads_for(2.0 * n_columns * width**2):
            small = (Q.T @ Z).astype(np.float64)
        with one_blas_thread():
            ritz, rotation = dense.eigh((small + small.T) / 2)
        top = np.maximum(ritz[: -rank - 1 : -1], 0)
        done(1)
        if turn + 1 == max_rounds or (np.abs(top - before) <= tolerance * top).all():
            break
        before = top
        Q *= np.float32(max(ritz[0], 0) / 2)
        Z -= Q
        Q = _orthonormal(Z)  # reuses the memory of Z
    del Z
    vectors = np.empty((n_columns, rank), np.float32)
    with blas_threads_for(2.0 * n_columns * width * rank):
        np.matmul(Q, rotation[:, : -rank - 1 : -1].astype(np.float32), out=vectors)
    vectors *= np.where(-vectors.min(axis=0) > vectors.max(axis=0), np.float32(-1), np.float32(1))
    return np.sqrt(top), vectors
