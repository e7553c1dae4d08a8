"""Confidence sequences of click-through rates: intervals that hold however often one looks.

A click-through rate is r = C / N, the clicks over the items shown. Users are the units: their lists
depend on each other, since people differ and come back. With c and n of each user, the sum
S = C − rN has the variance V = Σ (c − rn)² over users, whatever the dependence within a user.

An interval of 95 % that is looked at again and again excludes the truth sooner or later. That of
a confidence sequence holds for all looks at once: with probability 1 − α it never excludes it. Here
it is Robbins' normal mixture, |S| ≤ √((V + ρ) log((V + ρ) / (ρα²))) for all V, with a ρ that is
fixed beforehand.

Why it holds though users come back: such a sum of dependent parts moves less freely than a Brownian
motion with the same variance V. For two times, the covariance of S is at least the smaller V where
a user's later clicks go with the earlier ones, so by Slepian's inequality each of the two
boundaries is crossed with at most the probability with which the Brownian motion crosses it.

Like every interval that rests on the central limit theorem, this needs many users, none of whom
counts for much. There is none for fewer than `LEAST_USERS`. A user with a large part h of all
impressions pulls r towards his own rate, so that V comes out too small; the jackknife puts it right
by dividing c − rn by 1 − h, and V is divided here by the square of the smallest 1 − h of all users,
which is at least as much and needs no second pass.

Sources
-------
Robbins, Statistical methods related to the law of the iterated logarithm, Annals of Mathematical
Statistics 41 (1970). Howard, Ramdas, McAuliffe and Sekhon, Time-uniform, nonparametric,
nonasymptotic confidence sequences, Annals of Statistics 49 (2021), eq. 14. Waudby-Smith, Arbour,
Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence sequences,
Annals of Statistics 52 (2024). Variance of a ratio by clusters: Cochran, Sampling Techniques
(1977), chapter 6. Slepian, The one-sided barrier problem for Gaussian noise, Bell System Technical
Journal 41 (1962).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

ALPHA = 0.05  # probability with which an interval ever excludes the truth
RHO = 100.0  # clicks², of the normal mixture; fixed, since no one may choose it after a look
LEAST_USERS = 30  # with a list, for an interval

Numbers: TypeAlias = Any  # a number, or an array of numbers, one for each of several experiments


@dataclass(slots=True)
class ClickSums:
    """Sums over the users of a variant, from which the rate and its variance follow.

    They do not grow with the users, so a report of any number of users needs no memory for them.

    Parameters
    ----------
    users : int
        Users with at least one item shown.
    clicks, impressions : int
        Of all users: Σc and Σn.
    clicks_squared, products, impressions_squared : int
        Σc², Σcn and Σn² over users.
    most_impressions : int
        Those of the user with most of them.
    """

    users: Numbers = 0
    clicks: Numbers = 0
    impressions: Numbers = 0
    clicks_squared: Numbers = 0
    products: Numbers = 0
    impressions_squared: Numbers = 0
    most_impressions: Numbers = 0

    def add(self, clicks: int, impressions: int) -> None:
        """Count a user with all of the user's lists."""
        self.users += 1
        self.clicks += clicks
        self.impressions += impressions
        self.clicks_squared += clicks * clicks
        self.products += clicks * impressions
        self.impressions_squared += impressions * impressions
        self.most_impressions = max(self.most_impressions, impressions)

    @property
    def rate(self) -> Numbers:
        """Clicks / impressions; 0 where nothing was shown."""
        return self.clicks / np.maximum(self.impressions, 1)

    @property
    def variance(self) -> Numbers:
        """V = Σ (c − rn)² over users, divided by the square of 1 − `largest_share`."""
        rate = self.rate
        squares = (
            self.clicks_squared - 2 * rate * self.products + rate**2 * self.impressions_squared
        )
        return np.maximum(squares, 0.0) / np.maximum(1 - self.largest_share, 1e-6) ** 2

    @property
    def largest_share(self) -> Numbers:
        """The share of the impressions that one user has at most."""
        return self.most_impressions / np.maximum(self.impressions, 1)


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of a confidence sequence."""

    low: float
    high: float


def radius(variance: Numbers, alpha: float = ALPHA, rho: float = RHO) -> Numbers:
    """Half the width of the interval of a sum with a variance: √((V + ρ) log((V + ρ) / (ρα²))).

    Parameters
    ----------
    variance : float or array
        V.
    alpha : float
        Probability with which the sequence ever excludes the truth.
    rho : float
        ρ, of the same unit as V, fixed before the first look.
    """
    total = variance + rho
    return np.sqrt(total * np.log(total / (rho * alpha**2)))


def rate_interval(sums: ClickSums, alpha: float = ALPHA) -> Interval | None:
    """The interval of a click-through rate; None with too few users."""
    if sums.users < LEAST_USERS:
        return None
    half = float(radius(sums.variance, alpha)) / sums.impressions
    return Interval(max(0.0, float(sums.rate) - half), min(1.0, float(sums.rate) + half))


def difference_interval(
    variant: ClickSums, control: ClickSums, alpha: float = ALPHA
) -> Interval | None:
    """The interval of the difference of two rates, variant − control; None with too few users."""
    if min(variant.users, control.users) < LEAST_USERS:
        return None
    half = float(difference_radius(variant, control, alpha))
    difference = float(variant.rate - control.rate)
    return Interval(max(-1.0, difference - half), min(1.0, difference + half))


def difference_radius(variant: ClickSums, control: ClickSums, alpha: float = ALPHA) -> Numbers:
    """Half the width of the interval of the difference of two rates.

    The difference, times M = 1 / (1/N₁ + 1/N₀), is a sum over the users of both variants with the
    variance V = M² (V₁/N₁² + V₀/N₀²).
    """
    n_1, n_0 = np.maximum(variant.impressions, 1.0), np.maximum(control.impressions, 1.0)
    scale = 1 / (1 / n_1 + 1 / n_0)
    variance = scale**2 * (variant.variance / n_1**2 + control.variance / n_0**2)
    return radius(variance, alpha) / scale
