"""`evaluate` against plain loops over users and items."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from math import log2, sqrt

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import shoal
from shoal.errors import DataError, HistoryError, NotFittedError
from shoal.evaluation.evaluate import evaluate
from shoal.inference.ranking import block_rows
from shoal.models.ease import EASE
from shoal.models.l3ae import L3AE
from shoal.models.popularity import Popularity
from shoal.run import Run
from shoal.splitting.held_out import HeldOut
from shoal.splitting.split import split
from shoal.testing import from_dense

N_USERS, N_ITEMS = 50, 23
ACCURACY = ("recall", "recall_full", "precision", "hit_rate", "map", "mrr", "ndcg")


def place_among_equals(item: int) -> int:
    """The published hash "lowbias32" (C. Wellons, Hash Prospector) in Python's whole numbers."""
    x = item ^ (item >> 16)
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def model_with(B: NDArray[np.float64]) -> EASE:
    """A fitted model with these weights."""
    model = EASE()
    items = from_dense(np.ones((1, len(B)))).items
    model.restore({"weights": B.astype(np.float32)})
    model.restore_catalogue(items, pl.DataFrame({"item": items.series}), "", {})
    return model


class Case:
    """Small whole numbers as weights: scores are exact, and full of ties."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.B = rng.integers(-1, 3, (N_ITEMS, N_ITEMS)).astype(float)
        touched = rng.random((N_USERS, N_ITEMS)) < rng.beta(2, 3, (N_USERS, 1))
        # every user has a history and a target, one has nearly everything in the history
        touched[:, 0] = touched[:, 1] = True
        held = touched & (rng.random(touched.shape) < 0.4)
        held[:, 0], held[:, 1] = True, False
        touched[3], held[3] = True, False
        held[3, :2] = True
        self.history, self.target = touched & ~held, held
        self.counts = rng.integers(0, 9, N_ITEMS)
        self.model = model_with(self.B)
        self.held_out = HeldOut(
            from_dense(self.history), from_dense(self.target), self.counts, "by hand", dropped=2
        )

    def ranking(self, u: int) -> list[int]:
        scores = [
            sum(self.B[j, i] for j in range(N_ITEMS) if self.history[u, j]) for i in range(N_ITEMS)
        ]
        candidates = [i for i in range(N_ITEMS) if not self.history[u, i]]
        return sorted(candidates, key=lambda i: (-scores[i], place_among_equals(i)))

    def group(self, name: str) -> set[int]:
        by_count = sorted(range(N_ITEMS), key=lambda i: (-self.counts[i], i))
        head = set(by_count[:5])  # 23 / 5 = 4.6
        return {"": set(range(N_ITEMS)), "head": head, "tail": set(range(N_ITEMS)) - head}[name]

    def value(self, base: str, k: int, group: str, u: int) -> float | None:
        """The metric of one user, or None if they do not count."""
        wanted = {i for i in range(N_ITEMS) if self.target[u, i]} & self.group(group)
        n = len(wanted)
        if n == 0:
            return None
        first = self.ranking(u)[:k]
        ranks = [r for r, i in enumerate(first, 1) if i in wanted]
        if base == "recall":
            return len(ranks) / min(k, n)
        if base == "recall_full":
            return len(ranks) / n
        if base == "precision":
            return len(ranks) / k
        if base == "hit_rate":
            return float(len(ranks) > 0)
        if base == "mrr":
            return 1 / ranks[0] if ranks else 0.0
        if base == "map":
            return sum(h / r for h, r in enumerate(ranks, 1)) / min(k, n)
        ideal = sum(1 / log2(r + 1) for r in range(1, min(k, n) + 1))
        return sum(1 / log2(r + 1) for r in ranks) / ideal


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


@pytest.mark.parametrize("group", ["", "head", "tail"])
@pytest.mark.parametrize("base", ACCURACY)
def test_accuracy_in_plain_loops(case: Case, base: str, group: str) -> None:
    for k in (1, 4, 10, N_ITEMS):
        name = f"{base}@{k}" + (f":{group}" if group else "")
        found = evaluate(case.model, case.held_out, [name], Run(threads=1))
        values = [case.value(base, k, group, u) for u in range(N_USERS)]
        expected = np.array([np.nan if v is None else v for v in values])
        np.testing.assert_allclose(found.per_user[name], expected, rtol=1e-12)
        there = [v for v in values if v is not None]
        score = found.scores[name]
        assert score.mean == pytest.approx(statistics.mean(there))
        assert score.se == pytest.approx(statistics.stdev(there) / sqrt(len(there)))
        assert score.n_users == len(there)


def test_users_without_an_item_of_the_group_do_not_count(case: Case) -> None:
    found = evaluate(case.model, case.held_out, ["recall@5:head", "recall@5:tail"])
    counted = [found.scores[n].n_users for n in ("recall@5:head", "recall@5:tail")]
    assert 0 < min(counted) < N_USERS


def test_what_lists_are_like_in_plain_loops(case: Case) -> None:
    k = 4
    found = evaluate(
        case.model, case.held_out, ["coverage@4", "gini@4", "novelty@4", "popularity@4"]
    )
    lists = [case.ranking(u)[:k] for u in range(N_USERS)]
    assert len(lists[3]) == 2 < k  # nearly everything was in the history: a short list
    shown = [i for one in lists for i in one]
    assert found["coverage@4"] == len(set(shown)) / N_ITEMS
    often = [shown.count(i) for i in range(N_ITEMS)]
    pairs = sum(abs(a - b) for a in often for b in often)
    assert found["gini@4"] == pytest.approx(pairs / (2 * N_ITEMS * len(shown)))
    total = case.counts.sum()
    bits = [statistics.mean(-log2(max(case.counts[i], 1) / total) for i in one) for one in lists]
    assert found.per_user["novelty@4"] == pytest.approx(bits)
    popular = [float(np.mean([case.counts[i] for i in one])) for one in lists]
    assert found.per_user["popularity@4"] == pytest.approx(popular)
    assert found.scores["coverage@4"].se is None
    assert "gini@4" not in found.per_user


def test_several_k_in_one_pass_are_those_of_separate_passes(case: Case) -> None:
    names = [f"{b}@{k}{g}" for b in ACCURACY for k in (1, 7, 20) for g in ("", ":tail")]
    names += ["coverage@3", "coverage@20", "novelty@3", "gini@20"]
    together = evaluate(case.model, case.held_out, names)
    assert list(together.scores) == names
    for name in names:
        assert evaluate(case.model, case.held_out, [name]).scores[name] == together.scores[name]


@pytest.mark.parametrize("rows", [1, 7, 49, 50, 51])
def test_the_size_of_blocks_does_not_matter(case: Case, rows: int) -> None:
    small = Run(memory=4 * case.model.bytes_per_history(10) * rows, threads=2)
    assert block_rows(case.model, 10, small) == rows
    names = ["ndcg@10", "recall@5:tail", "coverage@4", "gini@4"]
    whole, parts = (evaluate(case.model, case.held_out, names, r) for r in (Run(threads=2), small))
    assert parts.scores == whole.scores
    for name in whole.per_user:
        np.testing.assert_array_equal(parts.per_user[name], whole.per_user[name])


def test_three_users_by_hand() -> None:
    """Popularity ranks a, b, c, d (4, 3, 2, 1 users).

    User 1 had a and is to find b: the list is b, c, d; found at rank 1.
    User 2 had b and is to find d: a, c, d; rank 3.
    User 3 had d and is to find b and c: a, b, c; ranks 2 and 3.
    """
    train = from_dense([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]])
    history = from_dense([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    target = from_dense([[0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 1, 0]])
    held_out = HeldOut(history, target, train.item_counts, "toy")
    found = evaluate(
        Popularity().fit(train), held_out, ["mrr@3", "recall@2", "ndcg@3", "recall@2:head"]
    )
    assert found["mrr@3"] == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    assert found["recall@2"] == pytest.approx((1 + 0 + 1 / 2) / 3)
    # values 1, 0, 1/2: variance ((1/2)² + (1/2)² + 0) / 2 = 1/4, error √(1/4)/√3
    assert found.scores["recall@2"].se == pytest.approx(0.5 / sqrt(3))
    ndcg = [1, 1 / log2(4), (1 / log2(3) + 1 / log2(4)) / (1 + 1 / log2(3))]
    assert found["ndcg@3"] == pytest.approx(sum(ndcg) / 3)
    # the head is a alone, and a is nobody's target
    assert np.isnan(found["recall@2:head"])
    assert found.scores["recall@2:head"].n_users == 0
    assert found.to_dict()["metrics"]["recall@2:head"]["mean"] is None


def test_equal_scores_are_in_one_order_that_is_not_that_of_the_ids() -> None:
    history = from_dense([[1, 0, 0, 0]])
    model = model_with(np.zeros((4, 4)))
    for rank, item in enumerate(sorted((1, 2, 3), key=place_among_equals), 1):
        target = np.zeros((1, 4))
        target[0, item] = 1
        held_out = HeldOut(history, from_dense(target), np.ones(4, int), "ties")
        assert evaluate(model, held_out, ["mrr@4"])["mrr@4"] == pytest.approx(1 / rank)


@pytest.mark.parametrize("first", [0, 500], ids=["low ids", "high ids"])
def test_a_model_that_knows_nothing_finds_as_much_of_low_as_of_high_ids(first: int) -> None:
    """1,000 items of equal score and 100 of them in each list: a tenth of any items is found.

    500 targets, drawn without return: the share's deviation is √(.1·.9/500·500/999) = .0095.
    """
    n = 1000
    history, target = np.zeros((1, n)), np.zeros((1, n))
    history[0, 499] = 1
    target[0, first : first + 499] = 1
    held_out = HeldOut(from_dense(history), from_dense(target), np.ones(n, int), "ties")
    found = evaluate(model_with(np.zeros((n, n))), held_out, ["recall_full@100"])
    assert abs(found["recall_full@100"] - 0.1) < 4 * 0.0095


def test_items_without_a_training_user_are_never_found() -> None:
    """Users 1 to 3 have two of the items a, b, c; the others, d and e, are in the test alone.

    EASE gives them the score 0, above the negative ones of a, b and c. User 1 is to find c and d:
    the list is c alone, so one of two is found, at rank 1. User 2 is to find e: nothing.
    """
    train = from_dense([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [1, 0, 1, 0, 0]], items=[*"abcde"])
    target = from_dense([[0, 0, 1, 1, 0], [0, 0, 0, 0, 1]], items=[*"abcde"])
    held_out = HeldOut(train.take_users(np.array([0, 1])), target, train.item_counts, "time")
    model = EASE(l2=1.0).fit(train, run=Run(threads=1))
    assert (model.score(train.matrix)[0, 3:] == 0).all()
    found = evaluate(model, held_out, ["recall_full@3", "mrr@3", "coverage@3"])
    np.testing.assert_allclose(found.per_user["recall_full@3"], [1 / 2, 0])
    np.testing.assert_allclose(found.per_user["mrr@3"], [1, 0])
    assert found["coverage@3"] == 2 / 5  # c for user 1, a for user 2
    assert (found.unknown_items, found.unknown_targets) == (2, 2)
    plain = found.to_dict()
    assert (plain["unknown_items"], plain["unknown_targets"]) == (2, 2)
    assert "2 items have no training user" in str(found)


def test_an_item_that_has_a_vector_is_found_without_a_training_user() -> None:
    """c lies beside a by its vector; d has no vector and no user."""
    train = from_dense([[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], items=[*"abcd"])
    vectors = np.array([[1, 0.1], [0.1, 1], [1, 0.2], [0, 0]], np.float32)
    train = replace(train, item_vectors=vectors)
    target = from_dense([[0, 0, 1, 1]], items=[*"abcd"])
    held_out = HeldOut(train.take_users(np.array([1])), target, train.item_counts, "cold")
    model = L3AE(l2=1.0).fit(train, run=Run(threads=1))
    assert model.known_items.tolist() == [True, True, True, False]
    found = evaluate(model, held_out, ["recall_full@4"])
    assert found["recall_full@4"] == 1 / 2
    assert (found.unknown_items, found.unknown_targets) == (1, 1)


def test_a_whole_split_means_its_test_users_and_other_things_are_refused(case: Case) -> None:
    log = from_dense(np.random.default_rng(0).random((30, 9)) < 0.5)
    parts = split(log, "weak", seed=1)
    model = Popularity().fit(parts.train)
    assert (
        evaluate(model, parts, ["ndcg@5"]).scores == evaluate(model, parts.test, ["ndcg@5"]).scores
    )
    with pytest.raises(DataError, match="takes held-out users, and this is Interactions"):
        evaluate(model, log, ["ndcg@5"])  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"shoal\.split\(shoal\.read"):
        evaluate(model, "test.csv", ["ndcg@5"])  # type: ignore[arg-type]
    with pytest.raises(HistoryError, match=r"shoal\.load"):
        evaluate("models/ease", case.held_out, ["ndcg@5"])  # type: ignore[arg-type]


def test_the_result_says_where_it_comes_from(case: Case) -> None:
    found = evaluate(case.model, case.held_out, ["ndcg@10", "coverage@10"])
    assert (found.model, found.protocol, found.dropped) == ("ease", "by hand", 2)
    assert found.parameters["l2"] == 500
    assert found["NDCG@10"] == found.scores["ndcg@10"].mean
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["users"] == N_USERS
    assert plain["users_dropped"] == 2
    assert plain["metrics"]["ndcg@10"]["mean"] == found["ndcg@10"]
    assert plain["metrics"]["coverage@10"]["se"] is None
    text = str(found)
    assert "ndcg@10" in text
    assert f"{found['ndcg@10']:.4f} ± " in text


def test_what_cannot_be_evaluated_is_refused(case: Case) -> None:
    with pytest.raises(DataError, match="no metric was asked for"):
        evaluate(case.model, case.held_out, [])
    with pytest.raises(DataError, match="no metric 'auc@5'"):
        evaluate(case.model, case.held_out, ["auc@5"])
    with pytest.raises(DataError, match="@24 is more than the catalogue of 23"):
        evaluate(case.model, case.held_out, ["ndcg@24"])
    with pytest.raises(DataError, match="other items"):
        evaluate(model_with(np.eye(N_ITEMS + 1)), case.held_out, ["ndcg@5"])
    with pytest.raises(NotFittedError):
        evaluate(EASE(), case.held_out, ["ndcg@5"])


def test_a_model_that_saw_what_is_held_out_is_noted() -> None:
    rng = np.random.default_rng(0)
    log = from_dense((rng.random((60, 12)) < 0.4).astype(float))
    parts = shoal.split(log, "strong", test=0.3, validation=0)
    honest = shoal.evaluate(shoal.EASE().fit(parts.train), parts.test, "ndcg@3")
    leaking = shoal.evaluate(shoal.EASE().fit(log), parts.test, "ndcg@3")
    assert not honest.fitted_on_other_data
    assert leaking.fitted_on_other_data
    assert "these numbers are too good" in str(leaking)
