"""The k best of a stream of scored items, as integers.

An item and its score become one int64 key that is larger the better it ranks: the score's bits,
put in order, above the complement of the item's number. So equal scores are ordered by number, and
choosing and sorting compare integers. Candidates go to a buffer of more than k keys; when it is
full, a partial selection halves it, and its worst survivor is the floor that later ones must pass.
That is a few steps for each candidate, where a heap takes one of its height.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from shoal.kernels.arrays import Int, Long

LOWEST = -(2**63)  # no key is as low
_LOW = 0x7FFFFFFF
_GAPS = np.array([1750, 701, 301, 132, 57, 23, 10, 4, 1])  # of shell sort (Ciura, 2001)


def capacity(k: int) -> int:
    """Keys that the buffer of one row holds."""
    return 2 * k + 64


@njit(cache=True, inline="always")
def key_of(score_bits: Any, item: Any) -> Any:
    """The key (int64) of an item; `score_bits` is its float32 score seen as int32."""
    bits = np.int64(score_bits)
    if bits == -0x80000000:  # −0 and 0 are equal
        bits = np.int64(0)
    ordered = bits ^ ((bits >> 31) & _LOW)
    return (ordered << 32) | (_LOW - item)


@njit(cache=True, inline="always")
def score_bits_of(key: Any) -> Any:
    """The score of a key, as the bits (int32) of a float32."""
    ordered = key >> 32
    return np.int32(ordered ^ ((ordered >> 31) & _LOW))


@njit(cache=True, inline="always")
def item_of(key: int) -> int:
    """The item of a key."""
    return _LOW - (key & _LOW)


@njit(cache=True)
def keep_best(keys: Long, size: int, k: int) -> None:
    """Bring the k largest of `size` > k keys to the front, the least of them to place k − 1."""
    low, high = 0, size - 1
    while low < high:
        a, b, c = keys[low], keys[(low + high) // 2], keys[high]
        pivot = max(min(a, b), min(max(a, b), c))
        at = (low + high) // 2 if pivot == b else (low if pivot == a else high)
        keys[at] = keys[high]
        keys[high] = pivot
        end = low
        for i in range(low, high):  # no branch: its outcome could not be foreseen
            key = keys[i]
            keys[i] = keys[end]
            keys[end] = key
            end += key > pivot
        keys[high] = keys[end]
        keys[end] = pivot
        if end == k - 1:
            return
        if end < k - 1:
            low = end + 1
        else:
            high = end - 1


@njit(cache=True, inline="always")
def offer(keys: Long, size: int, floor: Any, key: Any, k: int) -> tuple[int, Any]:
    """Add a key above `floor` to `size` others, in any order of items.

    Returns the new size, and the floor: the k-th largest when some were last cut, `LOWEST` before.
    """
    if key > floor:
        keys[size] = key
        size += 1
        if size == keys.size:
            keep_best(keys, size, k)
            return k, keys[k - 1]
    return size, floor


@njit(cache=True)
def sort_descending(keys: Long, size: int) -> None:
    """Sort the first `size` keys, the largest first."""
    for gap in _GAPS:
        for i in range(gap, size):
            key, at = keys[i], i
            while at >= gap and keys[at - gap] < key:
                keys[at] = keys[at - gap]
                at -= gap
            keys[at] = key


@njit(cache=True)
def sorted_lists(keys: Long, size: int, items: Int, score_bits: Int) -> None:
    """Write the best of `size` keys, best first, and leave what is beyond them as it is."""
    k = items.size
    if size > k:
        keep_best(keys, size, k)
        size = k
    sort_descending(keys, size)
    for i in range(size):
        items[i] = item_of(keys[i])
        score_bits[i] = score_bits_of(keys[i])
