"""Less of some items: it can only lower scores, by what these items would add to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.data.interactions import CSR
from shoal.errors import HistoryError
from shoal.inference.leave_one_out import losses_without
from shoal.inference.recommend import recommend
from shoal.models.autorec import UAutoRec
from shoal.models.ease import EASE
from shoal.models.elsa import ELSA
from shoal.models.item_knn import ItemKNN
from shoal.models.mrf import MRF
from shoal.models.mult_vae import MultVAE
from shoal.models.popularity import Popularity
from shoal.models.spectral import SpectralEASE
from shoal.models.svae import SVAE
from shoal.run import Run
from shoal.testing import from_dense
from shoal.testing.toys import N_ITEMS, two_groups

# B[j, i], from history item j to candidate i; ids are 10, 20, 30, 40, 50
B = np.array(
    [[0, 1, 2, 4, 8], [3, 0, 1, 1, 0], [5, 2, 0, -1, 1], [1, 1, 1, 0, 1], [0, 3, 0, 2, 0]],
    dtype=np.float32,
)
ONE = Run(threads=1)


@pytest.fixture(scope="module")
def model() -> EASE:
    ease = EASE()
    ease.restore({"weights": B})
    ids = [10, 20, 30, 40, 50]
    counts = np.array([9, 8, 7, 6, 5])
    table = pl.DataFrame({"item": ids, "title": [f"Film {i}" for i in ids]})
    ease.restore_catalogue(Ids(pl.Series(ids), "int"), table, "", {}, item_counts=counts)
    return ease


def test_less_takes_away_what_would_be_added(model: EASE) -> None:
    """10 gives (0, 1, 2, 4, 8) and 30 gives (5, 2, 0, −1, 1): 50 has 8 − 1, 40 keeps its 4."""
    found = recommend(model, [10], 5, less=[30], because=True)
    assert [(r.item, r.score) for r in found] == [(50, 7), (40, 4), (20, -1)]
    assert [(why.item, why.contribution) for why in found[0].because] == [(10, 8), (30, -1)]
    assert [(why.item, why.contribution) for why in found[1].because] == [(10, 4), (30, 0)]
    assert [why.item for why in found[2].speaking_against] == [30]
    assert [(why.item, why.less) for why in found[0].because] == [(10, False), (30, True)]
    said = str(found)
    assert said.count("less: Film 30 [30]") == 2  # not of 40, from which it takes nothing
    assert "less: Film 10" not in said
    # whoever gives a negative weight of their own gets just that
    negative = recommend(model, {10: 1.0, 30: -1.0}, 5)
    assert [(r.item, r.score) for r in negative] == [(50, 7), (40, 5), (20, -1)]


def test_one_item_does_not_give_back_what_another_takes(model: EASE) -> None:
    """20 adds 1 to 40 and 30 takes 1 from it: less of both takes 1 away, as less of 20 does."""
    both = recommend(model, [10], 5, less=[20, 30])
    assert {r.item: r.score for r in both} == {50: 8 - 1, 40: 4 - 1}


def test_steering_has_the_unit_of_the_scores_without_less(model: EASE) -> None:
    """10 gives 40 and 50 the scores 4 and 8, 20 gives 1; less of 30 takes 1 from 50, 2 from 20.

    Of the items that may be recommended (20, 40, 50) the median is 4, so the unit is 8 − 4.
    """
    towards_40 = np.array([0, 0, 0, 0.5, 0], np.float32)
    found = recommend(model, [10], 5, less=[30], steer=towards_40)
    assert {r.item: r.score for r in found} == {50: 7, 40: 4 + 0.5 * 4, 20: -1}
    doubled = recommend(
        model, [10], 5, less=[30], steer=towards_40, boost={"title = 'Film 40'": 2.0}
    )  # scores 8, 8, 1: the median is the best, so the unit is 8 − 1
    assert {r.item: r.score for r in doubled} == {50: 7, 40: 8 + 0.5 * 7, 20: -1}


def test_an_item_of_which_less_is_wanted_is_never_recommended(model: EASE) -> None:
    assert recommend(model, [10], 5, less=[50]).items == [40, 30, 20]
    with_seen = recommend(model, [10], 5, less=[50], exclude_seen=False).items
    assert 50 not in with_seen
    assert 10 in with_seen
    # one that stands in the history too is no history item any more
    both = recommend(model, [10, 30], 5, less=[30], exclude_seen=False)
    assert {r.item: r.score for r in both} == {50: 7, 40: 4, 20: -1, 10: -5}


def test_what_is_asked_for_beside_it_still_counts(model: EASE) -> None:
    found = recommend(
        model, [10], 5, less=[30], filter="title != 'Film 50'", boost={"title = 'Film 20'": 2.0}
    )
    assert [(r.item, r.score) for r in found] == [(40, 4), (20, -0.5)]
    assert recommend(model, [10], 2, less=[30], diversity=0.5)[0].item == 50


def test_without_likes_the_popular_items_are_left(model: EASE) -> None:
    found = recommend(model, [], 3, less=[20])
    assert found.items == [10, 30, 40]
    assert found.fallback == "popularity"
    assert "left out, and change nothing else" in found.notes[0]
    # the only like is disliked as well
    assert recommend(model, [20], 3, less=[20]).items == [10, 30, 40]


def test_ids_that_are_not_known(model: EASE) -> None:
    found = recommend(model, [10], 5, less=[99, 30])
    assert found.items == [50, 40, 20]
    assert found.notes == ("unknown, so not counted as less: 99",)
    assert found.unknown == ()
    assert recommend(model, [10], 3, less=[99]).items == recommend(model, [10], 3).items
    for wrong in ("30", b"30"):
        with pytest.raises(HistoryError, match="give a list of item ids"):
            recommend(model, [10], 3, less=wrong)
    with pytest.raises(HistoryError, match="less is no list of item ids"):
        recommend(model, [10], 3, less=[[30]])


def test_a_model_that_is_the_same_for_everyone_only_leaves_them_out() -> None:
    popular = Popularity().fit(from_dense([[1, 1, 1], [1, 1, 0], [1, 0, 0]]), run=ONE)
    found = recommend(popular, [], 3, less=[101])
    assert [(r.item, r.score) for r in found] == [(100, 3), (102, 1)]
    assert "change nothing else" in found.notes[0]


def row_of(codes: list[int], values: Any = 1.0) -> CSR:
    dense = np.zeros((1, N_ITEMS), np.float32)
    dense[0, codes] = values
    return CSR(dense)


def brute_force(scores: Any, barred: list[int], k: int) -> list[int]:
    """Ids of the k highest scores that are not barred, with ids from 100 on."""
    order = sorted(set(range(N_ITEMS)) - set(barred), key=lambda i: -float(scores[i]))
    return [100 + i for i in order[:k]]


def others_than(chosen: list[int]) -> list[int]:
    return [i for i in range(N_ITEMS) if i not in chosen]


@pytest.mark.parametrize(
    "unfitted",
    [
        ItemKNN(k=8),
        EASE(l2=1.0),
        MRF(density=0.4),
        ELSA(factors=6, n_epochs=3),
        SpectralEASE(factors=6),
        MultVAE(factors=4, hidden=8, n_epochs=3),
    ],
    ids=lambda m: m.name,
)
def test_what_they_would_add_is_taken_away(unfitted: Recommender) -> None:
    model = unfitted.fit(from_dense(two_groups()), run=ONE)
    liked, less = [0, 3, 8], [5, 10]
    alone = model.score(row_of(liked)).astype(np.float64)[0]
    added = [
        model.score(row_of(liked + group)).astype(np.float64)[0] - alone
        for group in ([[5], [10]] if model.explains else [less])
    ]
    expected = alone - sum(np.maximum(part, 0) for part in added)
    if model.name == "ease":  # the maximum makes a difference
        assert min(part[others_than(liked + less)].min() for part in added) < -0.01
    found = recommend(model, [100 + i for i in liked], 6, less=[100 + i for i in less], run=ONE)
    assert found.items == brute_force(expected, liked + less, 6)
    wanted = [expected[i - 100] for i in found.items]
    assert [r.score for r in found] == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    allowed = [100 + i for i in range(N_ITEMS) if i % 2]
    among = recommend(
        model, [100, 103, 108], 4, less=[105, 110], only=allowed, because=model.explains, run=ONE
    )
    barred = [*liked, *less, *range(0, N_ITEMS, 2)]
    best = [expected[i - 100] for i in brute_force(expected, barred, 4)]
    assert [row.score for row in among] == pytest.approx(best, rel=1e-4, abs=1e-5)  # mrf has ties
    for row in among if model.explains else ():
        assert sum(r.contribution for r in row.because) == pytest.approx(row.score, abs=1e-5)
        assert all(r.contribution <= 0 for r in row.because if r.less)
        assert {r.item for r in row.because if r.less} == {105, 110}


def test_an_ordered_model_reads_them_as_the_newest() -> None:
    log = from_dense(two_groups())
    log = replace(log, times=np.random.default_rng(4).permutation(len(log)))
    model = SVAE(factors=4, n_epochs=2).fit(log, run=ONE)
    liked, less = [8, 0, 3], [5, 10]
    alone = model.score(row_of(liked, [1, 2, 3])).astype(np.float64)[0]
    with_them = model.score(row_of(liked + less, [1, 2, 3, 4, 5])).astype(np.float64)[0]
    found = recommend(model, [108, 100, 103], 6, less=[105, 110], run=ONE)
    expected = alone - np.maximum(with_them - alone, 0)
    assert found.items == brute_force(expected, liked + less, 6)


def test_a_model_of_ratings_gives_them_the_lowest_rating() -> None:
    ratings = np.random.default_rng(2).integers(2, 6, (40, N_ITEMS)).astype(np.float64)
    ratings[np.random.default_rng(3).random(ratings.shape) < 0.4] = 0  # not rated
    model = UAutoRec(factors=4, n_epochs=3).fit(from_dense(ratings), run=ONE)
    expected = model.score(row_of([0, 3, 7], [5, 4, 2]))[0]
    found = recommend(model, {100: 5.0, 103: 4.0}, 6, less=[107], run=ONE)
    assert found.items == brute_force(expected, [0, 3, 7], 6)


def test_a_log_and_its_user_can_have_it_too(model: EASE) -> None:
    log = from_dense([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]], items=[10, 20, 30, 40, 50])
    assert recommend(model, log, 3, user=1, less=[30]).items == [50, 40, 20]


def test_what_a_score_loses_without_each_item() -> None:
    model = MultVAE(factors=4, hidden=8, n_epochs=3).fit(from_dense(two_groups()), run=ONE)

    def with_less(liked: list[int], less: list[int]) -> Any:
        alone = model.score(row_of(liked)).astype(np.float64)[0]
        with_them = model.score(row_of(liked + less)).astype(np.float64)[0]
        return alone - np.maximum(with_them - alone, 0)

    whole = with_less([0, 3, 8], [5, 10])
    expected = [
        whole - with_less(liked, less)
        for liked, less in [
            ([3, 8], [5, 10]), ([0, 8], [5, 10]), ([0, 3], [5, 10]),
            ([0, 3, 8], [10]), ([0, 3, 8], [5]),
        ]
    ]  # fmt: skip
    codes = np.array([1, 20], np.int32)
    losses = losses_without(model, row_of([0, 3, 8]), codes, np.array([5, 10], np.int32))
    np.testing.assert_allclose(losses, np.array(expected)[:, codes], rtol=1e-3, atol=1e-5)
