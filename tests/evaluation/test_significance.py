"""Paired tests against scipy, and Holm's correction by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from shoal.data.ids import Ids
from shoal.errors import DataError
from shoal.evaluation.evaluate import Evaluation
from shoal.evaluation.significance import holm, paired


def evaluation(values: Any, first_user: int = 0) -> Evaluation:
    users = Ids(pl.Series(range(first_user, first_user + len(values)), dtype=pl.Int64), "int")
    per_user = {"ndcg@10": np.asarray(values, float)}
    return Evaluation("some", {}, "toy", {}, per_user, users, 0, 0.0)


@pytest.mark.parametrize("shift", [0.0, 0.01, -0.2])
@pytest.mark.parametrize("n", [2, 5, 400])
def test_it_is_the_paired_t_test_of_scipy(n: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    a = rng.random(n)
    b = a + rng.normal(shift, 0.1, n)
    found = paired(evaluation(a), evaluation(b), "ndcg@10")
    test = stats.ttest_rel(a, b)
    interval = test.confidence_interval(0.95)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.p == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.n_users == n


def test_users_that_do_not_count_are_left_out() -> None:
    a, b = [0.5, np.nan, 0.25, 1.0, 0.0], [0.25, np.nan, 0.5, 0.5, 0.25]
    found = paired(evaluation(a), evaluation(b), "ndcg@10")
    keep = [0, 2, 3, 4]
    test = stats.ttest_rel(np.array(a)[keep], np.array(b)[keep])
    assert found.n_users == 4
    assert found.p == pytest.approx(test.pvalue)


def test_no_difference_at_all() -> None:
    found = paired(evaluation([0.1, 0.2, 0.3]), evaluation([0.1, 0.2, 0.3]), "ndcg@10")
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize("b", [[0.0, 0.0, 0.0], [0.1, 0.7, 0.3]])
def test_the_same_difference_for_everyone_is_certain(b: list[float]) -> None:
    """0.1 has no exact float: rounding alone must not count as spread (nor warn)."""
    found = paired(evaluation(np.array(b) + 0.1), evaluation(b), "ndcg@10")
    assert (found.difference, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.p == 0


@pytest.mark.parametrize("values", [[0.5], [0.5, np.nan], [np.nan, np.nan]])
def test_one_user_or_none_proves_nothing(values: list[float]) -> None:
    found = paired(evaluation(values), evaluation(np.zeros(len(values))), "ndcg@10")
    assert found.p == 1
    assert found.low < found.difference < found.high


def test_different_users_and_missing_metrics_are_refused() -> None:
    a = evaluation([0.1, 0.2])
    with pytest.raises(DataError, match="different users"):
        paired(a, evaluation([0.1, 0.2], first_user=5), "ndcg@10")
    with pytest.raises(DataError, match=r"'recall@5'"):
        paired(a, evaluation([0.1, 0.2]), "recall@5")


def test_holm_by_hand() -> None:
    """Sorted: 0.005·4, 0.01·3, 0.03·2 = 0.06, then 0.04·1 = 0.04, raised to the 0.06 before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_one() -> None:
    assert holm([0.7, 0.4]) == pytest.approx([0.8, 0.8])
    assert holm([0.6, 0.9, 0.5]) == pytest.approx([1, 1, 1])


def test_holm_of_one_or_none_changes_nothing() -> None:
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
