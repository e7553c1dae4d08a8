"""Scaling and cutting the rows of a sparse matrix, against NumPy on the dense one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from shoal.kernels.sparse_rows import largest_of_rows, scale
from shoal.kernels.threads import use_threads


def square(n: int, density: float, seed: int = 0) -> sp.csr_array:
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((n, n)) < density, rng.uniform(-1, 5, (n, n)), 0)
    dense[n // 2] = 0
    return sp.csr_array(dense.astype(np.float32))


def arrays(A: sp.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return A.indptr.astype(np.int64), A.indices.astype(np.int32), A.data


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("k", [1, 3, 70, 1000])
def test_the_largest_are_those_of_sorted_dense_rows(k: int, threads: int) -> None:
    A = square(150, 0.4)
    with use_threads(threads):
        indptr, indices, data = largest_of_rows(*arrays(A), k)
    expected = np.zeros(A.shape, np.float32)
    for i, row in enumerate(A.toarray()):
        there = [j for j in np.flatnonzero(row) if j != i]
        kept = [*sorted(there, key=lambda j: -row[j])[:k], i]
        expected[i, kept] = row[kept]
    found = sp.csr_array((data, indices, indptr), shape=A.shape)
    np.testing.assert_array_equal(found.toarray(), expected)
    assert found.nnz == np.count_nonzero(expected)
    assert found.has_sorted_indices


def test_of_equal_entries_the_lower_columns_are_kept_and_the_diagonal_does_not_count() -> None:
    A = sp.csr_array(np.full((5, 5), 2, np.float32))
    indptr, indices, _ = largest_of_rows(*arrays(A), 2)
    kept = [indices[b:e].tolist() for b, e in pairwise(indptr)]
    assert kept == [[0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 3], [0, 1, 4]]


def test_scaling_multiplies_rows_and_columns() -> None:
    A = square(40, 0.3)
    rows, columns = np.random.default_rng(1).uniform(0, 2, (2, 40)).astype(np.float32)
    expected = np.diag(rows) @ A.toarray() @ np.diag(columns)
    scale(*arrays(A), rows, columns)
    np.testing.assert_allclose(A.toarray(), expected, rtol=1e-6)
