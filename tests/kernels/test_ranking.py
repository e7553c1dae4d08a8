"""The fused product and selection against doing one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from shoal.kernels import linear, ranking, topk
from shoal.kernels.threads import use_threads
from shoal.testing.checks import assert_same_lists


def arrays(matrix: sp.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int32),
        matrix.data.astype(np.float32),
    )


def sparse(m: int, n: int, seed: int) -> sp.csr_array:
    rng = np.random.default_rng(seed)
    return sp.csr_array(sp.random(m, n, 0.2, "csr", np.float32, rng))


@pytest.mark.parametrize("columns", [1, 31, 32, 33, 600])
@pytest.mark.parametrize("k", [1, 7, 600])
def test_the_same_bits_as_product_then_selection(columns: int, k: int) -> None:
    rng = np.random.default_rng(columns)
    X, seen = sparse(60, 90, 1), sparse(60, columns, 2)
    B = rng.normal(size=(90, columns)).astype(np.float32)
    B[:, ::3] = np.round(B[:, ::3])  # ties
    allowed = rng.random(columns) < 0.8
    excluded = arrays(seen)[:2]
    expected = topk.best(linear.sparse_times_dense(*arrays(X), B), k, *excluded, allowed)
    for threads in (1, 2):
        with use_threads(threads):
            found = ranking.best_of_product(arrays(X), B, k, *excluded, allowed)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_against_numpy() -> None:
    X, n = sparse(40, 50, 3), 300
    B = np.random.default_rng(4).normal(size=(50, n))
    nothing = np.zeros(41, np.int64), np.empty(0, np.int32)
    scores = X.astype(np.float64) @ B
    items, values = ranking.best_of_product(
        arrays(X), B.astype(np.float32), 10, *nothing, np.ones(n, np.bool_)
    )
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :10], -np.sort(-scores, axis=1)[:, :10]
    assert_same_lists(items, values, *expected)


def test_empty_histories_get_the_first_items_at_zero() -> None:
    X = sp.csr_array((2, 5), dtype=np.float32)
    B = np.ones((5, 5), np.float32)
    items, scores = ranking.best_of_product(
        arrays(X), B, 2, np.zeros(3, np.int64), np.empty(0, np.int32), np.ones(5, np.bool_)
    )
    assert items.tolist() == [[0, 1], [0, 1]]
    assert scores.tolist() == [[0, 0], [0, 0]]


def test_a_nan_is_an_error() -> None:
    X = sp.csr_array(np.eye(4, dtype=np.float32))
    B = np.ones((4, 400), np.float32)
    B[2, 399] = np.nan
    with pytest.raises(FloatingPointError):
        ranking.best_of_product(
            arrays(X), B, 2, np.zeros(5, np.int64), np.empty(0, np.int32), np.ones(400, np.bool_)
        )
