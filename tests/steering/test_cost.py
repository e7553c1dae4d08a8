"""The cost of steering, against a person's arithmetic and a plain loop over people."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

import shoal
from shoal.data.ids import Ids
from shoal.errors import DataError
from shoal.models.ease import EASE
from shoal.models.popularity import Popularity
from shoal.splitting.split import split
from shoal.steering.cost import held_out_latest, steered_list, steering_cost


def model_of(B: np.ndarray) -> EASE:
    model = EASE()
    model.restore({"weights": B.astype(np.float32)})
    ids = pl.Series(range(len(B)))
    model.restore_catalogue(
        Ids(ids, "int"),
        pl.DataFrame({"item": ids}),
        "",
        {},
        item_counts=np.ones(len(B), np.int64),
    )
    return model


def test_the_cost_of_one_list_by_hand() -> None:
    """A history of 0 gives 1 … 5 the scores 10, 8, 4, 2 and 1: their median is 4."""
    B = np.zeros((6, 6))
    B[0] = [0, 10, 8, 4, 2, 1]
    # the unit is 10 − 4, so that 4 gets 2 + 1.25 · 6 = 9.5
    made = steered_list(model_of(B), [0], 2, steer=[0, 0, 0, 0, 1.25, 0])
    assert made.before.items == [1, 2]
    assert made.after.items == [1, 4]
    assert made.after[1].score == 9.5
    assert made.changed == 1
    # margins above 4: 6 + 4 before, 6 − 2 after
    assert made.kept == pytest.approx(4 / 10)
    assert "1 of 2 items" in made.note
    assert (
        made.note == "1 of 2 items is new; the model rates the list at 40 % of the unsteered one."
    )
    worse = steered_list(model_of(B), [0], 2, steer=[0, 0, 0, 0, 3, 3])
    assert worse.kept == pytest.approx((-2 - 3) / 10)
    assert "2 of 2 items are new; the model rates the list at 0 %" in worse.note
    same = steered_list(model_of(B), [0], 2, steer=np.zeros(6))
    assert (same.kept, same.changed) == (1.0, 0)
    assert same.note == "Steering changed nothing in this list: raise the level."
    # 8 + 0.5 · 6 = 11 comes before 10
    turned = steered_list(model_of(B), [0], 2, steer=[0, 0, 0.5, 0, 0, 0])
    assert turned.after.items == [2, 1]
    assert turned.note == "Steering put the same items into another order."


def test_a_diverse_list_may_go_beyond_the_hundred_best() -> None:
    """The pool of a diverse list is larger than what the margin is measured on."""
    n = 300
    B = np.ones((n, n))  # all are alike but for one that is far from the best
    B[0] = np.linspace(2, 1, n)
    B[199] = B[:, 199] = 0
    B[0, 199] = 1.4
    away = np.zeros(n)
    away[199] = -3
    made = steered_list(model_of(B), [0], 2, steer=away, diversity=0.9)
    assert made.before.items == [1, 199]
    assert made.after.items[0] == 1
    assert made.changed == 1
    reference = 2 - 100 / 299  # the 100th best; 199 stands after it
    margins = (B[0, made.before.items] - reference, B[0, made.after.items] - reference)
    assert made.kept == pytest.approx(margins[1].sum() / margins[0].sum(), rel=1e-3)


def test_rules_hold_for_both_lists() -> None:
    B = np.zeros((6, 6))
    B[0] = [0, 10, 8, 4, 2, 1]
    options = {"only": [2, 3, 4, 5], "exclude": [3], "diversity": 0.0, "because": True}
    made = steered_list(model_of(B), [0], 1, steer=[0, 9, 0, 9, 0, 2], **options)
    # of 2, 4 and 5 with 8, 2 and 1 the median is 2
    assert (made.before.items, made.after.items) == ([2], [5])
    assert made.kept == pytest.approx((1 - 2) / (8 - 2))
    assert made.after[0].because[0].contribution == 1


def test_the_margin_is_above_the_100th_best() -> None:
    """Scores 299 … 1 of 299 items: the 100th best is 200."""
    B = np.zeros((300, 300))
    B[0] = np.arange(300, 0, -1)
    steer = np.zeros(300)
    steer[250] = 3  # has 50, and gets 3 · 99 more
    made = steered_list(model_of(B), [0], 10, steer=steer)
    assert made.after.items == [250, *range(1, 10)]
    before = sum(range(290, 300)) - 10 * 200
    after = 50 + sum(range(291, 300)) - 10 * 200
    assert made.kept == pytest.approx(after / before)


def ndcg(found: list[int], wanted: set[int], k: int) -> float:
    gain = sum(1 / math.log2(place + 2) for place, item in enumerate(found[:k]) if item in wanted)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))


def test_the_cost_in_accuracy_by_a_loop_over_people(log: shoal.Interactions) -> None:
    parts = split(log, "strong", seed=1)
    model = EASE(l2=30.0).fit(parts.train)
    shifts = 0.4 * (np.arange(model.n_items) % 7 == 0)
    cost = steering_cost(model, parts.test, shifts)
    values: dict[str, list[list[float]]] = {"ndcg@10": [], "recall@10": []}
    X, T = parts.test.history.matrix.toarray(), parts.test.target.matrix.toarray() > 0
    for row, target in zip(X, T, strict=True):
        scores = (row @ model.weights).astype(np.float64)
        scores[(row > 0) | ~model.known_items] = -np.inf
        unit = np.sort(scores)[::-1][0] - np.sort(scores)[::-1][99]
        wanted = set(np.flatnonzero(target).tolist())
        lists = [np.argsort(-s)[:10].tolist() for s in (scores, scores + unit * shifts)]
        values["ndcg@10"].append([ndcg(found, wanted, 10) for found in lists])
        recalls = [len(wanted & set(found)) / min(10, len(wanted)) for found in lists]
        values["recall@10"].append(recalls)
    assert cost.n_users == len(X)
    for name, pairs in values.items():
        before, after = np.array(pairs).T
        assert cost.before[name] == pytest.approx(before.mean(), abs=2e-4)
        assert cost.after[name] == pytest.approx(after.mean(), abs=2e-4)
        interval = stats.ttest_rel(after, before).confidence_interval(0.95)
        difference = cost.difference[name]
        assert difference.difference == pytest.approx((after - before).mean(), abs=3e-4)
        assert difference.low == pytest.approx(interval.low, abs=5e-4)
        assert difference.high == pytest.approx(interval.high, abs=5e-4)
        assert difference.difference < 0  # shifts that mean nothing cost something
    told = cost.to_dict()
    assert told["users"] == len(X)
    assert told["metrics"]["ndcg@10"]["difference"] == cost.difference["ndcg@10"].difference


def test_no_shift_costs_nothing(log: shoal.Interactions) -> None:
    parts = split(log, "strong", seed=1)
    cost = steering_cost(EASE(l2=30.0).fit(parts.train), parts.test, np.zeros(log.n_items))
    for difference in cost.difference.values():
        assert (difference.difference, difference.low, difference.high) == (0, 0, 0)


def test_the_latest_fifth_is_held_out_by_hand() -> None:
    model = Popularity()
    model.restore({"counts": np.ones(20, np.float32)})
    ids = pl.Series(range(20))
    counts = np.ones(20, np.int64)
    counts[19] = 0  # nobody had it in training
    table = pl.DataFrame({"item": ids})
    model.restore_catalogue(Ids(ids, "int"), table, "", {}, item_counts=counts)
    histories = {
        "long": {str(i): 1.0 for i in (9, 3, 5, 1, 18, 2, 0, 14, 11, 7)},  # two of ten
        "short": dict.fromkeys([4, 5, 6, 7, 8], 1.0),
        "weighed": {4: 1.0, 5: 0.5, "gone": 2.0, 6: 1.0, 19: 1.0, 7: 1.0, 8: 3.0, 2: 1.0, 1: 2.0},
    }
    held_out = held_out_latest(model, histories, "people")
    assert held_out.dropped == 1
    assert held_out.history.users.take([0, 1]) == ["long", "weighed"]
    assert set(held_out.history.history_of("long")) == {9, 3, 5, 1, 18, 2, 0, 14}
    assert held_out.history.history_of("long")[:3] == [9, 3, 5]  # the oldest first
    assert set(held_out.target.history_of("long")) == {11, 7}
    assert held_out.target.history_of("weighed") == [1]
    weights = dict(zip(held_out.history.indices.tolist(), held_out.history.arrays[2], strict=True))
    assert weights[8] == 3
    with pytest.raises(DataError, match="6 items"):
        held_out_latest(model, {"short": histories["short"]}, "people")
