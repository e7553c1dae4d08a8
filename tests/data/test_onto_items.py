"""Moving a log to another list of items keeps what kernels rely on: items ascending per user."""

from __future__ import annotations

import numpy as np
import pytest

from shoal.data.interactions import Interactions
from shoal.testing import from_dense


def pairs(log: Interactions) -> list[tuple[int, int, float]]:
    assert log.values is not None
    items = [int(i) for i in log.items.take(log.indices)]
    return list(zip(log.user_codes.tolist(), items, log.values.tolist(), strict=True))


def test_text_in_the_order_of_text_becomes_numbers_in_their_order() -> None:
    log = from_dense([[1, 2, 3], [0, 4, 5]], items=["10", "7", "9"])
    there = log.onto_items(from_dense([[1, 1, 1]], items=[7, 9, 10]).items)
    assert pairs(there) == [(0, 7, 2), (0, 9, 3), (0, 10, 1), (1, 7, 4), (1, 9, 5)]


def test_numbers_become_text_and_unknown_items_go() -> None:
    log = from_dense([[2, 3, 4], [0, 5, 0]], items=[7, 9, 10])
    there = log.onto_items(from_dense([[1, 1, 1]], items=["10", "11", "9"]).items)
    assert pairs(there) == [(0, 10, 4), (0, 9, 3), (1, 9, 5)]


@pytest.mark.parametrize("ids", [["10", "7", "9"], [7, 9, 10]])
def test_indices_ascend_within_each_user(ids: list[int | str]) -> None:
    log = from_dense(np.ones((4, 3)), items=ids)
    for other in (["1", "10", "7", "9"], [1, 7, 9, 10]):
        there = log.onto_items(from_dense(np.ones((1, 4)), items=other).items)
        assert (np.diff(there.indices.reshape(4, 3), axis=1) > 0).all()
