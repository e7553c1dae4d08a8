"""The rules of recommending, over models whose weights are written down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.errors import DataError, HistoryError, ModelError, NotFittedError
from shoal.inference.recommend import Recommendation, Recommendations, recommend, recommend_all
from shoal.inference.similar import similar
from shoal.models.ease import EASE
from shoal.models.popularity import Popularity
from shoal.models.registry import models
from shoal.run import Run
from shoal.testing import from_dense

# B[j, i], from history item j to candidate i; ids are 10, 20, 30, 40, 50
B = np.array(
    [
        [0, 1, 2, 4, 8],
        [3, 0, 1, 1, 0],
        [5, 2, 0, -1, 1],
        [1, 1, 1, 0, 1],
        [0, 0, 0, 2, 0],
    ],
    dtype=np.float32,
)
TITLES = ["Tin", "Ten", "Ton", "Tan", "Tun"]


def model_over(ids: list[Any], kind: Any = "int") -> EASE:
    model = EASE()
    items = Ids(pl.Series(ids), kind)
    model.restore({"weights": B})
    model.restore_catalogue(items, pl.DataFrame({"item": ids, "title": TITLES}), "", {})
    return model


@pytest.fixture(scope="module")
def model() -> EASE:
    return model_over([10, 20, 30, 40, 50])


def rows(found: Recommendations) -> list[tuple[Any, float]]:
    return [(r.item, r.score) for r in found]


def test_scores_add_up_over_the_history(model: EASE) -> None:
    """10 and 30 give (5, 3, 2, 3, 9): 50 first, then 20 and 40, which are equal."""
    found = recommend(model, [10, 30], 3)
    assert rows(found)[0] == (50, 9)
    assert sorted(rows(found)[1:]) == [(20, 3), (40, 3)]
    assert [r.rank for r in found] == [1, 2, 3]
    assert found[0].attributes == {"title": "Tun"}
    assert (found.unknown, found.shortfall) == ((), "")
    assert found.items == [50, *(r.item for r in found[1:])]
    assert isinstance(found[0], Recommendation)


def test_an_item_that_stands_twice_counts_once(model: EASE) -> None:
    assert rows(recommend(model, [10, 10, "10"], 2)) == rows(recommend(model, [10], 2))


def test_weights_of_a_mapping_multiply(model: EASE) -> None:
    """2·(0, 1, 2, 4, 8) + ½·(3, 0, 1, 1, 0)."""
    found = recommend(model, {10: 2, 20: 0.5}, 3)
    assert rows(found) == [(50, 16), (40, 8.5), (30, 4.5)]


def test_a_weight_of_zero_is_still_in_the_history(model: EASE) -> None:
    assert rows(recommend(model, {10: 1, 50: 0}, 2)) == [(40, 4), (30, 2)]


def test_excluded_items_do_not_come(model: EASE) -> None:
    assert recommend(model, [10], 2, exclude=[50, 30]).items == [40, 20]
    assert recommend(model, [10], 2, exclude={"50", 999, None}).items == [40, 30]


def test_only_these_items_come(model: EASE) -> None:
    found = recommend(model, [10], 2, only=[20, 30, 10])
    assert rows(found) == [(30, 2), (20, 1)]
    assert recommend(model, [10], 1, only=iter([20, 30]), exclude=[30]).items == [20]


def test_only_unknown_items_is_an_error(model: EASE) -> None:
    for none in ([], [99, "x"]):
        with pytest.raises(HistoryError, match="only=… names no item"):
            recommend(model, [10], 2, only=none)


def test_the_history_can_be_kept(model: EASE) -> None:
    found = recommend(model, [30], 5, exclude_seen=False)
    assert rows(found) == [(10, 5), (20, 2), (50, 1), (30, 0), (40, -1)]
    assert not found.shortfall


def test_a_short_list_says_why(model: EASE) -> None:
    found = recommend(model, [10, 20], 5)
    assert found.items == [50, 40, 30]
    assert found.shortfall == (
        "3 instead of 5: 5 of 5 items are allowed, 2 of them are in the history"
    )
    found = recommend(model, [10], 4, only=[10, 20, 77], exclude=[20])
    assert len(found) == 0
    assert found.shortfall == (
        "0 instead of 4: 1 of 5 items are allowed, 1 of them are in the history; "
        "not in the catalogue: 77"
    )


def test_k_may_be_the_whole_catalogue_and_a_numpy_number(model: EASE) -> None:
    assert len(recommend(model, [10], np.int64(4))) == 4  # type: ignore[arg-type]
    assert len(recommend(model, [10], 5)) == 4


@pytest.mark.parametrize("k", [0, -1, 6, True, 2.0, "3", None])
def test_other_k_are_refused(model: EASE, k: Any) -> None:
    with pytest.raises(HistoryError, match=f"k={k!r}"):
        recommend(model, [10], k)
    with pytest.raises(HistoryError, match=f"k={k!r}"):
        recommend_all(model, from_dense([[1, 1]], items=[10, 20]), k)


def test_unknown_ids_are_listed_and_the_rest_is_answered(model: EASE) -> None:
    found = recommend(model, [99, 10, "gone", 1.5, None], 1)
    assert rows(found) == [(50, 8)]
    assert found.unknown == (99, "gone", 1.5, None)
    assert "unknown, left out: 99, gone" in str(found)


def test_a_history_of_unknown_ids_alone_is_an_error_that_shows_known_ones(model: EASE) -> None:
    with pytest.raises(
        HistoryError, match="none of the 2 items of the history is known: 98, 99"
    ) as e:
        recommend(model, [98, 99], 1)
    assert "10, 20, 30" in str(e.value)


def test_an_empty_history_is_answered_by_popularity_alone(model: EASE) -> None:
    with pytest.raises(HistoryError, match="the history is empty"):
        recommend(model, [], 2)
    popular = Popularity().fit(from_dense([[0, 1, 1], [0, 1, 0]], items=["a", "b", "c"]))
    assert rows(recommend(popular, [], 3)) == [("b", 2), ("c", 1)]  # nobody has a


def test_text_finds_numbers_and_numbers_find_text(model: EASE) -> None:
    assert recommend(model, ["10", " 30 "], 1).items == [50]
    text = model_over(["10", "20", "30", "40", "50"], "str")
    assert recommend(text, [10, 30], 1).items == ["50"]


@pytest.mark.parametrize("history", ["10", b"10", 10, None])
def test_what_is_no_list_is_refused(model: EASE, history: Any) -> None:
    with pytest.raises(HistoryError):
        recommend(model, history, 1)


@pytest.mark.parametrize("rule", ["exclude", "only"])
def test_rules_want_lists_too(model: EASE, rule: str) -> None:
    with pytest.raises(HistoryError, match=f"{rule}='50' is one text"):
        recommend(model, [10], 1, **{rule: "50"})  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), "much", None])
def test_weights_that_are_no_numbers_are_refused(model: EASE, weight: Any) -> None:
    with pytest.raises(HistoryError):
        recommend(model, {10: weight}, 1)


def test_an_unfitted_model_recommends_nothing() -> None:
    with pytest.raises(NotFittedError):
        recommend(EASE(), [10], 1)


# -- users of a log ------------------------------------------------------------------------

LOG = from_dense([[1, 0, 1, 0, 0], [2, 0.5, 0, 0, 0], [0, 0, 0, 0, 0]], items=[10, 20, 30, 40, 50])


def test_a_user_of_a_log_is_their_items_with_values(model: EASE) -> None:
    assert rows(recommend(model, LOG, 3, user=1)) == rows(recommend(model, [10, 30], 3))
    assert rows(recommend(model, LOG, 3, user="2")) == rows(recommend(model, {10: 2, 20: 0.5}, 3))


def test_a_user_must_be_named_and_known(model: EASE) -> None:
    with pytest.raises(HistoryError, match="needs user=…"):
        recommend(model, LOG, 1)
    with pytest.raises(HistoryError, match="user 9 is not in the log of 3 users"):
        recommend(model, LOG, 1, user=9)
    with pytest.raises(HistoryError, match="goes with a log"):
        recommend(model, [10], 1, user=1)


# -- reasons -------------------------------------------------------------------------------


def test_reasons_are_the_parts_of_the_score_strongest_first(model: EASE) -> None:
    first = recommend(model, {10: 2, 20: 0.5, 30: 1}, 1, exclude=[50], because=True)[0]
    assert (first.item, first.score) == (40, 2 * 4 + 0.5 * 1 - 1)
    assert [(w.item, w.contribution) for w in first.because] == [(10, 8), (30, -1), (20, 0.5)]
    assert first.because[0].attributes == {"title": "Tin"}


def test_a_number_of_reasons_keeps_the_strongest(model: EASE) -> None:
    first = recommend(model, [10, 20, 30, 50], 1, because=2)[0]
    assert [(w.item, w.contribution) for w in first.because] == [(10, 4), (50, 2)]
    assert len(recommend(model, [10], 1, because=2)[0].because) == 1
    assert recommend(model, [10], 1, because=0)[0].because == ()
    with pytest.raises(HistoryError, match="because=-1"):
        recommend(model, [10], 1, because=-1)


def test_reasons_are_printed_with_titles(model: EASE) -> None:
    text = str(recommend(model, [10], 1, because=True))
    assert text.splitlines() == ["  1. Tun [50]  8.0000", "       +8.0000  Tin [10]"]


@pytest.mark.parametrize("kind", list(models().values()), ids=list(models()))
def test_reasons_add_up_to_the_score_or_are_refused(kind: type[Recommender]) -> None:
    rng = np.random.default_rng(0)
    data = from_dense((rng.random((60, 15)) < 0.3) * rng.integers(1, 6, (60, 15)))
    if kind.trained:
        pytest.importorskip("torch")
    if kind.name == "i-autorec":
        pytest.skip("it has no scores for histories")
    values = data.values if kind.task == "rating" or not kind.trained else None
    few = {"n_epochs": 2} if kind.trained else {}
    vectors = rng.normal(size=(15, 4)).astype(np.float32)
    data = replace(data, values=values, times=np.arange(len(data)), item_vectors=vectors)
    fitted = kind(**few).fit(data, run=Run(threads=1))
    weights = {100: 1.0, 103: 2.0, 107: 0.5, 111: 4.0}
    history = list(weights) if kind.ordered else weights
    if not kind.explains:
        with pytest.raises(HistoryError, match=f"{kind.name} has no exact reasons"):
            recommend(fitted, history, 5, because=True)
        return
    for found in recommend(fitted, history, 5, because=True):
        parts = [w.contribution for w in found.because]
        assert sorted(w.item for w in found.because) == sorted(history)
        assert abs(sum(parts) - found.score) <= 1e-5 * sum(map(abs, parts))


# -- everyone ------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [None, 16 * 5 * 2])  # by one block, and by two users at a time
@pytest.mark.parametrize(
    "rules", [{}, {"exclude": [50]}, {"only": [20, 40]}, {"exclude_seen": False}]
)
def test_all_users_get_what_each_would_get(
    model: EASE, rules: dict[str, Any], memory: int | None
) -> None:
    rng = np.random.default_rng(1)
    dense = (rng.random((9, 5)) < 0.5) * rng.integers(1, 4, (9, 5))
    dense[4] = 0
    log = from_dense(dense, items=[10, 20, 30, 40, 50])
    found = recommend_all(model, log, 3, run=Run(memory=memory), **rules)
    assert found.columns == ["user", "rank", "item", "score"]
    for user in range(1, 10):
        mine = found.filter(pl.col("user") == user)
        if user == 5:
            assert mine.height == 0  # no history
            continue
        expected = recommend(model, log, 3, user=user, **rules)
        assert mine["item"].to_list() == expected.items
        assert mine["rank"].to_list() == [r.rank for r in expected]
        assert mine["score"].to_list() == [r.score for r in expected]


def test_a_log_with_other_items_is_mapped(model: EASE) -> None:
    """Ids as text, in the order of text, and an item (7) that the model does not know."""
    log = from_dense([[1, 1, 0], [0, 0, 1], [0, 1, 1]], items=["10", "30", "7"])
    found = recommend_all(model, log, 1)
    assert found.rows() == [(1, 1, 50, 9.0), (3, 1, 10, 5.0)]


def test_a_log_without_common_items_is_an_error(model: EASE) -> None:
    with pytest.raises(DataError, match="share no item"):
        recommend_all(model, from_dense([[1, 1]], items=[1, 2]), 1)


# -- similar items -------------------------------------------------------------------------


def test_similar_items_are_the_largest_weights_of_its_row(model: EASE) -> None:
    assert rows(similar(model, 30, 3)) == [(10, 5), (20, 2), (50, 1)]
    assert rows(similar(model, "30", 1)) == [(10, 5)]
    assert similar(model, 10, 5).items == [50, 40, 30, 20]
    with pytest.raises(HistoryError, match="catalogue of 5"):
        similar(model, 10, 100)


def test_similar_to_an_unknown_item_is_an_error(model: EASE) -> None:
    with pytest.raises(HistoryError, match="item 31 is not in the model"):
        similar(model, 31)
    with pytest.raises(HistoryError, match="k=0"):
        similar(model, 30, 0)


def test_a_model_that_gives_nan_is_an_error() -> None:
    broken = model_over([10, 20, 30, 40, 50])
    broken.restore({"weights": np.full((5, 5), np.nan, np.float32)})
    with pytest.raises(ModelError, match="not a number"):
        recommend(broken, [10], 1)
    everyone = from_dense(np.eye(5) + np.eye(5, k=1), [10, 20, 30, 40, 50])
    with pytest.raises(ModelError, match="not a number"):
        recommend_all(broken, everyone, 1)
