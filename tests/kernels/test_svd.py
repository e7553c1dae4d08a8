"""Singular values and vectors of sparse matrices against LAPACK's and ARPACK's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.linalg import subspace_angles
from scipy.sparse.linalg import svds

import shoal
from shoal.kernels import svd
from shoal.kernels.threads import use_threads


def table(m: int, n: int) -> sp.csr_array:
    """Popular and rare columns, some empty, and empty rows."""
    rng = np.random.default_rng(2)
    dense = (rng.random((m, n)) < 0.4 / np.arange(1, n + 1) ** 0.5).astype(np.float32)
    dense *= rng.uniform(0.5, 3, dense.shape).astype(np.float32)
    dense[::9] = 0
    dense[:, 3::20] = 0
    return sp.csr_array(dense)


def found(X: sp.csr_array, rank: int, threads: int = 1, **options: Any) -> Any:
    arrays = X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data.astype(np.float32)
    with use_threads(threads):
        return svd.top_singular(*arrays, X.shape[1], rank, **options)


def check(values: Any, vectors: Any, expected: Any, directions: Any) -> None:
    half = (len(values) + 1) // 2
    np.testing.assert_allclose(values[:half], expected[:half], rtol=1e-4)
    np.testing.assert_allclose(values, expected, rtol=5e-3)
    assert np.sin(subspace_angles(vectors[:, :half], directions[:, :half]).max()) < 5e-3
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-5)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(
    ("m", "n", "rank"), [(900, 400, 20), (300, 500, 200), (500, 400, 1), (80, 40, 9)]
)
def test_the_largest_are_those_of_lapack(m: int, n: int, rank: int, scaled: bool) -> None:
    X, rng = table(m, n), np.random.default_rng(1)
    rows, columns = (rng.uniform(0.2, 1, size).astype(np.float32) for size in (m, n))
    factors = {"rows": rows, "columns": columns} if scaled else {}
    values, vectors = found(X, rank, **factors)
    dense = X.toarray().astype(np.float64)
    if scaled:
        dense = rows[:, None] * dense * columns
    _, expected, directions = np.linalg.svd(dense, full_matrices=False)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    check(values, vectors, expected[:rank], directions[:rank].T)


def test_all_of_them_make_the_matrix_again() -> None:
    X = table(80, 40)
    values, V = found(X, 40)
    G = (X.T @ X).toarray()
    np.testing.assert_allclose((V * values**2) @ V.T, G, atol=2e-6 * np.abs(G).max())
    assert (np.diff(values) <= 0).all()
    assert (values[-2:] < 1e-3 * values[0]).all()  # two columns are empty


def test_an_empty_column_has_no_part_in_what_is_not_zero() -> None:
    values, V = found(table(500, 300), 25)
    assert (values > 0).all()
    np.testing.assert_allclose(V[3::20], 0, atol=1e-6)


def test_the_sign_of_each_vector_is_that_of_its_largest_entry() -> None:
    for rank in (5, 40):
        V = found(table(80, 40), rank)[1]
        assert (V[np.abs(V).argmax(axis=0), np.arange(rank)] > 0).all()


def test_the_seed_fixes_the_result_and_threads_and_seed_change_it_by_rounding_only() -> None:
    X = table(900, 400)
    one, again = found(X, 10, tolerance=1e-6), found(X, 10, tolerance=1e-6)
    np.testing.assert_array_equal(one[1], again[1])
    for other in (found(X, 10, threads=2, tolerance=1e-6), found(X, 10, seed=5, tolerance=1e-6)):
        np.testing.assert_allclose(other[0], one[0], rtol=1e-5)
        np.testing.assert_allclose(other[1][:, :5], one[1][:, :5], atol=1e-3)


def test_rounds_are_told_and_end() -> None:
    told: list[float] = []
    found(table(500, 300), 20, tolerance=0, max_rounds=7, done=told.append)
    assert told == [1] * 7


def test_a_real_matrix_beside_arpack(shoal_data: Callable[[str], Path]) -> None:
    log = shoal.read(shoal_data("ml-1m") / "interactions.parquet", min_value=4)
    X = sp.csr_array(log.matrix)
    left, expected, right = svds(X.astype(np.float64), 48, random_state=0)
    assert left.shape == (log.n_users, 48)
    order = np.argsort(-expected)
    check(*found(X, 48, threads=2), expected[order], right[order].T)


def peak(call: Callable[[], object]) -> int:
    """Largest memory that NumPy held during a call."""
    import tracemalloc

    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("m", "n", "rank"), [(6000, 3000, 40), (3000, 6000, 300)])
def test_memory_is_what_is_said(m: int, n: int, rank: int) -> None:
    X = sp.random_array((m, n), density=0.01, format="csr", rng=np.random.default_rng(0))
    found(X[:50], 5)
    said = svd.bytes_needed(m, n, X.nnz, rank)
    used = peak(lambda: found(X, rank, max_rounds=3))
    assert used < 4 * m * n  # no table
    assert said / 1.3 < used < 1.3 * said
