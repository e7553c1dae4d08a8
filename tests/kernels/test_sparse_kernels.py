"""Gram matrix, weights and products against scipy and the formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from shoal.kernels import gram, linear
from shoal.kernels.threads import use_threads


def table(m: int, n: int, *, valued: bool, seed: int = 0) -> sp.csr_array:
    """With empty rows and columns, and rows of very different length."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((m, n)) < rng.beta(0.5, 2, (m, 1))).astype(np.float32)
    dense[::7] = 0
    dense[:, 1::5] = 0
    return sp.csr_array(
        dense * rng.uniform(0.1, 5, dense.shape).astype(np.float32) if valued else dense
    )


def arrays(X: sp.csr_array) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    return (
        X.indptr.astype(np.int64),
        X.indices.astype(np.int32),
        X.data.astype(np.float32),
    )


def gram_of(X: sp.csr_array, weights: Any = None, threads: int = 1) -> NDArray[np.float32]:
    out = np.full((X.shape[1], X.shape[1]), 77, np.float32)
    with use_threads(threads):
        gram.gram_upper(*arrays(X), weights, out)
    return out


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 80), (80, 3), (150, 70)])
def test_gram_is_that_of_scipy(m: int, n: int, valued: bool, weighted: bool) -> None:
    X = table(m, n, valued=valued)
    w = np.random.default_rng(1).random(m).astype(np.float32) if weighted else None
    G = gram_of(X, w)
    wide = X.astype(np.float64)
    scale = sp.diags_array(np.ones(m) if w is None else w.astype(np.float64))
    expected = (wide.T @ scale @ wide).toarray()
    np.testing.assert_allclose(np.triu(G), np.triu(expected), rtol=2e-6, atol=1e-6)
    assert (G[np.tril_indices(n, -1)] == 77).all()  # the rest is left as it was


def test_gram_of_binary_data_counts_exactly() -> None:
    X = table(300, 40, valued=False)
    expected = (X.T.astype(np.int64) @ X.astype(np.int64)).toarray()
    np.testing.assert_array_equal(np.triu(gram_of(X)), np.triu(expected))


def test_gram_does_not_depend_on_threads_by_a_bit() -> None:
    X = table(200, 150, valued=True)
    np.testing.assert_array_equal(gram_of(X, threads=1), gram_of(X, threads=2))


def test_gram_of_nothing_is_zero() -> None:
    assert (np.triu(gram_of(sp.csr_array((4, 3), dtype=np.float32))) == 0).all()


@pytest.mark.parametrize(("begin", "end"), [(0, 70), (0, 9), (23, 64), (64, 70)])
def test_rows_of_the_gram_matrix_add_up_over_parts_of_the_table(begin: int, end: int) -> None:
    X, w = table(150, 70, valued=True), np.random.default_rng(1).random(150).astype(np.float32)
    parts = [(X[:50], w[:50]), (X[50:], w[50:])]
    sums, counts = (np.zeros((end - begin, 70 - begin), t) for t in (np.float32, np.int32))
    for part, weights in parts:
        indptr, indices, data = arrays(part)
        gram.add_to_rows(indptr, indices, data, weights, begin, sums)
        gram.add_to_rows(indptr, indices, None, None, begin, counts)
    upper = np.triu(gram_of(X, w))[begin:end, begin:]
    np.testing.assert_array_equal(np.triu(sums), np.triu(upper))  # in the same order, too
    ones = (X.toarray() != 0).astype(np.int64)
    expected = (ones.T @ ones)[begin:end, begin:]
    np.testing.assert_array_equal(np.triu(counts), np.triu(expected))


def test_column_index_is_that_of_the_transpose() -> None:
    X = table(60, 20, valued=True)
    starts, rows, places = gram.column_index(*arrays(X)[:2], 20)
    columns = X.tocsc()
    np.testing.assert_array_equal(starts, columns.indptr)
    np.testing.assert_array_equal(rows, columns.indices)
    np.testing.assert_array_equal(X.data[places], columns.data)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 150])  # tiles are of 64
def test_weights_from_inverse_is_its_formula(n: int) -> None:
    rng = np.random.default_rng(n)
    P = rng.normal(size=(n, n))
    P = P + P.T
    scale, left, right = rng.uniform(0.5, 2, (3, n))
    right = 1 / left
    B = np.triu(P).astype(np.float32)
    B[np.tril_indices(n, -1)] = np.nan  # is not to be read
    with use_threads(2):
        linear.weights_from_inverse(B, *(v.astype(np.float32) for v in (scale, left, right)))
    expected = np.diag(left) @ (np.eye(n) - P @ np.diag(scale)) @ np.diag(right)
    np.testing.assert_allclose(B, expected, rtol=1e-5, atol=1e-5)


def test_signed_entries_are_counted_off_the_diagonal() -> None:
    B = np.array([[-1, -2, 0], [3, -1, -0.0], [-4, -5, 6]], np.float32)
    assert linear.signed_entries(B, -1) == 3  # −2, −4, −5
    assert linear.signed_entries(B, 1) == 1  # 3
    larger = np.random.default_rng(0).normal(size=(90, 90)).astype(np.float32)
    off = ~np.eye(90, dtype=bool)
    assert linear.signed_entries(larger, -1) == (larger[off] < 0).sum()


@pytest.mark.parametrize("columns", [1, 33])
def test_products_are_those_of_scipy(columns: int) -> None:
    X = table(50, 40, valued=True)
    B = table(40, columns, valued=True, seed=1)
    expected = (X.astype(np.float64) @ B.astype(np.float64)).toarray()
    close = {"rtol": 1e-5, "atol": 1e-5}
    dense = linear.sparse_times_dense(*arrays(X), np.ascontiguousarray(B.toarray()))
    sparse = linear.sparse_times_sparse(*arrays(X), *arrays(B), columns)
    np.testing.assert_allclose(dense, expected, **close)
    np.testing.assert_allclose(sparse, expected, **close)
    assert dense.dtype == sparse.dtype == np.float32
    assert (dense[0] == 0).all()  # an empty row


def test_products_do_not_depend_on_threads_by_a_bit() -> None:
    X, B = table(50, 40, valued=True), table(40, 33, valued=True, seed=1)
    results = []
    for count in (1, 2):
        with use_threads(count):
            dense = linear.sparse_times_dense(*arrays(X), np.ascontiguousarray(B.toarray()))
            results.append((dense, linear.sparse_times_sparse(*arrays(X), *arrays(B), 33)))
    np.testing.assert_array_equal(results[0], results[1])


def test_no_rows_give_no_rows() -> None:
    X = sp.csr_array((0, 4), dtype=np.float32)
    assert linear.sparse_times_dense(*arrays(X), np.ones((4, 2), np.float32)).shape == (0, 2)
