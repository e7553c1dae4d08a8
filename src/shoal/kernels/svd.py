"""The largest singular values of a sparse matrix, and its right singular vectors.

Subspace iteration on G = XᵀX from a random start, with a QR in each round (Halko, Martinsson and
Tropp, SIAM Review 2011, algorithm 4.4). G is never made: it is applied as Xᵀ(X·Q), some columns of
Q at a time. Each round subtracts half of the smallest Ritz value from G, which keeps the order of
the leading eigenvalues and about doubles the speed at which those near the cut are told apart
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

SMALL = 256  # columns, of which all are taken: one round, and exact
WIDTH = 64  # columns multiplied at a time: m × 64 is all that is held of the row side
MAX_ROUNDS = 30
ROUNDS = 14  # as a rule


def subspace(rank: int, n_columns: int) -> int:
    """Columns that are iterated on to find `rank` singular vectors: an eighth more."""
    return min(n_columns, max(SMALL, rank + max(16, rank // 8)))


def bytes_needed(n_rows: int, n_columns: int, nnz: int, rank: int) -> int:
    """Memory of `top_singular` at its peak, beyond X: two n × l blocks, m × 64, and Xᵀ."""
    width = subspace(rank, n_columns)
    blocks = 4 * (2 * n_columns * width + (n_rows + 2 * n_columns) * min(WIDTH, width))
    return blocks + 40 * width**2 + 20 * nnz + 24 * (n_rows + n_columns)


def work_needed(n_columns: int, nnz: int, rank: int) -> dict[str, float]:
    """Work of `top_singular` by kind, as `Costs.work_to_fit` gives it, for the usual rounds.

    A sparse row times a dense one runs at about an eighth of the speed of a large dense product,
    and so does QR.
    """
    width = subspace(rank, n_columns)
    rounds = 1 if width == n_columns or width <= SMALL >= n_columns else ROUNDS
    flops = 4.0 * nnz * width + 4.0 * n_columns * width**2
    return {"product": 8 * rounds * flops, "entry": nnz}


def _gram_times(X: Sparse, Xt: Sparse, weights: Float | None, columns: Float | None, Q: Any) -> Any:
    """C·Xᵀ diag(w) X·C·Q with C = diag(columns); Q (n, l) in Fortran order, and so the result."""
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
    """Q of the QR of a Fortran-ordered block, in its place."""
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
    """The largest singular values of diag(rows)·X·diag(columns), and its right singular vectors.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of X, shape (m, n)
    n_columns : int
        n.
    rank : int
        How many are wanted; at most n.
    rows : (m,) float32, optional
        Factors of the rows.
    columns : (n,) float32, optional
        Factors of the columns.
    seed : int
        Of the random start.
    tolerance : float
        Stop when no wanted squared value changed by more than this share in a round.
    max_rounds : int
        Stop then in any case.
    done : callable
        Gets 1 after each round.

    Returns
    -------
    values : (rank,) float64, falling
    vectors : (n, rank) float32, C-ordered
        Orthonormal columns, the largest entry of each positive.

    Notes
    -----
    Memory: see `bytes_needed`; nothing is m × n, n × n or m × rank. Values below about 1e-3 of
    the largest are lost in float32. Sums over rows have a fixed order, products of blocks are
    BLAS's, so another number of threads changes the result by rounding only. A column without
    entries has zeros, up to rounding, in the vectors of all values above zero.
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
        small = (Q.T @ Z).astype(np.float64)
        ritz, rotation = dense.eigh((small + small.T) / 2)
        top = np.maximum(ritz[: -rank - 1 : -1], 0)
        done(1)
        if turn + 1 == max_rounds or (np.abs(top - before) <= tolerance * top).all():
            break
        before = top
        Q *= np.float32(max(ritz[0], 0) / 2)
        Z -= Q
        Q = _orthonormal(Z)  # in the memory of Z
    del Z
    vectors = np.empty((n_columns, rank), np.float32)
    np.matmul(Q, rotation[:, : -rank - 1 : -1].astype(np.float32), out=vectors)
    vectors *= np.where(-vectors.min(axis=0) > vectors.max(axis=0), np.float32(-1), np.float32(1))
    return np.sqrt(top), vectors
