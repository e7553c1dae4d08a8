"""The k best of a stream of scored items, by comparing integers.

An item and its score become one int64 key that is larger the better the item ranks: the upper bits
are those of the score, changed so that they sort as integers; the lower bits are the complement of
the item's number, so equal scores are ordered by number. Candidates go to a buffer of more than k
keys. When it is full, a partial selection keeps the k best; the worst of them is the floor that
later candidates must exceed. That takes a few steps per candidate, fewer than a heap needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.kernels.arrays import Int, Long
from shoal.kernels.compiling import jit

LOWEST = -(2**63)  # below all keys
_LOW = 0x7FFFFFFF  # mask of the lower 31 bits
_GAPS = np.array([1750, 701, 301, 132, 57, 23, 10, 4, 1])  # gaps of shell sort (Ciura, 2001)


def capacity(k: int) -> int:
    """Return how many keys the buffer of one row holds, for lists of k items."""
    return 2 * k + 64


@jit(inline="always")
def key_of(score_bits: Any, item: Any) -> Any:
    """Return the key (int64) of an item; `score_bits` is its float32 score seen as int32."""
    bits = np.int64(score_bits)
    if bits == -0x80000000:  # −0 counts as 0
        bits = np.int64(0)
    ordered = bits ^ ((bits >> 31) & _LOW)
    return (ordered << 32) | (_LOW - item)


@jit(inline="always")
def score_bits_of(key: Any) -> Any:
    """Return the score of a key: a float32 seen as int32."""
    ordered = key >> 32
    return np.int32(ordered ^ ((ordered >> 31) & _LOW))


@jit(inline="always")
def item_of(key: int) -> int:
    """Return the item number of a key."""
    return _LOW - (key & _LOW)


@jit()
def keep_best(keys: Long, size: int, k: int) -> None:
    """Move the k largest of `size` > k keys to the front, the smallest of them to place k − 1."""
    low, high = 0, size - 1
    while low < high:
        a, b, c = keys[low], keys[(low + high) // 2], keys[high]
        pivot = max(min(a, b), min(max(a, b), c))
        at = (low + high) // 2 if pivot == b else (low if pivot == a else high)
        keys[at] = keys[high]
        keys[high] = pivot
        end = low
        for i in range(low, high):  # without a branch, which would be mispredicted often
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


@jit(inline="always")
def offer(keys: Long, size: int, floor: Any, key: Any, k: int) -> tuple[int, Any]:
    """Add a key to the buffer `keys`, which holds `size` keys, if it is above `floor`.

    Returns the new size and the new floor: the k-th largest key when the buffer was last cut.
    """
    if key > floor:
        keys[size] = key
        size += 1
        if size == keys.size:
            keep_best(keys, size, k)
            return k, keys[k - 1]
    return size, floor


@jit()
def sort_descending(keys: Long, size: int) -> None:
    """Sort the first `size` keys in place, the largest first."""
    for gap in _GAPS:
        for i in range(gap, size):
            key, at = keys[i], i
            while at >= gap and keys[at - gap] < key:
                keys[at] = keys[at - gap]
                at -= gap
            keys[at] = key


@jit()
def sorted_lists(keys: Long, size: int, items: Int, score_bits: Int) -> None:
    """Write the best of `size` keys to `items` and `score_bits`, best first.

    If there are fewer keys than places, the other places are unchanged.
    """
    k = items.size
    if size > k:
        keep_best(keys, size, k)
        size = k
    sort_descending(keys, size)
    for i in range(size):
        items[i] = item_of(keys[i])
        score_bits[i] = score_bits_of(keys[i])
