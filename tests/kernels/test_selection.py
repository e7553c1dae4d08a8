"""Keys and their selection against Python's own sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.kernels import selection


def keys_of(scores: list[float]) -> np.ndarray:
    bits = np.array(scores, np.float32).view(np.int32)
    return np.array([selection.key_of(b, i) for i, b in enumerate(bits)], np.int64)


numbers = st.floats(width=32, allow_nan=False)


@given(st.lists(numbers, min_size=1, max_size=60))
def test_keys_order_by_score_then_by_item(scores: list[float]) -> None:
    """Also for −0 (equal to 0), infinities and the smallest numbers."""
    order = np.argsort(-keys_of(scores), kind="stable")
    assert order.tolist() == sorted(range(len(scores)), key=lambda i: (-scores[i], i))


@given(numbers, st.integers(0, 2**31 - 1))
def test_a_key_gives_back_what_it_was_made_of(score: float, item: int) -> None:
    key = selection.key_of(np.float32(score).view(np.int32), item)
    assert selection.item_of(key) == item
    assert np.int32(selection.score_bits_of(key)).view(np.float32) == np.float32(score)


@pytest.mark.parametrize("order", ["random", "rising", "falling", "organ pipe"])
@pytest.mark.parametrize("size", [2, 3, 10, 257])
def test_keep_best(order: str, size: int) -> None:
    keys = np.arange(size, dtype=np.int64)
    if order == "random":
        keys = np.random.default_rng(size).permutation(keys)
    elif order == "falling":
        keys = keys[::-1].copy()
    elif order == "organ pipe":
        keys = np.concatenate([keys[::2], keys[1::2][::-1]])
    for k in {1, 2, size // 2, size - 1} - {0}:
        mine = keys.copy()
        selection.keep_best(mine, size, k)
        assert sorted(mine[:k]) == list(range(size - k, size))
        assert mine[k - 1] == size - k
        assert sorted(mine) == list(range(size))
