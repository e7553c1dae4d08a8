"""Sorting interactions by (user, item) in linear time."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int = NDArray[np.int32]
Long = NDArray[np.int64]


@njit(cache=True)
def _counting_sort(codes: Int, n: int, order: Long, out: Long) -> None:
    fill = np.zeros(n + 1, np.int64)
    for p in range(codes.size):
        fill[codes[p] + 1] += 1
    for j in range(n):
        fill[j + 1] += fill[j]
    for p in range(order.size):
        c = codes[order[p]]
        out[fill[c]] = order[p]
        fill[c] += 1


@njit(cache=True)
def order_by_pair(users: Int, items: Int, n_users: int, n_items: int) -> Long:
    """Positions that sort pairs by user, then item; equal pairs keep their order."""
    first = np.empty(users.size, np.int64)
    second = np.arange(users.size)
    _counting_sort(items, n_items, second, first)
    _counting_sort(users, n_users, first, second)
    return second


@njit(cache=True)
def csr_indptr(users: Int, n_users: int) -> Long:
    """Extents of each user in arrays sorted by user."""
    indptr = np.zeros(n_users + 1, np.int64)
    for p in range(users.size):
        indptr[users[p] + 1] += 1
    for u in range(n_users):
        indptr[u + 1] += indptr[u]
    return indptr
