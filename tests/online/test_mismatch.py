"""The test of the numbers of users: against scipy, and over invented experiments."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from shoal.online.mismatch import CONCENTRATION, LEVEL, mismatch_p


@pytest.mark.parametrize(
    ("counts", "shares"),
    [
        ([520, 480], [0.5, 0.5]),
        ([5_200, 4_800], [0.5, 0.5]),
        ([260, 130, 110], [0.5, 0.25, 0.25]),
        ([0, 7], [0.9, 0.1]),
    ],
)
def test_p_is_the_ratio_of_two_probabilities(counts: list[int], shares: list[float]) -> None:
    n = sum(counts)
    prior = CONCENTRATION * np.array(shares)
    under_shares = stats.multinomial.logpmf(counts, n, shares)
    under_prior = stats.dirichlet_multinomial.logpmf(counts, prior, n)
    expected = min(1.0, float(np.exp(under_shares - under_prior)))
    assert mismatch_p(counts, shares) == pytest.approx(expected, rel=1e-9)


def test_nobody_and_one_variant_alone() -> None:
    assert mismatch_p([0, 0], [0.5, 0.5]) == 1.0
    assert mismatch_p([1000], [1.0]) == pytest.approx(1.0)


def lowest_p(share: float, n_users: int, n: int, every: int, seed: int) -> np.ndarray:
    """The least p of each of n experiments with halves, looked at again and again."""
    first = np.random.default_rng(seed).random((n, n_users)) < share
    reached = np.cumsum(first, axis=1)[:, every - 1 :: every]
    totals = np.arange(every, n_users + 1, every)
    return np.array(
        [
            min(
                mismatch_p([int(n), int(total - n)], [0.5, 0.5])
                for n, total in zip(row, totals, strict=True)
            )
            for row in reached
        ]
    )


def test_52_of_100_users_are_found_and_50_are_not() -> None:
    bug = lowest_p(0.52, 16_000, 60, 100, seed=1)
    assert (bug < LEVEL).mean() > 0.9
    n = 300
    healthy = lowest_p(0.5, 12_000, n, 100, seed=2)
    assert (healthy < LEVEL).mean() <= LEVEL + 3 * sqrt(LEVEL * (1 - LEVEL) / n)
    # a chi-squared test at each look, at the same level, would flag far more
    reached = np.cumsum(np.random.default_rng(2).random((n, 12_000)) < 0.5, axis=1)[:, 99::100]
    totals = np.arange(100, 12_001, 100)
    z = (reached - totals / 2) / np.sqrt(totals / 4)
    assert (np.abs(z) > stats.norm.isf(LEVEL / 2)).any(axis=1).mean() > 0.05
