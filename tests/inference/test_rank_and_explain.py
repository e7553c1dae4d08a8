"""`rank`, `complement` and `explain` against brute force over weights that are not symmetric."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import shoal
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.data.interactions import CSR
from shoal.errors import HistoryError, ModelError
from shoal.models.ease import EASE
from shoal.models.elsa import ELSA
from shoal.models.item_knn import ItemKNN
from shoal.models.lae import LAE
from shoal.models.mult_vae import MultVAE
from shoal.models.popularity import Popularity
from shoal.run import Run
from shoal.testing import from_dense
from shoal.testing.toys import two_groups, two_kinds

ONE = Run(threads=1)
N = 40
IDS = [10 * i for i in range(N)]
NOBODY_HAD = 390  # the last item


def dense(seed: int) -> np.ndarray:
    """Weights B, not symmetric, some of them alike, with a diagonal that is not 0."""
    rng = np.random.default_rng(seed)
    return rng.integers(-6, 7, (N, N)).astype(np.float32) / 2


def with_weights(B: np.ndarray) -> LAE:
    """A linear model with these weights, over the ids 0, 10, 20, …"""
    model = LAE()
    model.restore({"weights": B})
    table = pl.DataFrame({"item": IDS, "title": [f"title {i}" for i in IDS]})
    counts = np.arange(1, N + 1)
    counts[-1] = 0
    model.restore_catalogue(Ids(table["item"], "int"), table, "", {}, item_counts=counts)
    return model


MODEL = with_weights(dense(0))
B = dense(0)

histories = st.dictionaries(
    st.sampled_from(IDS[:-1]), st.sampled_from([0.5, 1, 2, -1]), min_size=1, max_size=8
)
baskets = st.lists(st.sampled_from(IDS[:-1]), min_size=1, max_size=12)


def scores_of(history: dict[int, float]) -> np.ndarray:
    x = np.zeros(N)
    for item, weight in history.items():
        x[item // 10] = weight
    return x @ B.astype(np.float64)


# -- rank ---------------------------------------------------------------------------------------


@settings(deadline=None)
@given(history=histories, candidates=baskets)
def test_exactly_the_candidates_in_the_order_of_their_scores(
    history: dict[int, float], candidates: list[int]
) -> None:
    ranked = shoal.rank(MODEL, history, candidates, run=ONE)
    scores = scores_of(history)
    assert sorted(ranked.items) == sorted(set(candidates))
    assert [r.score for r in ranked] == sorted(scores[i // 10] for i in set(candidates))[::-1]
    assert [r.score for r in ranked] == [scores[r.item // 10] for r in ranked]
    assert [r.rank for r in ranked] == list(range(1, len(ranked) + 1))
    assert ranked.unranked == ()
    assert ranked.shortfall == ""


def test_items_of_the_history_are_ranked_like_all_others() -> None:
    """With the history {0: 1}, the score of item i is B[0, i], that of item 0 itself included."""
    ranked = shoal.rank(MODEL, [0], [30, 0, 20])
    assert {r.item: r.score for r in ranked} == {0: B[0, 0], 20: B[0, 2], 30: B[0, 3]}


def test_what_the_model_does_not_know_is_listed_and_the_rest_ranked() -> None:
    ranked = shoal.rank(MODEL, [0, 77], ["30", 30, "x", NOBODY_HAD, 20, "x", -5])
    assert sorted(ranked.items) == [20, 30]
    assert ranked.unranked == ("x", NOBODY_HAD, -5)
    assert ranked.unknown == (77,)
    assert "unknown, not ranked: x, 390, -5" in ranked.remarks
    nothing = shoal.rank(MODEL, [0], ["x", NOBODY_HAD])
    assert (len(nothing), nothing.unranked) == (0, ("x", NOBODY_HAD))


def test_a_history_of_which_nothing_is_known_ranks_by_training_users() -> None:
    for history in ([], [77], []):
        ranked = shoal.rank(MODEL, history, [50, 0, 200])
        assert ranked.items == [200, 50, 0]
        assert [r.score for r in ranked] == [21, 6, 1]
        assert ranked.fallback == "popularity"
    alone = shoal.rank(MODEL, [], [50])
    assert (alone[0].score, alone.fallback) == (6, "popularity")
    with pytest.raises(HistoryError, match="none of the 1 items"):
        shoal.rank(MODEL, [77], [50], fallback="none")


def test_an_empty_history_gets_the_most_popular_item_also_where_one_is_asked_for() -> None:
    found = shoal.recommend(MODEL, [], 1)
    assert (found.items, found.fallback) == ([380], "popularity")


def test_ranks_come_with_reasons() -> None:
    ranked = shoal.rank(MODEL, {0: 1, 10: 2}, [30], because=True)
    assert {r.item: r.contribution for r in ranked[0].because} == {0: B[0, 3], 10: 2 * B[1, 3]}


def test_a_list_of_candidates_is_needed() -> None:
    with pytest.raises(HistoryError, match="one text"):
        shoal.rank(MODEL, [0], "30")
    with pytest.raises(HistoryError, match="is empty"):
        shoal.rank(MODEL, [0], [])
    with pytest.raises(HistoryError, match="no list of item ids"):
        shoal.rank(MODEL, [0], 30)  # type: ignore[arg-type]


# -- complement ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(cart=baskets, k=st.integers(1, 12))
def test_a_cart_is_the_sum_of_the_rows_of_its_items(cart: list[int], k: int) -> None:
    found = shoal.complement(MODEL, cart, k, run=ONE)
    others = sorted(set(IDS[:-1]) - set(cart))
    totals = {i: sum(B[j // 10, i // 10] for j in set(cart)) for i in others}
    assert [r.score for r in found] == sorted(totals.values())[::-1][:k]
    assert [r.score for r in found] == [totals[r.item] for r in found]
    assert not set(found.items) & set(cart)


def test_quantities_and_repetitions_of_a_cart_do_not_count() -> None:
    once = shoal.complement(MODEL, [0, 10], 5)
    assert shoal.complement(MODEL, [0, 10, 10, "0"], 5) == once
    assert shoal.complement(MODEL, {0: 3, 10: 12}, 5) == once
    assert shoal.complement(MODEL, [0, 10, 77], 5).unknown == (77,)


def test_a_cart_obeys_rules_and_has_reasons() -> None:
    found = shoal.complement(MODEL, [0, 10], 3, only=[20, 30, 40], exclude=[40], because=True)
    assert sorted(found.items) == [20, 30]
    for r in found:
        assert {w.item: w.contribution for w in r.because} == {
            0: B[0, r.item // 10],
            10: B[1, r.item // 10],
        }


def test_what_no_cart_can_be_asked_of() -> None:
    with pytest.raises(HistoryError, match="items is empty"):
        shoal.complement(MODEL, [])
    with pytest.raises(HistoryError, match="k=0"):
        shoal.complement(MODEL, [0], 0)
    with pytest.raises(ModelError, match="same to everyone"):
        shoal.complement(Popularity().fit(from_dense(two_groups())), [100])


# -- explain ------------------------------------------------------------------------------------


@settings(deadline=None)
@given(history=histories, item=st.sampled_from(IDS[:-1]))
def test_an_explanation_holds_score_rank_and_contributions(
    history: dict[int, float], item: int
) -> None:
    explained = shoal.explain(MODEL, history, item)
    scores, code = scores_of(history), item // 10
    amounts = {j: weight * B[j // 10, code] for j, weight in history.items()}
    assert explained.score == scores[code] == sum(amounts.values())
    assert {r.item: r.contribution for r in explained.contributions} == amounts
    sizes = [abs(r.contribution) for r in explained.contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert all(r.contribution > 0 for r in explained.speaking_for)
    assert all(r.contribution < 0 for r in explained.speaking_against)
    n_zero = sum(value == 0 for value in amounts.values())
    n_signed = len(explained.speaking_for) + len(explained.speaking_against)
    assert n_signed + n_zero == len(history)
    competing = [j // 10 for j in IDS[:-1] if j not in history or j == item]
    assert explained.n_ranked == len(competing)
    better = sum(scores[j] > scores[code] for j in competing)
    equal = sum(scores[j] == scores[code] for j in competing)
    assert better < explained.rank <= better + equal
    assert explained.seen == (item in history)
    assert explained.exact
    assert explained.attributes == {"title": f"title {item}"}


@settings(deadline=None, max_examples=20)
@given(history=histories)
def test_the_rank_is_that_of_the_list_ties_included(history: dict[int, float]) -> None:
    """Scores are halves of small numbers, so that many are equal."""
    found = shoal.recommend(MODEL, history, N, run=ONE)
    assert len({r.score for r in found}) < len(found)
    for r in found:
        explained = shoal.explain(MODEL, history, r.item)
        assert (explained.rank, explained.score) == (r.rank, r.score)
        assert explained.n_ranked == len(found)


@pytest.fixture(scope="module", params=[EASE(l2=3.0), ItemKNN(), ELSA(factors=6, n_epochs=3)])
def fitted(request: pytest.FixtureRequest) -> Recommender:
    model: Recommender = request.param
    return model.fit(from_dense(two_groups()), run=ONE)


def test_contributions_of_fitted_models_add_up_to_the_score(fitted: Recommender) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        chosen = rng.choice(24, 6, replace=False) + 100
        history = dict(zip(chosen[:5].tolist(), rng.uniform(0.5, 2, 5), strict=True))
        explained = shoal.explain(fitted, history, int(chosen[5]))
        amounts = [r.contribution for r in explained.contributions]
        assert abs(sum(amounts) - explained.score) <= 1e-5 * sum(map(abs, amounts))
        listed = shoal.recommend(fitted, history, 24, run=ONE)
        assert {r.item: r.rank for r in listed}[int(chosen[5])] == explained.rank


def test_a_deep_model_is_explained_by_leaving_one_out() -> None:
    model = MultVAE(hidden=8, factors=4, n_epochs=2).fit(from_dense(two_groups()), run=ONE)
    history = {103: 1.0, 100: 1.0, 111: 1.0}
    explained = shoal.explain(model, history, 107)
    assert not explained.exact
    assert "not exact" in str(explained)
    codes = {item: item - 100 for item in history}

    def score(items: list[int]) -> float:
        row = sp.csr_array(np.isin(np.arange(24), [codes[i] for i in items])[None, :] * 1.0)
        return float(model.score(CSR(row))[0, 7])

    assert explained.score == pytest.approx(score(list(history)), rel=1e-6)
    expected = {j: score(list(history)) - score([i for i in history if i != j]) for j in history}
    found = {r.item: r.contribution for r in explained.contributions}
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_evidence_of_a_model_of_log_and_texts_is_given() -> None:
    log = from_dense(two_groups())
    model = shoal.L3AE().fit(log.with_vectors(log.items, two_kinds(log.n_items)), run=ONE)
    explained = shoal.explain(model, [100, 103], 105)
    assert set(explained.evidence) == {"behaviour", "text"}
    assert sum(explained.evidence.values()) == pytest.approx(explained.score, rel=1e-5)


def test_what_cannot_be_explained_says_so() -> None:
    with pytest.raises(HistoryError, match="not in the model"):
        shoal.explain(MODEL, [0], 11)
    with pytest.raises(HistoryError, match="nobody had item 390"):
        shoal.explain(MODEL, [0], NOBODY_HAD)
    with pytest.raises(HistoryError, match="says nothing for or against item 10: it is empty"):
        shoal.explain(MODEL, [], 10)
    with pytest.raises(HistoryError, match="none of its items is known: 77"):
        shoal.explain(MODEL, [77], 10)
    with pytest.raises(ModelError, match="same to everyone"):
        shoal.explain(Popularity().fit(from_dense(two_groups())), [100], 101)


def test_an_explanation_can_be_read() -> None:
    text = str(shoal.explain(MODEL, [0, 10, 77], 0))
    assert text.startswith(f"title 0 [0]  {B[0, 0] + B[1, 0]:.4f}  rank ")
    assert "the person has seen this item" in text
    assert "unknown, left out: 77" in text
