"""Products in place with one triangle, against numpy; blocks of rows, and what is not read."""

from __future__ import annotations

import numpy as np
import pytest

from shoal.kernels import dense
from shoal.kernels.spd import NotPositiveDefiniteError


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "ROWS", 7)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (6, 9), (7, 3), (30, 4)])
def test_products_are_those_of_numpy(n: int, d: int) -> None:
    rng = np.random.default_rng(n)
    S = rng.normal(size=(n, n)).astype(np.float32)
    S += S.T
    V, W = (rng.normal(size=(n, d)).astype(np.float32) for _ in range(2))
    upper = np.where(np.tri(n, k=-1, dtype=bool), np.float32("nan"), S)
    found = dense.symmetric_product(upper, V)
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, S @ V, rtol=1e-4, atol=1e-5)
    out = S.copy()
    dense.add_product(out, V, W)
    np.testing.assert_allclose(out, S + V @ W.T, rtol=1e-4, atol=1e-5)
    exact = V.astype(np.float64)
    np.testing.assert_allclose(dense.cross(V, W), exact.T @ W.astype(np.float64), atol=1e-12)
    M = rng.normal(size=(d, d))
    M += M.T
    product, form = dense.quadratic(V, M)
    np.testing.assert_allclose(product, exact @ M, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(form, np.diag(exact @ M @ exact.T), atol=1e-10)


def test_a_product_with_fewer_rows_than_columns() -> None:
    rng = np.random.default_rng(0)
    A, R = rng.normal(size=(9, 2)).astype(np.float32), rng.normal(size=(20, 2)).astype(np.float32)
    out = np.zeros((9, 20), np.float32)
    dense.add_product(out, A, R)
    np.testing.assert_allclose(out, A @ R.T, rtol=1e-5, atol=1e-6)


def test_an_inverse_is_whole_or_refused() -> None:
    A = np.random.default_rng(0).normal(size=(8, 8))
    K = A @ A.T + np.eye(8)
    np.testing.assert_allclose(dense.inverse(K.copy()) @ K, np.eye(8), atol=1e-9)
    with pytest.raises(NotPositiveDefiniteError):
        dense.inverse(-np.eye(3))
