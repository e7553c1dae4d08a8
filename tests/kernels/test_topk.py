"""Top-k against a full stable sort."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from shoal.kernels import topk
from shoal.kernels.threads import use_threads

Float = NDArray[np.float32]
Rows = list[list[int]]


def csr(rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    indptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return indptr, np.array([i for row in rows for i in row], np.int32)


def sorted_whole(
    block: Float, k: int, excluded: Rows, allowed: NDArray[np.bool_]
) -> tuple[list[list[int]], list[list[float]]]:
    """Plain Python: sort everything that may be chosen by score, then by number."""
    items, scores = [], []
    for row, out in zip(block.tolist(), excluded, strict=True):
        may = [
            (-s, i)
            for i, s in enumerate(row)
            if allowed[i] and i not in out and s == s and s != float("-inf")  # noqa: PLR0124
        ]
        first = sorted(may)[:k]
        rest = k - len(first)
        items.append([i for _, i in first] + [-1] * rest)
        scores.append([-s for s, _ in first] + [float("-inf")] * rest)
    return items, scores


def check(block: Float, k: int, excluded: Rows, allowed: NDArray[np.bool_]) -> None:
    items, scores = topk.best(block.copy(), k, *csr(excluded), allowed)
    expected_items, expected_scores = sorted_whole(block, k, excluded, allowed)
    np.testing.assert_array_equal(items, expected_items)
    np.testing.assert_array_equal(scores, np.array(expected_scores, np.float32))


@pytest.mark.parametrize("k", [1, 2, 3, 7, 39, 40, 55])  # 40 items: k = n and above it too
@pytest.mark.parametrize("kind", ["distinct", "few values", "all equal", "infinite", "falling"])
def test_it_is_the_head_of_a_full_sort(kind: str, k: int) -> None:
    rng = np.random.default_rng(k)
    block = rng.normal(size=(30, 40)).astype(np.float32)
    if kind == "few values":
        block = rng.integers(0, 4, (30, 40)).astype(np.float32)
    elif kind == "all equal":
        block[:] = 1
    elif kind == "infinite":
        block = rng.choice([np.nan, -np.inf, np.inf, 0.0, 1.0, -2.0], (30, 40)).astype(np.float32)
    elif kind == "falling":
        block = np.tile(-np.arange(40, dtype=np.float32), (30, 1))
    nobody: Rows = [[] for _ in range(30)]
    some: Rows = [sorted(rng.choice(40, rng.integers(0, 40), replace=False)) for _ in range(30)]
    everything, half = np.ones(40, bool), rng.random(40) < 0.5
    for excluded in (nobody, some):
        for allowed in (everything, half, np.zeros(40, bool)):
            check(block, k, excluded, allowed)


def test_excluded_entries_are_overwritten() -> None:
    block = np.array([[3, 2, 1]], np.float32)
    topk.best(block, 1, *csr([[0, 2]]), np.ones(3, bool))
    np.testing.assert_array_equal(block, np.array([[-np.inf, 2, -np.inf]], np.float32))


def test_threads_agree() -> None:
    block = np.random.default_rng(0).integers(0, 9, (64, 50)).astype(np.float32)
    nobody: Rows = [[] for _ in range(64)]
    results = []
    for count in (1, 2):
        with use_threads(count):
            results.append(topk.best(block.copy(), 8, *csr(nobody), np.ones(50, bool)))
    np.testing.assert_array_equal(results[0][0], results[1][0])


def test_no_rows() -> None:
    items, scores = topk.best(np.empty((0, 5), np.float32), 2, *csr([]), np.ones(5, bool))
    assert items.shape == scores.shape == (0, 2)


def test_hits_are_membership_row_by_row() -> None:
    items = np.array([[2, 5, 9], [1, -1, -1], [0, 1, 2], [7, 8, 9]], np.int32)
    found = topk.hits(items, *csr([[2, 3, 9], [1], [], [0, 8, 10]]), 11)
    np.testing.assert_array_equal(
        found, [[True, False, True], [True, False, False], [False] * 3, [False, True, False]]
    )


def test_hits_reads_a_stretch_of_the_rows() -> None:
    """`evaluate` hands over the extents of a block and the indices of all users."""
    indptr, indices = csr([[1], [2], [3]])
    found = topk.hits(np.array([[2], [3]], np.int32), indptr[1:], indices, 4)
    np.testing.assert_array_equal(found, [[True], [True]])
