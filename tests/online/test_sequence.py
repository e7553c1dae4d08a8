"""Intervals that hold whenever one looks: arithmetic, and thousands of invented experiments."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np
import pytest

from shoal.online.sequence import (
    ALPHA,
    LEAST_USERS,
    ClickSums,
    difference_interval,
    difference_radius,
    radius,
    rate_interval,
)

from .simulation import Experiments


def sums_of(users: list[tuple[int, int]]) -> ClickSums:
    sums = ClickSums()
    for clicks, impressions in users:
        sums.add(clicks, impressions)
    return sums


def test_rate_and_variance_are_those_of_the_users_one_by_one() -> None:
    rng = np.random.default_rng(3)
    impressions = rng.integers(1, 40, 50)
    clicks = rng.binomial(impressions, 0.3)
    sums = sums_of([(int(c), int(n)) for c, n in zip(clicks, impressions, strict=True)])
    rate = clicks.sum() / impressions.sum()
    assert sums.users == 50
    assert sums.rate == pytest.approx(rate)
    share = impressions.max() / impressions.sum()
    assert sums.largest_share == pytest.approx(share)
    expected = sum((clicks - rate * impressions) ** 2) / (1 - share) ** 2
    assert sums.variance == pytest.approx(expected)
    jackknife = sum(  # N² times the usual sum of squares of the rates without one user each
        (impressions.sum() * (rate - (clicks.sum() - c) / (impressions.sum() - n))) ** 2
        for c, n in zip(clicks, impressions, strict=True)
    )
    assert sum((clicks - rate * impressions) ** 2) < jackknife <= sums.variance


def test_the_radius_by_hand() -> None:
    # Howard et al. (2021), eq. 14, in the form of Robbins (1970); V = 300, ρ = 100, α = 0.05:
    # 400 · ln(400 / (100 · 0.0025)) = 400 · ln 1600 = 400 · 7.37776 = 2951.10
    assert radius(300.0) == pytest.approx(sqrt(2951.10), abs=1e-3)
    # Waudby-Smith et al. (2024), eq. 2, writes it per observation, with ρ' = σ/√ρ
    t, sigma, alpha, rho = 1_000, 0.7, 0.05, 100.0
    ratio = sigma**2 / rho
    theirs = sigma * sqrt((t * ratio + 1) / (t * t * ratio) * log((t * ratio + 1) / alpha**2))
    assert radius(t * sigma**2, alpha, rho) / t == pytest.approx(theirs)


def test_intervals_are_of_rates() -> None:
    few = sums_of([(1, 2)] * (LEAST_USERS - 1))
    assert rate_interval(few) is None
    enough = sums_of([(0, 10), (4, 10)] * 200)
    interval = rate_interval(enough)
    assert interval is not None
    assert interval.low < enough.rate < interval.high
    half = radius(enough.variance) / 4000
    assert (interval.low, interval.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert difference_interval(enough, few) is None
    tiny = sums_of([(0, 1)] * 40)
    interval = rate_interval(tiny)
    assert interval is not None
    assert (interval.low, interval.high) == (0.0, pytest.approx(radius(0.0) / 40))
    all_clicked = rate_interval(sums_of([(1, 1)] * 40))
    assert all_clicked is not None
    assert all_clicked.high == 1.0


def test_the_interval_of_a_difference_by_hand() -> None:
    a, b = sums_of([(0, 10), (4, 10)] * 200), sums_of([(0, 10), (2, 10)] * 100)
    # V of a: 400 users · 2² = 1600; of b: 200 · 1² = 200; shares of a user 1/400 and 1/200
    v_a, v_b = 1600 / (399 / 400) ** 2, 200 / (199 / 200) ** 2
    m = 1 / (1 / 4000 + 1 / 2000)
    variance = m**2 * (v_a / 4000**2 + v_b / 2000**2)
    half = sqrt((variance + 100) * log((variance + 100) / (100 * 0.025**2))) / m
    interval = difference_interval(a, b, 0.025)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.1 - half, 0.1 + half))


@dataclass
class Looks:
    """Shares of experiments in which some look excludes the truth, or finds a variant better.

    Parameters
    ----------
    sequence : float
        With the confidence sequence.
    fixed : float
        With the usual interval of 1.96 standard errors, which is made for one look.
    without_jackknife : float
        With the confidence sequence, if V were Σ (c − rn)² as it stands.
    better : float
        In which the sequence says that the second variant is better.
    """

    sequence: float
    fixed: float
    without_jackknife: float
    better: float


def look(experiments: Experiments, n_lists: int, every: int, truth: float = 0.0) -> Looks:
    """Show lists, and look after every so many."""
    control, variant = experiments.sums
    excluded, fixed, without, better = np.zeros((4, experiments.n), bool)
    for n in range(1, n_lists + 1):
        experiments.show_a_list()
        if n % every:
            continue
        enough = np.minimum(control.users, variant.users) >= LEAST_USERS
        difference = variant.rate - control.rate
        half = difference_radius(variant, control, ALPHA)
        excluded |= enough & (abs(difference - truth) > half)
        better |= enough & (difference > half)
        n_1, n_0 = np.maximum(variant.impressions, 1), np.maximum(control.impressions, 1)
        square = plain_variance(variant) / n_1**2 + plain_variance(control) / n_0**2
        fixed |= enough & (abs(difference - truth) > 1.96 * np.sqrt(square))
        scale = 1 / (1 / n_1 + 1 / n_0)
        without |= enough & (abs(difference - truth) > radius(square * scale**2) / scale)
    return Looks(excluded.mean(), fixed.mean(), without.mean(), better.mean())


def plain_variance(sums: ClickSums) -> Any:
    """Σ (c − rn)² over users."""
    return sums.variance * (1 - sums.largest_share) ** 2


N = 400
ALLOWED = ALPHA + 3 * sqrt(ALPHA * (1 - ALPHA) / N)  # 5 % and three standard errors of N draws


@pytest.mark.parametrize(
    "people",
    [
        {},
        {"activity": "pareto", "spread": 2.0},
        {"rate": 0.3, "longest": 20},
    ],
    ids=["lognormal activity", "pareto activity, very different users", "long lists"],
)
def test_looking_every_20_lists_at_equal_variants_rarely_finds_a_difference(
    people: dict[str, float],
) -> None:
    experiments = Experiments(N, 500, np.random.default_rng(17), **people)  # type: ignore[arg-type]
    looks = look(experiments, 2_000, every=20)
    assert looks.sequence <= ALLOWED
    assert looks.fixed > 0.15  # so it is the sequence that looking often does no harm to


def test_a_few_users_with_a_large_part_of_all_lists_do_not_raise_false_alarms() -> None:
    experiments = Experiments(N, 800, np.random.default_rng(5), activity="heavy")
    looks = look(experiments, 3_000, every=30)
    assert looks.sequence <= ALLOWED < looks.without_jackknife


def test_a_real_difference_is_found_and_the_interval_holds_it() -> None:
    experiments = Experiments(100, 800, np.random.default_rng(9), lift=0.08)
    looks = look(experiments, 4_000, every=100, truth=0.08)
    assert looks.better > 0.9
    assert looks.sequence <= ALPHA + 3 * sqrt(ALPHA * (1 - ALPHA) / 100)
