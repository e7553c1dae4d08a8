"""The products of the dual form against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from shoal.kernels import dual, linear
from shoal.kernels.threads import use_threads


def table(m: int, n: int, density: float, seed: int = 0) -> sp.csr_array:
    """With an empty row and an empty column, where there is room for them."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((m, n)) < density) * rng.uniform(0.1, 5, (m, n))
    dense[m // 2 : m // 2 + (m > 1)] = 0
    dense[:, n // 2 : n // 2 + (n > 1)] = 0
    return sp.csr_array(dense.astype(np.float32))


def arrays(X: sp.csr_array) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    return X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data


def symmetric(m: int) -> NDArray[np.float32]:
    M = np.random.default_rng(9).normal(size=(m, m))
    return (M + M.T).astype(np.float32)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 40), (700, 33), (64, 64)])
def test_quadratic_forms_are_those_of_numpy_and_read_the_upper_triangle(n: int, m: int) -> None:
    X_t, M = table(n, m, 0.3), symmetric(m)
    dense = X_t.toarray().astype(float)
    expected = np.einsum("iu,uv,iv->i", dense, M.astype(float), dense)
    upper = np.where(np.tri(m, k=-1, dtype=bool), np.nan, M).astype(np.float32)
    found = dual.quadratic_forms(*arrays(X_t), upper)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("m", [1, 31, 32, 33, 100])  # tiles are of 32
@pytest.mark.parametrize("rows", [0, 1, 16, 50])
def test_a_product_by_tiles_has_the_bits_of_the_one_by_rows(rows: int, m: int) -> None:
    Y, M = table(rows, m, 0.4), symmetric(m)
    found = dual.sparse_times_symmetric(*arrays(Y), M)
    np.testing.assert_array_equal(found, linear.sparse_times_dense(*arrays(Y), M))
    np.testing.assert_allclose(found, Y.toarray().astype(float) @ M, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("b", "m", "n"), [(0, 4, 5), (1, 1, 1), (3, 50, 700), (65, 9, 512)])
def test_products_by_item_are_those_of_numpy(b: int, m: int, n: int) -> None:
    rng = np.random.default_rng(1)
    Z, factor = rng.normal(size=(b, m)).astype(np.float32), rng.random(n).astype(np.float32)
    X_t = table(n, m, 0.3)
    found = dual.products_by_item(*arrays(X_t), Z, factor)
    assert found.shape == (b, n)
    expected = Z.astype(float) @ X_t.toarray().T * factor
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_threads_do_not_change_a_bit() -> None:
    X_t, Y, M = table(1500, 90, 0.2), table(70, 90, 0.3, seed=1), symmetric(90)
    results = []
    for count in (1, 2):
        with use_threads(count):
            Z = dual.sparse_times_symmetric(*arrays(Y), M)
            results.append(
                (
                    Z,
                    dual.products_by_item(*arrays(X_t), Z, np.ones(1500, np.float32)),
                    dual.quadratic_forms(*arrays(X_t), M),
                )
            )
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
