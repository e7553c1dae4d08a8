"""The sparse Gram matrix against scipy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from shoal.kernels import sparse_gram
from shoal.kernels.threads import use_threads


def table(m: int, n: int, density: float, *, valued: bool = True) -> sp.csr_array:
    rng = np.random.default_rng(m + n)
    X = sp.random_array((m, n), density=density, format="csr", rng=rng, dtype=np.float32)
    X.data[:] = rng.uniform(0.1, 5, X.nnz) if valued else 1
    return X


def gram(X: sp.csr_array, weights: Any = None, threads: int = 1) -> Any:
    indptr, indices = X.indptr.astype(np.int64), X.indices.astype(np.int32)
    w = np.ones(X.shape[0], np.float32) if weights is None else weights
    with use_threads(threads):
        extents = sparse_gram.extents(indptr, indices, X.shape[1])
        return extents, *sparse_gram.sparse_gram(indptr, indices, X.data, w, extents)


@pytest.mark.parametrize("density", [0.001, 0.02, 0.5])  # columns are put in order in two ways
@pytest.mark.parametrize(("m", "n"), [(1, 1), (40, 700), (300, 130)])
def test_it_is_that_of_scipy(m: int, n: int, density: float) -> None:
    X = table(m, n, density)
    w = np.random.default_rng(1).random(m).astype(np.float32)
    wide = X.astype(np.float64)
    expected = sp.csr_array(wide.T @ sp.diags_array(w.astype(np.float64)) @ wide)
    expected.sort_indices()
    extents, columns, values = gram(X, w)
    np.testing.assert_array_equal(extents, expected.indptr)
    np.testing.assert_array_equal(columns, expected.indices)
    np.testing.assert_allclose(values, expected.data, rtol=2e-6)
    assert (extents.dtype, columns.dtype, values.dtype) == (np.int64, np.int32, np.float32)


def test_more_columns_than_a_piece_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_gram, "PIECE", 100)
    X = table(80, 350, 0.05, valued=False)
    extents, columns, values = gram(X)
    found = sp.csr_array((values, columns, extents), shape=(350, 350))
    np.testing.assert_array_equal(found.toarray(), (X.T @ X).toarray())


def test_it_is_symmetric_and_does_not_depend_on_threads_by_a_bit() -> None:
    X = table(200, 150, 0.05)
    one, two = gram(X, threads=1), gram(X, threads=2)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    G = sp.csr_array((one[2], one[1], one[0]), shape=(150, 150)).toarray()
    np.testing.assert_allclose(G, G.T, rtol=1e-6)


def test_a_pair_that_cancels_or_is_zero_is_still_there() -> None:
    X = sp.csr_array(np.array([[1, 1, 0]], np.float32))
    X.data[1] = 0
    extents, columns, _ = gram(X)
    np.testing.assert_array_equal(extents, [0, 2, 4, 4])
    np.testing.assert_array_equal(columns, [0, 1, 0, 1])
