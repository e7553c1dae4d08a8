"""Where a model is good: by popularity of items and by length of histories, by brute force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.interactions import Interactions
from shoal.evaluation.evaluate import evaluate_with_lists
from shoal.experiments.comparison.conclude import conclude
from shoal.experiments.comparison.groups import (
    LIST_LENGTH,
    ByPopularity,
    by_history,
    by_popularity,
    popularity_groups,
)
from shoal.experiments.comparison.notes import short
from tests.experiments.comparison.invented import cell


def log_of(n_users: int = 120, n_items: int = 45) -> Interactions:
    """A log of users with three tastes, in which some items are more popular than others."""
    rng = np.random.default_rng(0)
    popularity, tastes = 1 / np.arange(1, n_items + 1), np.arange(n_items) % 3
    rows = []
    for user in range(n_users):
        chances = popularity * np.where(tastes == user % 3, 10, 1)
        length = rng.integers(5, 15)
        items = rng.choice(n_items, length, replace=False, p=chances / chances.sum())
        rows += [(user, item) for item in items]
    return shoal.read(pl.DataFrame(rows, schema=["user", "item"], orient="row"))


def test_deciles_by_brute_force() -> None:
    split = shoal.split(log_of(), "strong", test=0.4)
    model = shoal.EASE(l2=20).fit(split.train)
    # lists of 20, though the metric needs less
    _, lists, hits = evaluate_with_lists(model, split.test, "ndcg@10", at_least=LIST_LENGTH)
    found = by_popularity(lists, hits, split.test)
    test, counts = split.test, split.train.item_counts.tolist()
    order = sorted(range(len(counts)), key=lambda item: (-counts[item], item))
    # of 43 items there are three groups of five, then seven of four
    small, larger = divmod(len(counts), 10)
    sizes = [small + 1] * larger + [small] * (10 - larger)
    ends = np.cumsum(sizes)
    group = {
        item: int(np.searchsorted(ends, place, side="right")) for place, item in enumerate(order)
    }
    n_found, n_held = [0] * 10, [0] * 10
    for user in test.history.users.take(range(test.n_users)):
        answer = shoal.recommend(model, test.history, 20, user=user)
        listed = {r.item for r in answer}
        row = test.target.users.lookup([user])[0]
        for item in test.target.indices[test.target.indptr[row] : test.target.indptr[row + 1]]:
            n_held[group[int(item)]] += 1
            n_found[group[int(item)]] += model.items.take([int(item)])[0] in listed
    assert found.held_out == tuple(n_held)
    assert found.found == tuple(n_found)
    assert sum(n_found) > 0
    assert found.deciles == [f / h if h else None for f, h in zip(n_found, n_held, strict=True)]


def test_deciles_of_two_seeds_are_pooled() -> None:
    one = ByPopularity(20, (1, 2, *[0] * 8), (2, 4, *[0] * 8))
    two = ByPopularity(20, (1, 0, *[0] * 8), (1, 0, *[0] * 8))
    assert (one + two).deciles[:3] == [2 / 3, 0.5, None]
    assert ByPopularity.from_dict(one.to_dict()) == one
    cells = [cell("ease", [0.1, 0.2], seed=s, by_popularity=p) for s, p in enumerate((one, two))]
    made = conclude(cells).to_dict()["models"][0]["by_popularity"]
    assert made["metric"] == "recall@20"
    assert made["deciles"][:3] == [2 / 3, 0.5, None]


def test_a_catalogue_of_few_items_has_fewer_groups() -> None:
    groups = popularity_groups(np.array([3, 9, 5]))
    assert groups.tolist() == [2, 0, 1]


def test_lengths_of_histories_by_hand() -> None:
    lengths = [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    values = [0.0, 0.2, *np.arange(10) / 10]
    groups = by_history(np.arange(12, dtype=np.int32), np.array(lengths), np.array(values))
    # two cold users, and quintiles of the ten others
    assert [(g["from"], g["to"]) for g in groups] == [
        *((1, 3), (4, 5), (6, 7)),
        *((8, 9), (10, 11), (12, 13)),
    ]
    assert [g["cold"] for g in groups] == [True, *[False] * 5]
    assert [g["mean"] for g in groups] == pytest.approx([0.1, 0.05, 0.25, 0.45, 0.65, 0.85])
    assert groups[0]["se"] == pytest.approx(0.1)  # of 0 and .2: the deviation √.02 over √2
    assert {g["users"] for g in groups} == {2}


@pytest.mark.parametrize(
    ("lengths", "extents"),
    [
        ([7] * 20, [(7, 7)]),  # equal lengths are never parted
        ([2], [(2, 2)]),
        ([4, 4, 4, 4, 9], [(4, 4), (9, 9)]),
        ([], []),
    ],
)
def test_users_of_equal_length_stay_together(
    lengths: Sequence[int], extents: list[tuple[int, int]]
) -> None:
    n = len(lengths)
    groups = by_history(np.arange(n, dtype=np.int32), np.array(lengths, np.int64), np.ones(n))
    assert [(g["from"], g["to"]) for g in groups] == extents
    assert sum(g["users"] for g in groups) == n


def test_every_user_is_in_one_group() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        lengths = rng.integers(1, 30, rng.integers(1, 40))
        n = lengths.size
        groups = by_history(np.arange(n, dtype=np.int32), lengths, rng.random(n))
        assert sum(g["users"] for g in groups) == n
        ends = [(g["from"], g["to"]) for g in groups]
        assert all(low <= high for low, high in ends)
        assert all(a[1] < b[0] for a, b in pairwise(ends))


def test_a_group_in_which_the_metric_counts_nobody_has_no_mean() -> None:
    values = np.array([np.nan, 0.5, 0.7])
    groups = by_history(np.arange(3, dtype=np.int32), np.array([2, 5, 5]), values)
    assert (groups[0]["mean"], groups[0]["users"], groups[0]["se"]) == (None, 0, None)
    assert groups[1]["mean"] == pytest.approx(0.6)


def test_a_user_of_two_seeds_counts_once_in_a_group() -> None:
    cells = [
        cell("ease", [0.2, 0.4], seed=0, users=[1, 2], lengths=[5, 5]),
        cell("ease", [0.6, 0.8], seed=1, users=[1, 3], lengths=[5, 5]),
    ]
    (group,) = conclude(cells).entries[0].by_history
    assert group["users"] == 3
    assert group["mean"] == pytest.approx((0.4 + 0.4 + 0.8) / 3)


def test_the_best_for_cold_users_is_named() -> None:
    lengths = [2] * 12 + [9] * 20
    ease = [0.1] * 12 + [0.9] * 20
    knn = [0.3] * 12 + [0.2] * 20
    entries = conclude([cell("ease", ease, lengths=lengths), cell("knn", knn, lengths=lengths)])
    assert short(entries.entries) == [
        "Cold users (2 items, 12 users): knn 0.3000 is best there; ease 0.1000."
    ]
    alike = [cell(label, ease, lengths=[9] * 32) for label in ("ease", "lae")]
    (note,) = short(conclude(alike).entries)
    assert note.startswith("Users with the shortest histories (9 items, 32 users): ease")
    few = [cell(label, [0.1, 0.2], lengths=[1, 9]) for label in ("ease", "lae")]
    assert short(conclude(few).entries) == []  # too few to speak of
