"""Every metric by hand, in plain loops, and against scikit-learn."""

from __future__ import annotations

from math import ceil, log2
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from shoal import metrics as m
from shoal.errors import DataError

# One user: items at rank 2 and 4 of the list are among the three held out.
HITS = np.array([[False, True, False, True, False]])
THREE = np.array([3])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("recall@1", 0),
        ("recall@2", 1 / 2),  # one of min(2, 3)
        ("recall@4", 2 / 3),
        ("recall_full@2", 1 / 3),
        ("precision@4", 2 / 4),
        ("precision@5", 2 / 5),
        ("hit_rate@1", 0),
        ("hit_rate@2", 1),
        ("mrr@1", 0),
        ("mrr@5", 1 / 2),
        ("map@2", (1 / 2) / 2),
        ("map@4", (1 / 2 + 2 / 4) / 3),
        ("ndcg@1", 0),
        ("ndcg@2", (1 / log2(3)) / (1 + 1 / log2(3))),  # the ideal list has two hits in two
        ("ndcg@5", (1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3) + 1 / 2)),
    ],
)
def test_one_user_by_hand(name: str, expected: float) -> None:
    metric = m.parse(name)
    assert m.ACCURACY[metric.base](HITS, THREE, metric.k) == pytest.approx([expected])


# 4 items with 4, 2, 1, 1 training users: shares 1/2, 1/4, 1/8, 1/8, so 1, 2, 3, 3 bits
COUNTS = np.array([4, 2, 1, 1])
LISTS = np.array([[0, 2], [0, 1], [1, -1]], np.int32)


def test_popularity_and_novelty_by_hand() -> None:
    assert m.mean_popularity(LISTS, COUNTS, 2) == pytest.approx([5 / 2, 6 / 2, 2])
    assert m.novelty(LISTS, COUNTS, 2) == pytest.approx([4 / 2, 3 / 2, 2])
    assert m.mean_popularity(LISTS, COUNTS, 1) == pytest.approx([4, 4, 2])


def test_novelty_of_an_item_without_training_users_is_that_of_one() -> None:
    counts = np.array([8, 0])
    assert m.novelty(np.array([[1]], np.int32), counts, 1) == pytest.approx([3])


def test_coverage_by_hand() -> None:
    assert m.coverage(LISTS, COUNTS, 2) == 3 / 4
    assert m.coverage(LISTS, COUNTS, 1) == 2 / 4


def test_gini_by_hand() -> None:
    """Recommended 2, 2, 1 and 0 times; in ascending order (−3·0 − 1·1 + 1·2 + 3·2) / (4·5)."""
    assert m.gini(LISTS, COUNTS, 2) == pytest.approx(7 / 20)
    equal = np.array([[0, 1], [2, 3]], np.int32)
    assert m.gini(equal, COUNTS, 2) == 0
    one = np.zeros((5, 1), np.int32)
    assert m.gini(one, COUNTS, 1) == pytest.approx(3 / 4)  # (n − 1)/n, the most there can be


def test_gini_is_the_mean_difference_of_all_pairs() -> None:
    lists = np.random.default_rng(0).integers(0, 12, (30, 4)).astype(np.int32)
    often = [int((lists == i).sum()) for i in range(12)]
    pairs = sum(abs(a - b) for a in often for b in often)
    expected = pairs / (2 * 12 * sum(often))
    assert m.gini(lists, np.ones(12, int), 4) == pytest.approx(expected)


def random_lists(n_users: int = 40, n_items: int = 25) -> tuple[Any, ...]:
    """Rankings, held-out sets as a table, hits and sizes."""
    rng = np.random.default_rng(0)
    scores = rng.permuted(np.tile(np.arange(n_items, dtype=float), (n_users, 1)), axis=1)
    truth = rng.random((n_users, n_items)) < rng.beta(1, 4, (n_users, 1))
    truth[np.arange(n_users), rng.integers(0, n_items, n_users)] = True
    ranking = np.argsort(-scores, axis=1)
    return scores, truth, np.take_along_axis(truth, ranking, 1), truth.sum(axis=1)


def plainly(base: str, hits: list[bool], n: int, k: int) -> float:
    """A metric of one user, from its definition."""
    first = hits[:k]
    found = sum(first)
    if base == "recall":
        return found / min(k, n)
    if base == "recall_full":
        return found / n
    if base == "precision":
        return found / k
    if base == "hit_rate":
        return 1.0 if found else 0.0
    if base == "mrr":
        return next((1 / r for r, hit in enumerate(first, 1) if hit), 0.0)
    if base == "map":
        total = 0.0
        for r, hit in enumerate(first, 1):
            if hit:
                total += sum(first[:r]) / r
        return total / min(k, n)
    assert base == "ndcg"
    gain = sum(1 / log2(r + 1) for r, hit in enumerate(first, 1) if hit)
    return gain / sum(1 / log2(r + 1) for r in range(1, min(k, n) + 1))


@pytest.mark.parametrize("k", [1, 2, 5, 20, 25])
@pytest.mark.parametrize("base", list(m.ACCURACY))
def test_many_users_in_plain_loops(base: str, k: int) -> None:
    _, _, hits, n = random_lists()
    expected = [plainly(base, h, int(t), k) for h, t in zip(hits.tolist(), n, strict=True)]
    np.testing.assert_allclose(m.ACCURACY[base](hits, n, k), expected, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 5, 20, 25])
def test_against_scikit_learn(k: int) -> None:
    scores, truth, hits, n = random_lists()
    ranking = np.argsort(-scores, axis=1)
    shown = np.zeros_like(truth)
    np.put_along_axis(shown, ranking[:, :k], True, 1)
    assert m.ndcg(hits, n, k).mean() == pytest.approx(sk.ndcg_score(truth, scores, k=k))
    precise = sk.precision_score(truth, shown, average="samples")
    assert m.precision(hits, n, k).mean() == pytest.approx(precise)
    found = sk.recall_score(truth, shown, average="samples")
    assert m.recall_full(hits, n, k).mean() == pytest.approx(found)


def test_average_precision_over_the_whole_list_is_that_of_scikit_learn() -> None:
    scores, truth, hits, n = random_lists()
    expected = [sk.average_precision_score(t, s) for t, s in zip(truth, scores, strict=True)]
    np.testing.assert_allclose(m.average_precision(hits, n, 25), expected)


def test_a_perfect_list_scores_one() -> None:
    hits, n = np.array([[True] * 3 + [False] * 7]), np.array([3])
    for base in ("recall", "recall_full", "ndcg", "hit_rate", "map", "mrr"):
        assert m.ACCURACY[base](hits, n, 10) == pytest.approx([1])


@pytest.mark.parametrize("n_items", [1, 4, 5, 6, 10, 11, 35, 1000, 9975, 20_108])
def test_head_is_a_fifth_rounded_up(n_items: int) -> None:
    head = m.head_items(np.arange(n_items))
    size = ceil(n_items / 5)
    assert head.sum() == size
    assert head[n_items - size :].all()  # the last have most users here


def test_head_gives_ties_to_the_earlier_item() -> None:
    """10 items make 2 head items: the one with 9 users and the first of those with 5."""
    head = m.head_items(np.array([1, 5, 5, 9, 5, 0, 0, 0, 0, 0]))
    assert np.flatnonzero(head).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ndcg@100", m.Metric("ndcg", 100)),
        (" NDCG@5 ", m.Metric("ndcg", 5)),
        ("recall@20:tail", m.Metric("recall", 20, "tail")),
        ("recall_full@7:head", m.Metric("recall_full", 7, "head")),
        ("gini@010", m.Metric("gini", 10)),
    ],
)
def test_names_are_read(name: str, expected: m.Metric) -> None:
    assert m.parse(name) == expected
    assert m.parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ndcg", "no metric 'ndcg'"),
        ("accuracy@10", "write one of recall"),
        ("ndcg@-1", "no metric"),
        ("ndcg@1.5", "no metric"),
        ("", "no metric ''"),
        ("ndcg@0", "k must be 1 or more"),
        ("ndcg@10:middle", "head, tail"),
        ("coverage@10:head", "only recall"),
        ("novelty@10:tail", "only recall"),
    ],
)
def test_names_that_are_none_say_what_is(name: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        m.parse(name)


def test_each_metric_says_what_it_is() -> None:
    assert m.parse("recall@20").definition == "Σ hit(r ≤ k) / min(k, |T|)."
    tables: list[dict[str, Any]] = [m.ACCURACY, m.PER_LIST, m.OVERALL]
    for table in tables:
        for base in table:
            assert len(m.parse(f"{base}@1").definition) > 10


def test_no_users_give_no_values() -> None:
    nobody: NDArray[np.bool_] = np.zeros((0, 5), bool)
    for formula in m.ACCURACY.values():
        assert formula(nobody, np.zeros(0, int), 3).shape == (0,)
