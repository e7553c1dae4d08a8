"""Strongest covariances, block solves and pruned columns against scipy and numpy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from shoal.kernels.covariance import (
    CentredGram,
    Neighbours,
    centred_gram,
    estimated_threshold,
    pairs_above,
    strongest,
)
from shoal.kernels.pruning import largest_of_columns
from shoal.kernels.sparse_blocks import factorise, solve
from shoal.kernels.threads import use_threads
from shoal.kernels.vector import BLOCK_COLUMNS, BLOCK_ROWS

Matrix = NDArray[np.float64]


def table(m: int, n: int) -> sp.csr_array:
    rng = np.random.default_rng(2)
    dense = (rng.random((m, n)) < rng.uniform(0.01, 0.4, n)) * rng.uniform(0.5, 4, (m, n))
    dense[:, 3] = 0
    return sp.csr_array(dense.astype(np.float32))


def prepared(X: sp.csr_array, alpha: float) -> CentredGram:
    arrays = X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data
    return centred_gram(*arrays, X.shape[1], alpha)


def strongest_neighbours(gram: CentredGram, wanted: int, k: int, *cuts: int) -> Neighbours:
    """The strongest pairs, with the rows divided at `cuts`."""
    n, threshold = gram.sums.size, estimated_threshold(gram, wanted, k)
    edges = [0, *cuts, n]
    pieces = [pairs_above(gram, threshold, k, *edge) for edge in pairwise(edges)]
    return strongest([piece for some in pieces for piece in some], n, wanted, threshold)


def dense_of(near: Neighbours, n: int) -> Matrix:
    """Strengths, column by column."""
    return sp.csc_array((near.strengths, near.items, near.starts), shape=(n, n)).toarray()


def covariances(X: sp.csr_array, alpha: float) -> Matrix:
    """|G̃| of scipy's XᵀX, zero on the diagonal."""
    wide = X.astype(np.float64)
    sums = np.asarray(wide.sum(axis=0))
    G = (wide.T @ wide).toarray() - np.outer(sums, sums) / X.shape[0]
    v = np.where(G.diagonal() > 0, G.diagonal(), np.inf) if alpha else np.ones(len(G))
    G = np.abs(G / np.outer(v ** (alpha / 2), v ** (alpha / 2)))
    np.fill_diagonal(G, 0)
    return G


@pytest.mark.parametrize("alpha", [0.0, 0.75])
@pytest.mark.parametrize("wanted", [1, 300, 2000, 4555])
def test_what_is_kept_is_the_product_of_scipy_above_a_threshold(wanted: int, alpha: float) -> None:
    X = table(200, 70)
    G = covariances(X, alpha)
    near = strongest_neighbours(prepared(X, alpha), wanted, 70)
    threshold = np.sort(G, axis=None)[::-1][wanted]
    found = dense_of(near, 70)
    np.testing.assert_array_equal(found > 0, threshold * (1 + 1e-5) < G)
    np.testing.assert_allclose(found[found > 0], G[found > 0], rtol=1e-4, atol=1e-6)
    assert near.threshold == pytest.approx(threshold, rel=1e-4)
    assert all((np.diff(some) > 0).all() for some in np.split(near.items, near.starts[1:-1]))


@pytest.mark.parametrize("k", [1, 5, 30])
def test_each_item_keeps_its_strongest(k: int) -> None:
    X = table(200, 70)
    G = covariances(X, 0.5)
    found = dense_of(strongest_neighbours(prepared(X, 0.5), 70 * 70, k), 70)
    for i in range(70):
        best = set(np.argsort(-G[:, i])[:k]) - {i, 3}
        assert i == 3 or best <= set(np.flatnonzero(found[:, i]))
        assert (found[:, i] > 0).sum() <= k


@pytest.mark.parametrize("cuts", [(), (1,), (16, 17, 60), tuple(range(1, 70))])
def test_neither_threads_nor_cuts_matter_and_progress_adds_up(cuts: tuple[int, ...]) -> None:
    gram = prepared(table(200, 70), 0.75)
    with use_threads(1):
        expected = strongest_neighbours(gram, 900, 40)
        told: list[float] = []
        pairs_above(gram, 0.1, 40, 3, 69, told.append)
        assert sum(told) == 66
    with use_threads(2):
        found = strongest_neighbours(gram, 900, 40, *cuts)
    for one, two in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, two)


def positive(n: int) -> Matrix:
    A = np.random.default_rng(n).normal(size=(n, n + 3))
    return A @ A.T / n + np.eye(n)


@pytest.mark.parametrize("n", [8, 16, 64, 200])
def test_the_factor_is_that_of_scipy(n: int) -> None:
    A, g = positive(n), np.linspace(-1, 1, n)
    U = np.full((n, -(-(n + 1) // BLOCK_COLUMNS) * BLOCK_COLUMNS), 5, np.float32)
    U[:, :n], U[:, n] = np.triu(A), g
    factorise(U, n, n + 1)
    expected = scipy.linalg.cholesky(A)
    np.testing.assert_allclose(np.triu(U[:, :n]), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(U[:, n], np.linalg.solve(expected.T, g), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("k", [1, 2, 7, 8, 9, 31, 100, 333])
def test_a_block_is_solved_as_numpy_does(k: int) -> None:
    A, g = positive(k), np.random.default_rng(0).normal(size=k)
    rows = -(-k // BLOCK_ROWS) * BLOCK_ROWS
    block = np.eye(rows, -(-(rows + 1) // BLOCK_COLUMNS) * BLOCK_COLUMNS, dtype=np.float32)
    block[:k, :k] = np.triu(A)
    block[:k, k] = g
    b = np.zeros(k)
    residual = solve(block, np.full_like(block, np.nan), k, b, np.zeros(k))
    full = np.triu(block[:k, :k]).astype(float)  # as it was rounded
    full += np.triu(full, 1).T
    np.testing.assert_allclose(b, np.linalg.solve(full, block[:k, k].astype(float)), rtol=1e-7)
    assert residual < 1e-9


def test_a_block_that_is_not_positive_definite_is_noticed() -> None:
    block = np.eye(8, 16, dtype=np.float32)
    block[1, 1], block[0, 1], block[:2, 2] = 1, 2, 1
    b = np.zeros(2)
    assert not solve(block, np.zeros_like(block), 2, b, np.zeros(2)) < 1


@pytest.mark.parametrize("k", [1, 5, 37, 100])
@pytest.mark.parametrize("n", [1, 16, 45])
def test_the_largest_of_each_column_are_those_of_argsort(n: int, k: int) -> None:
    rng = np.random.default_rng(0)
    B = rng.integers(-40, 40, size=(100, n)).astype(np.float32)  # equal ones among them
    before = B.copy()
    results = []
    for count in (1, 2):
        with use_threads(count):
            results.append(largest_of_columns(B, k))
    expected = np.argsort(-np.abs(B), axis=0, kind="stable")[:k].T
    for rows, entries in results:
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(entries, np.take_along_axis(B.T, expected, axis=1))
    np.testing.assert_array_equal(B, before)
