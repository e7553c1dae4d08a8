"""The order of items with equal scores: one that follows nothing, neither ids nor popularity.

Selection takes equal scores in the order of item numbers. Numbers ascend with ids, and ids often
with age or popularity; where a list ends among equal scores, the lowest ids would always be in it.
So the places of equal scores are dealt out anew, by a fixed scrambling of the item numbers: the
same in every run, for every user, on every device and with any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from shoal.kernels.arrays import Bool, Float, Int, Long, Ranking, Seen
from shoal.kernels.compiling import jit, parallel, prange

_ITEM = 0x7FFFFFFF  # mask of an item's number in a key
_AT_ONCE = 2**24  # scores (64 MB) that are looked through at a time


@jit(inline="always")
def scrambled(item: Any) -> Any:
    """A number of 32 bits for an item, another one for each ("lowbias32" of C. Wellons)."""
    mask = np.uint64(0xFFFFFFFF)
    x = np.uint64(item)
    x ^= x >> np.uint64(16)
    x = (x * np.uint64(0x7FEB352D)) & mask
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(0x846CA68B)) & mask
    x ^= x >> np.uint64(16)
    return np.int64(x)


@parallel
def _order(rows: Long, items: Int, scores: Float) -> None:
    for r in prange(rows.size):
        row_items, row_scores = items[rows[r]], scores[rows[r]]
        begin = 0
        while begin < row_items.size and row_items[begin] >= 0:
            end = begin + 1
            while (
                end < row_items.size
                and row_items[end] >= 0
                and row_scores[end] == row_scores[begin]
            ):
                end += 1
            if end > begin + 1:
                keys = np.empty(end - begin, np.int64)
                for i in range(end - begin):
                    keys[i] = (scrambled(row_items[begin + i]) << 31) | row_items[begin + i]
                keys.sort()
                for i in range(end - begin):
                    row_items[begin + i] = keys[i] & _ITEM
            begin = end


@jit()
def _scrambled_all(n: int) -> Long:
    places = np.empty(n, np.int64)
    for i in range(n):
        places[i] = scrambled(i)
    return places


@jit()
def _places(items: Int, out: Long) -> None:
    for i in range(items.size):
        out[i] = scrambled(items[i]) if items[i] >= 0 else np.int64(1) << 62


def places(items: Int) -> Long:
    """The place of each item among equal scores; −1, for no item, comes last."""
    out = np.empty(items.shape, np.int64)
    _places(np.ascontiguousarray(items).reshape(-1), out.reshape(-1))
    return out


@lru_cache(maxsize=4)
def _in_order(n: int) -> Int:
    """The numbers of n items in the scrambled order."""
    return np.argsort(_scrambled_all(n)).astype(np.int32)


@jit(nogil=True)
def items_before(scores: Float, item: int, allowed: Bool) -> int:
    """Count the items that stand before one item in a list of all allowed ones, best first.

    Parameters
    ----------
    scores : (n,) float32
    item : int
        Number of the item; it need not be allowed itself.
    allowed : (n,) bool
    """
    count, place = 0, scrambled(item)
    for i in range(scores.size):
        if i != item and allowed[i]:
            equal = scores[i] == scores[item]
            count += scores[i] > scores[item] or (equal and scrambled(i) < place)
    return count


@parallel
def _deal(
    block: Float,
    rows: Long,
    indptr: Long,
    indices: Int,
    allowed: Bool,
    in_order: Int,
    k: int,
    items: Int,
    scores: Float,
) -> None:
    for r in prange(rows.size):
        row = rows[r]
        for q in range(indptr[row], indptr[row + 1]):
            block[r, indices[q]] = -np.inf
        value = scores[row, k - 1]
        begin = k - 1
        while begin > 0 and scores[row, begin - 1] == value:
            begin -= 1
        chosen = np.empty(k - begin, np.int32)
        size = 0
        for i in in_order:
            if block[r, i] == value and allowed[i]:
                chosen[size] = i
                size += 1
                if size == chosen.size:
                    break
        if size == chosen.size:  # fewer where another computation rounded in another way
            items[row, begin:k] = chosen


def dealt(
    items: Int,
    scores: Float,
    k: int,
    score_rows: Callable[[Long], Float],
    seen: Seen,
    allowed: Bool,
) -> Ranking:
    """Deal the places of equal scores out by the scrambled order.

    Parameters
    ----------
    items, scores : (m, K) int32 and float32
        Lists with one item more than k, or all items that may be chosen; they are overwritten.
    k : int
        Length of the lists that are wanted.
    score_rows : callable
        Gives new scores of all items, (rows, n_items), for some of the rows. It is called for
        those whose list ends among equal scores.
    seen : (indptr, indices)
        Items of each row that may not be chosen, as a CSR array has them.
    allowed : (n_items,) bool
        Items that may be chosen at all.

    Returns
    -------
    items : (m, k) int32
    scores : (m, k) float32
    """
    equal = (scores[:, 1:] == scores[:, :-1]) & (items[:, 1:] >= 0)
    tied = np.flatnonzero(equal.any(axis=1))
    if tied.size:
        _order(tied, items, scores)
        if items.shape[1] > k:
            cut = tied[equal[tied, k - 1]]
            at_once, in_order = max(1, _AT_ONCE // allowed.size), _in_order(allowed.size)
            for begin in range(0, cut.size, at_once):
                rows = cut[begin : begin + at_once]
                block = score_rows(rows)
                _deal(block, rows, *seen, allowed, in_order, k, items, scores)
    return np.ascontiguousarray(items[:, :k]), np.ascontiguousarray(scores[:, :k])
