"""Coordinate descent where it is at its limits; what it solves is in tests/models/test_slim.py."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shoal.kernels.coordinate_descent import nonnegative_columns
from shoal.kernels.gram import column_index
from shoal.kernels.threads import use_threads


def like(near: NDArray[np.int32]) -> NDArray[np.float32]:
    """Cosines that rule nobody out."""
    return np.where(near < 0, -np.inf, 1e30).astype(np.float32)


def test_more_weights_than_a_working_set_holds() -> None:
    """G = D + uuᵀ, so that w_k = u_k·(u_0 − t)/(d_k + l2), t = u_0·S/(1 + S), all above zero.

    S = Σ u²/(d + l2) over the candidates, of which there are 4,999; a working set has 2,048.
    """
    n, l2 = 5000, 0.5
    rng = np.random.default_rng(0)
    u, d = rng.uniform(0.1, 0.3, n), rng.uniform(20, 90, n)
    G = (np.outer(u, u) + np.diag(d)).astype(np.float32)
    near = np.full((n, n - 1), -1, np.int32)
    near[0] = np.arange(1, n)
    with use_threads(1):
        found = nonnegative_columns(G, (near, like(near)), 0.0, l2, 1e-12, 0, n)
    (extents, rows, values), facts = found.columns, found.facts
    S = (u[1:] ** 2 / (d[1:] + l2)).sum()
    expected = u[1:] * u[0] / (1 + S) / (d[1:] + l2)
    np.testing.assert_array_equal(rows, np.arange(1, n))
    np.testing.assert_array_equal(extents, np.where(np.arange(n + 1) > 0, n - 1, 0))
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    assert facts["duality_gap"] < 1e-9


def test_without_a_gram_matrix_it_is_the_same_for_many_users() -> None:
    """Users are read in blocks of 16,384; here are four, the last of them short."""
    rng = np.random.default_rng(4)
    users = rng.integers(0, 52_000, 40_000)
    items = np.minimum(rng.geometric(0.08, users.size) - 1, 29)
    X = sp.csr_array(sp.coo_array((rng.uniform(1, 3, users.size), (users, items)), (52_000, 30)))
    X.sort_indices()
    indptr, indices = X.indptr.astype(np.int64), X.indices.astype(np.int32)
    data = X.data.astype(np.float32)
    starts, rows, places = column_index(indptr, indices, 30)
    near = np.array([[k for k in range(30) if k != j] for j in range(30)], np.int32)
    near[3, 4:] = -1
    G = (X.T @ X).toarray().astype(np.float32)
    with use_threads(2):
        rest = (near, like(near)), 50.0, 100.0, 1e-12, 0, 30
        expected = nonnegative_columns(G, *rest).columns
        found = nonnegative_columns((starts, rows, data[places]), *rest).columns
    assert found[2].size > 100
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-4, atol=1e-6)
