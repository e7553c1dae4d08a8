"""Maximal marginal relevance: by hand on four items, and against the formula written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from shoal.base.recommender import Recommender
from shoal.base.weights import DenseWeights, SharedInverse, SparseWeights
from shoal.data.ids import Ids
from shoal.errors import HistoryError
from shoal.inference.diversity import maximal_marginal_relevance, pool_size
from shoal.inference.recommend import recommend, recommend_all
from shoal.inference.similar import similar
from shoal.models.ease import EASE
from shoal.models.elsa import ELSA
from shoal.models.item_knn import ItemKNN
from shoal.models.popularity import Popularity
from shoal.run import Run
from shoal.testing import from_dense

# A history of "h" scores a 10, b 9, c 5 and d 0: relevances 1, 0.9, 0.5 and 0.
# Of the pairs, a and b are alike (1), c and d somewhat (0.6), a and c little (0.2), b and c less
# (0.1), and the others not at all: B holds the pairs in one direction, twice as large.
IDS = ["h", "a", "b", "c", "d"]
B = np.zeros((5, 5), np.float32)
B[0, 1:] = [10, 9, 5, 0]
B[1, 2], B[4, 3], B[1, 3], B[3, 2] = 2, 1.2, 0.4, 0.2


@pytest.fixture(scope="module")
def toy() -> EASE:
    model = EASE()
    model.restore({"weights": B})
    model.restore_catalogue(Ids(pl.Series(IDS), "str"), pl.DataFrame({"item": IDS}), "", {})
    return model


@pytest.mark.parametrize(
    ("diversity", "items"),
    [
        (0, "abcd"),
        # after a: b 0.9·0.9 − 0.1·1 = 0.71, c 0.45 − 0.02 = 0.43, d 0; then c 0.43 before d −0.06
        (0.1, "abcd"),
        # after a: b 0.45 − 0.5 = −0.05, c 0.25 − 0.1 = 0.15, d 0; then b −0.05, d −0.3
        (0.5, "acbd"),
        # after a: b 0.18 − 0.8 = −0.62, c 0.1 − 0.16 = −0.06, d 0; then c 0.1 − 0.48, b −0.62
        (0.8, "adcb"),
        # after a: b −1, c −0.2, d 0; then c −0.6, b −1
        (1, "adcb"),
    ],
)
def test_the_list_that_a_person_finds(toy: EASE, diversity: float, items: str) -> None:
    found = recommend(toy, ["h"], 4, diversity=diversity)
    assert "".join(found.items) == items
    assert [r.rank for r in found] == [1, 2, 3, 4]
    assert {r.item: r.score for r in found} == {"a": 10, "b": 9, "c": 5, "d": 0}
    assert "".join(recommend(toy, ["h"], 2, diversity=diversity).items) == items[:2]


def test_a_filter_and_a_boost_come_before_diversity(toy: EASE) -> None:
    assert recommend(toy, ["h"], 4, diversity=0.5, filter="item != 'a'").items == ["b", "c", "d"]
    # with c at 20 relevances are c 1, a 0.5, b 0.45, d 0: after c, a 0.25 − 0.1, b 0.225 − 0.05
    found = recommend(toy, ["h"], 4, diversity=0.5, boost={"item = 'c'": 4})
    assert found.items == ["c", "b", "a", "d"]


def test_similar_items_may_be_diverse_too(toy: EASE) -> None:
    assert similar(toy, "h", 4, diversity=0.5).items == ["a", "c", "b", "d"]
    assert similar(toy, "h", 2, filter="item > 'b'", boost={"item = 'd'": 3}).items == ["c", "d"]


def test_the_pool_has_ten_times_k_items_and_at_least_200() -> None:
    model = Popularity()
    model.restore_catalogue(
        Ids(pl.Series(np.arange(3_000)), "int"), pl.DataFrame({"item": np.arange(3_000)}), "", {}
    )
    assert [pool_size(model, k, 0.3) for k in (5, 20, 50, 400)] == [200, 200, 500, 3_000]
    assert pool_size(model, 5, 0) == 5


def by_the_formula(scores: Any, likeness: Any, k: int, d: float) -> list[int]:
    """The formula of Carbonell and Goldstein, candidate by candidate."""
    n = len(scores)
    spread = max(scores) - min(scores)
    r = [(s - min(scores)) / spread for s in scores]
    m = {
        (i, j): (likeness[i][j] + likeness[j][i]) / 2 for i in range(n) for j in range(n) if i != j
    }
    low, high = min(m.values()), max(m.values())
    m = {pair: (value - low) / (high - low) for pair, value in m.items()}
    chosen = [0]
    while len(chosen) < min(k, n):
        rest = [i for i in range(n) if i not in chosen]
        value = {i: (1 - d) * r[i] - d * max(m[i, j] for j in chosen) for i in rest}
        chosen.append(max(rest, key=lambda i: value[i]))
    return chosen


@pytest.mark.parametrize("seed", range(20))
def test_random_pools_against_the_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = -np.sort(-rng.normal(size=30))
    likeness = rng.normal(size=(30, 30))
    d = float(rng.random())
    chosen = maximal_marginal_relevance(scores, likeness, 12, d)
    assert chosen == by_the_formula(scores, likeness, 12, d)


def test_equal_scores_and_equal_likeness_keep_the_order() -> None:
    flat = np.ones((5, 5))
    assert maximal_marginal_relevance(np.ones(5), flat, 5, 0.5) == [0, 1, 2, 3, 4]
    assert maximal_marginal_relevance(np.arange(5.0)[::-1], flat, 3, 1) == [0, 1, 2]


LOG = from_dense((np.random.default_rng(5).random((60, 25)) < 0.25).astype(np.float32))


def fitted(name: str) -> Recommender:
    model: Recommender = {
        "ease": lambda: EASE(l2=3.0),
        "item-knn": ItemKNN,
        "elsa": lambda: ELSA(factors=8, n_epochs=2),
    }[name]()
    return model.fit(LOG, run=Run(threads=1))


@pytest.mark.parametrize("name", ["ease", "item-knn", "elsa"])
def test_models_say_how_alike_items_are(name: str) -> None:
    """Scores of histories of one item; for vectors their cosine, which a score of ELSA is."""
    model, items = fitted(name), np.array([3, 0, 17, 8], np.int32)
    alone = sp.csr_array(np.eye(25, dtype=np.float32)[items])
    scores = model.score(alone)[:, items]
    off = ~np.eye(4, dtype=bool)
    assert model.item_similarities(items)[off] == pytest.approx(scores[off], abs=1e-5)
    generic = Recommender.item_similarities(model, items)
    assert generic == pytest.approx(scores, abs=1e-6)


def test_all_forms_of_weights_give_the_same_block() -> None:
    rng = np.random.default_rng(2)
    P = rng.normal(size=(9, 9)).astype(np.float32)
    P = P + P.T
    scale, left, right = (rng.random(9).astype(np.float32) + 0.5 for _ in range(3))
    items = np.array([7, 2, 5], np.int32)
    shared = SharedInverse(P, scale, left, right)
    whole = np.diag(left) @ (np.eye(9) - P @ np.diag(scale)) @ np.diag(right)
    assert shared.among(items) == pytest.approx(whole[np.ix_(items, items)], abs=1e-5)
    for weights in (DenseWeights(P), SparseWeights(sp.csr_array(P))):
        assert (weights.among(items) == P[np.ix_(items, items)]).all()


@pytest.mark.parametrize("name", ["ease", "elsa"])
def test_everyone_gets_the_same_as_one_by_one(name: str) -> None:
    model = fitted(name)
    lists = recommend_all(model, LOG, 4, diversity=0.4, run=Run(threads=1))
    plain = recommend_all(model, LOG, 4, run=Run(threads=1))
    assert lists["item"].to_list() != plain["item"].to_list()
    for user in LOG.users.take(np.arange(0, 60, 7)):
        alone = recommend(model, LOG, 4, user=user, diversity=0.4)
        assert lists.filter(pl.col("user") == user)["item"].to_list() == alone.items
    same = recommend_all(model, LOG, 4, diversity=0.0, run=Run(threads=1))
    assert same.equals(plain)


def test_what_cannot_be_diverse_says_so(toy: EASE) -> None:
    for wrong in (-0.1, 1.5, float("nan"), "much", True, None):
        with pytest.raises(HistoryError, match="give a number from 0"):
            recommend(toy, ["h"], 2, diversity=wrong)  # type: ignore[arg-type]
    popular = Popularity().fit(LOG)
    with pytest.raises(HistoryError, match="popularity recommends the same to everyone"):
        recommend(popular, [0], 2, diversity=0.5)
