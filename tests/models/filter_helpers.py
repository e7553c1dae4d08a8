"""A log for graph filters, and their low-pass filter in dense NumPy, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def table(
    users: int = 60, items: int = 30, *, valued: bool = False, seed: int = 3, least: float = 0.1,
    most: float = 0.6, empty_item: int = -1,
) -> Matrix:  # fmt: skip
    """Popularity falls; one item and two users are empty."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((users, items)) < np.linspace(most, least, items)).astype(float)
    dense[:, empty_item] = 0
    dense[[0, 11]] = 0
    return dense * rng.uniform(0.5, 3, dense.shape).astype(np.float32) if valued else dense


def spectrum(X: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Eigenvalues and vectors of S, largest first, and D; all are of the items that have users."""
    some = X[X.sum(axis=1) > 0][:, X.sum(axis=0) > 0]
    D = some.sum(axis=0)
    R = some / np.sqrt(some.sum(axis=1))[:, None] / np.sqrt(D)
    values, vectors = np.linalg.eigh(R.T @ R)
    return values[::-1], vectors[:, ::-1], D


def of_all_items(X: Matrix, part: Matrix) -> Matrix:
    """A matrix of the items that have users, with rows and columns of zeros for the others."""
    there = X.sum(axis=0) > 0
    whole = np.zeros((X.shape[1], X.shape[1]))
    whole[np.ix_(there, there)] = part
    return whole


def low_pass(X: Matrix, k: int, b: float) -> Matrix:
    """Π_b = D^−b·VVᵀ·D^b, of all items."""
    values, vectors, D = spectrum(X)
    V = vectors[:, : min(k, int((values > 1e-9).sum()))]
    return of_all_items(X, np.diag(D**-b) @ V @ V.T @ np.diag(D**b))
