"""Integer codes of ids, and sorting of interactions by user and item, in linear time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.kernels.arrays import Int, Long
from shoal.kernels.compiling import jit


@jit()
def dense_codes(ids: Long, low: int, high: int) -> tuple[Int, Long]:
    """Number integer ids by their rank among the distinct ids.

    It takes a table of high − low + 1 elements.

    Parameters
    ----------
    ids : (m,) int64
    low, high : int
        Bounds of the ids, inclusive.

    Returns
    -------
    codes : (m,) int32
        The rank of each id.
    distinct : (d,) int64
        The distinct ids, ascending.
    """
    seen = np.zeros(high - low + 1, np.bool_)
    for p in range(ids.size):
        seen[ids[p] - low] = True
    rank = np.empty(seen.size, np.int32)
    count = 0
    for v in range(seen.size):
        rank[v] = count
        count += seen[v]
    distinct = np.empty(count, np.int64)
    for v in range(seen.size):
        if seen[v]:
            distinct[rank[v]] = v + low
    codes = np.empty(ids.size, np.int32)
    for p in range(ids.size):
        codes[p] = rank[ids[p] - low]
    return codes, distinct


@jit()
def _counting_sort(codes: Int, n: int, order: Int | Long, out: Int | Long) -> None:
    fill = np.zeros(n + 1, np.int64)
    for p in range(codes.size):
        fill[codes[p] + 1] += 1
    for j in range(n):
        fill[j + 1] += fill[j]
    for p in range(order.size):
        c = codes[order[p]]
        out[fill[c]] = order[p]
        fill[c] += 1


@jit()
def _in_order(users: Int, items: Int) -> bool:
    for p in range(1, users.size):
        if users[p - 1] > users[p] or (users[p - 1] == users[p] and items[p - 1] > items[p]):
            return False
    return True


def order_by_pair(users: Int, items: Int, n_users: int, n_items: int) -> Int | Long | None:
    """Find the permutation that sorts pairs by user, then item; equal pairs keep their order.

    Parameters
    ----------
    users, items : (m,) int32
        Codes below n_users and n_items.
    n_users, n_items : int

    Returns
    -------
    (m,) int32 or int64, or None
        The positions of the pairs in sorted order; None if they are sorted already.
    """
    if _in_order(users, items):
        return None
    places: Any = np.int32 if users.size < 2**31 else np.int64
    first: NDArray[Any] = np.empty(users.size, places)
    second: NDArray[Any] = np.arange(users.size, dtype=places)
    _counting_sort(items, n_items, second, first)
    _counting_sort(users, n_users, first, second)
    return second
