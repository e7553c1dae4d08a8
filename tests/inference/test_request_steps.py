"""The steps of `recommend` alone: a history to a row, rules to a mask, both to an answer."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shoal.data.ids import Ids
from shoal.errors import HistoryError
from shoal.inference.history import read_history
from shoal.inference.recommend import answer
from shoal.inference.rules import allowed_items
from shoal.models.ease import EASE
from shoal.testing import from_dense

# B[j, i], from history item j to candidate i; ids are 10, 20, 30, 40
B = np.array([[0, 3, 2, 1], [5, 0, 4, 0], [0, 0, 0, 6], [1, 1, 1, 0]], dtype=np.float32)


@pytest.fixture(scope="module")
def model() -> EASE:
    model = EASE()
    items = Ids(pl.Series([10, 20, 30, 40]), "int")
    model.restore({"weights": B})
    model.restore_catalogue(items, pl.DataFrame({"item": [10, 20, 30, 40]}), "", {})
    return model


def test_a_list_is_a_row_of_ones_and_the_ids_that_are_unknown(model: EASE) -> None:
    history = read_history(model, [40, "x", 10, 99])
    np.testing.assert_array_equal(history.row.toarray(), [[1, 0, 0, 1]])
    assert history.unknown == ("x", 99)


def test_a_mapping_is_a_row_of_its_weights(model: EASE) -> None:
    np.testing.assert_array_equal(
        read_history(model, {20: 0.5, 30: 2}).row.toarray(), [[0, 0.5, 2, 0]]
    )


def test_one_user_of_a_log_is_a_row_with_that_users_values(model: EASE) -> None:
    """User 2 has 10 with 3 and 40 with 5; item 50 is unknown to the model."""
    log = from_dense([[1, 2, 0, 0, 0], [3, 0, 0, 5, 1]], [10, 20, 30, 40, 50])
    history = read_history(model, log, 2)
    np.testing.assert_array_equal(history.row.toarray(), [[3, 0, 0, 5]])
    assert history.unknown == (50,)
    with pytest.raises(HistoryError, match="is not in the log of 2 users"):
        read_history(model, log, "nobody")


def test_rules_are_a_mask_and_the_ids_that_are_unknown(model: EASE) -> None:
    everything = allowed_items(model)
    assert (everything.mask.tolist(), everything.unknown) == ([True] * 4, ())
    rules = allowed_items(model, exclude=[30, "x"], only=[20, 30, 40, 77])
    assert rules.mask.tolist() == [False, True, False, True]
    assert rules.unknown == (77,)


def test_an_answer_ranks_what_is_allowed(model: EASE) -> None:
    """10 and 40 give (1, 4, 3, 1); without 20 that leaves 30, and 10 and 40 are in the history."""
    answered = answer(
        model, read_history(model, [10, 40, 99]), 2, allowed_items(model, exclude=[20])
    )
    assert [(row.rank, row.item, row.score) for row in answered] == [(1, 30, 3)]
    assert answered.unknown == (99,)
    assert answered.shortfall.startswith("1 instead of 2: 3 of 4 items are allowed, 2 of them")
