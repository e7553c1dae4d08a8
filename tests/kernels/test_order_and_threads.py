"""Codes and order against numpy; threads given back."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from shoal.kernels import order
from shoal.kernels.threads import cores, use_threads


@pytest.mark.parametrize("values", [[5], [3, 3, 3], [-4, 10, 0, -4, 7], list(range(50, 0, -3))])
def test_dense_codes_are_ranks_among_the_distinct(values: list[int]) -> None:
    ids = np.array(values, np.int64)
    codes, distinct = order.dense_codes(ids, int(ids.min()), int(ids.max()))
    expected, inverse = np.unique(ids, return_inverse=True)
    np.testing.assert_array_equal(distinct, expected)
    np.testing.assert_array_equal(codes, inverse)
    assert codes.dtype == np.int32


def test_pairs_in_order_already_are_left_alone() -> None:
    users, items = np.array([0, 0, 0, 2], np.int32), np.array([1, 1, 3, 0], np.int32)
    assert order.order_by_pair(users, items, 3, 4) is None
    assert order.order_by_pair(users, items[::-1].copy(), 3, 4) is not None
    assert order.order_by_pair(users[::-1].copy(), items, 3, 4) is not None


def test_order_by_pair_is_a_stable_sort_by_user_then_item() -> None:
    rng = np.random.default_rng(0)
    users, items = (rng.integers(0, n, 500).astype(np.int32) for n in (12, 9))
    np.testing.assert_array_equal(
        order.order_by_pair(users, items, 12, 9), np.lexsort((items, users))
    )


def test_nothing_has_an_order_too() -> None:
    none = np.empty(0, np.int32)
    assert order.order_by_pair(none, none, 0, 0) is None


def blas_threads() -> list[int]:
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


def test_threads_are_limited_inside_and_restored_after() -> None:
    before, blas_before = numba.get_num_threads(), blas_threads()
    with use_threads(1) as count:
        assert count == 1
        assert numba.get_num_threads() == 1
        assert set(blas_threads()) == {1}
    assert numba.get_num_threads() == before
    assert blas_threads() == blas_before


def test_threads_are_restored_after_an_error() -> None:
    before, blas_before = numba.get_num_threads(), blas_threads()

    def fails() -> None:
        with use_threads(1):
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert numba.get_num_threads() == before
    assert blas_threads() == blas_before


def test_nested_blocks_restore_the_outer_one() -> None:
    with use_threads(1):
        with use_threads(2):
            assert numba.get_num_threads() == min(2, numba.config.NUMBA_NUM_THREADS)
        assert numba.get_num_threads() == 1
        assert set(blas_threads()) == {1}


def test_more_threads_than_there_are_is_every_one() -> None:
    with use_threads(10_000) as count:
        assert count == numba.config.NUMBA_NUM_THREADS
    with use_threads(None) as count:
        assert count == min(cores(), numba.config.NUMBA_NUM_THREADS)
