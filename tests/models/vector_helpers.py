"""A log with item vectors, and L3AE and its kin as their papers write them, in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shoal.data.interactions import Interactions
from shoal.testing import from_dense

Matrix = NDArray[np.float64]

COLD, WITHOUT_TEXT, NEITHER = 4, 6, 9


def table(n_users: int = 50, n_items: int = 12, *, valued: bool = False) -> Matrix:
    """Popularity falls; items 4 and 9 have no user."""
    rng = np.random.default_rng(3)
    X = (rng.random((n_users, n_items)) < np.linspace(0.6, 0.15, n_items)).astype(float)
    X[:, [COLD, NEITHER]] = 0
    return X * rng.integers(1, 4, X.shape) if valued else X


def vectors(n_items: int = 12, size: int = 5) -> Matrix:
    """Of any length; items 6 and 9 have none."""
    rng = np.random.default_rng(8)
    V = rng.normal(size=(n_items, size)) * rng.uniform(0.5, 2, (n_items, 1))
    V[[WITHOUT_TEXT, NEITHER]] = 0
    return V.astype(np.float32).astype(np.float64)


def log_of(X: Matrix, V: Matrix) -> Interactions:
    return replace(from_dense(X), item_vectors=V.astype(np.float32))


def unit(V: Matrix) -> Matrix:
    lengths = np.linalg.norm(V, axis=1, keepdims=True)
    return V / np.where(lengths > 0, lengths, 1)


def ease(G: Matrix, l2: float) -> Matrix:
    """Every column by itself: regression on the other items."""
    n = len(G)
    B = np.zeros((n, n))
    for j in range(n):
        rest = np.arange(n) != j
        B[rest, j] = np.linalg.solve(G[np.ix_(rest, rest)] + l2 * np.eye(n - 1), G[rest, j])
    return B
