"""Coverage at one number of impressions, and popularity: against counting all draws."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from shoal.online.guards import expected_distinct, mean_popularity


def test_expected_distinct_items_are_the_mean_over_all_draws() -> None:
    counts = np.array([3, 1, 0, 2, 1])
    impressions = np.repeat(np.arange(5), counts)
    for n_drawn in range(8):
        draws = [len(set(draw)) for draw in combinations(impressions, n_drawn)]
        assert expected_distinct(counts, n_drawn) == pytest.approx(np.mean(draws))
    assert expected_distinct(counts, 100) == 4


def test_expected_distinct_items_of_many_impressions() -> None:
    rng = np.random.default_rng(0)
    counts = rng.geometric(0.001, 2_000)
    n_drawn = int(counts.sum()) // 7
    missing = stats.hypergeom(counts.sum(), counts, n_drawn).pmf(0)
    assert expected_distinct(counts, n_drawn) == pytest.approx((1 - missing).sum(), rel=1e-6)


def test_popularity_is_the_mean_over_impressions_of_known_items() -> None:
    counts, users = np.array([3, 1, 5]), np.array([10.0, 50.0, np.nan])
    assert mean_popularity(counts, users) == pytest.approx((3 * 10 + 50) / 4)
    assert mean_popularity(np.array([0, 0, 2]), users) is None
