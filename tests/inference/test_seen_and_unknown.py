"""What was seen, what nobody had in training, and histories of which nothing is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shoal.artifact import load, save
from shoal.data.read import read
from shoal.errors import DataError, HistoryError, ModelError
from shoal.inference.recommend import recommend, recommend_all
from shoal.inference.similar import similar
from shoal.models.ease import EASE
from shoal.models.popularity import Popularity
from shoal.run import Run
from shoal.testing import from_dense

# e has no user; of the others, a has 3 users, b and c 2, d 1
DENSE = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 1, 1, 1, 0]])
ITEMS = [*"abcde"]


@pytest.fixture(scope="module")
def model() -> EASE:
    return EASE(l2=1.0).fit(from_dense(DENSE, ITEMS), run=Run(threads=1))


def test_counts_are_kept_in_the_model_folder(model: EASE, tmp_path: Path) -> None:
    assert model.item_counts is not None
    assert model.item_counts.tolist() == [3, 2, 2, 1, 0]
    restored = load(save(model, tmp_path / "m"))
    assert restored.item_counts is not None
    assert restored.item_counts.tolist() == [3, 2, 2, 1, 0]
    assert restored.item_table.columns == ["item"]  # the counts are no attribute
    assert restored.known_items.tolist() == [True] * 4 + [False]


def test_a_folder_without_counts_knows_all_items(model: EASE, tmp_path: Path) -> None:
    older = EASE(l2=1.0)
    older.restore(model.state())
    older.restore_catalogue(model.items, model.item_table, "", {})
    restored = load(save(older, tmp_path / "m"))
    assert restored.item_counts is None
    assert restored.known_items.all()
    with pytest.raises(HistoryError, match="none of the 1 items"):
        recommend(restored, ["x"], 2)


def test_items_without_a_training_user_are_never_recommended(model: EASE) -> None:
    assert sorted(recommend(model, ["a"], 5).items) == [*"bcd"]
    assert "1 items have no training user" in recommend(model, ["a"], 5).shortfall
    log = from_dense(np.eye(5), ITEMS)
    assert "e" not in recommend_all(model, log, 5)["item"].to_list()
    assert recommend(model, ["a"], 2, only=["d", "e", "x"]).notes == (
        "to be chosen among, but not in the catalogue: x",
        "to be chosen among, but nobody had them in training: e",
    )
    with pytest.raises(HistoryError, match="nobody had 'e' in training"):
        recommend(model, ["a"], 2, only=["e"])
    with pytest.raises(HistoryError, match="nobody had item 'e' in training"):
        similar(model, "e", 2)


@pytest.mark.parametrize("history", [["x", "y"], [], ["e"], {"e": 2.0}])
def test_a_history_of_which_nothing_is_known_gets_the_most_popular(
    model: EASE, history: list[str]
) -> None:
    """By training users: a 3, then b and c with 2 each in either order."""
    found = recommend(model, history, 3)
    assert found.fallback == "popularity"
    assert (found.items[0], sorted(found.items[1:])) == ("a", ["b", "c"])
    assert [r.score for r in found] == [3, 2, 2]
    assert found.unknown == tuple(history)
    assert "most popular items" in str(found)
    assert recommend(model, history, 1, exclude=["a"], only=["a", "d"]).items == ["d"]
    with pytest.raises(HistoryError, match=r"none of the|the history is empty"):
        recommend(model, history, 3, fallback="none")
    assert recommend(model, ["a", *history], 1).fallback == ""


def test_users_of_a_log_of_whom_nothing_is_known(model: EASE) -> None:
    log = from_dense([[1, 0], [0, 1]], ["a", "x"])
    found = recommend_all(model, log, 2)
    assert found.columns == ["user", "rank", "item", "score", "fallback"]
    assert found["fallback"].to_list() == [False, False, True, True]
    assert found["item"][2] == "a"
    only_known = recommend_all(model, log, 2, fallback="none")
    assert only_known.rows() == [row[:4] for row in found.rows()[:2]]
    strangers = from_dense([[1, 1]], ["x", "y"])
    assert recommend_all(model, strangers, 1)["item"].to_list() == ["a"]
    with pytest.raises(DataError, match="share no item"):
        recommend_all(model, strangers, 1, fallback="none")
    with pytest.raises(HistoryError, match="fallback='best'"):
        recommend_all(model, log, 1, fallback="best")  # type: ignore[arg-type]


def test_what_was_seen_is_not_recommended(model: EASE) -> None:
    """User 1 rated a with 5 and b with 1, user 2 c with 5, user 3 d with 2 alone."""
    frame = pl.DataFrame(
        {"user": [1, 1, 2, 3], "item": ["a", "b", "c", "d"], "rating": [5, 1, 5, 2]}
    )
    log = read(frame, min_value=4, keep_seen=True)
    assert len(log) == 2
    assert log.seen is not None
    assert len(log.seen) == 4
    assert read(frame, min_value=4).seen is None
    assert sorted(recommend(model, log, 4, user=1).items) == ["c", "d"]
    assert sorted(recommend(model, log, 4, user=1, exclude_seen=False).items) == [*"abcd"]
    table = recommend_all(model, log, 4)
    pairs = set(table.select("user", "item").iter_rows())
    assert pairs == {(1, "c"), (1, "d"), (2, "a"), (2, "b"), (2, "d")}
    more = from_dense([[0, 0, 1, 0], [0, 0, 0, 1]], [*"abcd"])  # user 1 has seen c, user 2 d
    pairs = set(recommend_all(model, log, 4, seen=more).select("user", "item").iter_rows())
    assert pairs == {(1, "d"), (2, "a"), (2, "b")}
    assert recommend(model, log, 4, user=1, seen=more).items == ["d"]
    assert recommend(model, ["a"], 4, seen=["b", "c", "x"]).items == ["d"]
    below = recommend(model, log, 4, user=3)  # nothing counts: popular items, but not d
    assert (below.fallback, sorted(below.items)) == ("popularity", [*"abc"])


def test_reasons_for_all_users(model: EASE) -> None:
    log = from_dense([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0]], ITEMS)
    table = recommend_all(model, log, 2, because=True)
    for row in table.iter_rows(named=True):
        parts = [reason["contribution"] for reason in row["because"]]
        assert sum(parts) == pytest.approx(row["score"], abs=1e-6)
    assert [len(reasons) for reasons in table["because"]] == [2, 2, 1, 1]
    with pytest.raises(HistoryError, match="no exact reasons"):
        recommend_all(Popularity().fit(log), log, 1, because=True)


def test_popularity_has_no_similar_items() -> None:
    popular = Popularity().fit(from_dense(DENSE, ITEMS))
    with pytest.raises(ModelError, match="the same to everyone"):
        similar(popular, "a", 2)


def test_an_item_of_which_nothing_was_learned_has_no_similar_items() -> None:
    """d stands alone with one user, so no other item goes with it."""
    log = from_dense([[1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1]], [*"abcd"])
    model = EASE(l2=1.0).fit(log, run=Run(threads=1))
    with pytest.raises(ModelError, match="no item more similar to 'd'"):
        similar(model, "d", 2)
