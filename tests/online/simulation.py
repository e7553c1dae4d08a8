"""Many invented experiments at once, looked at again and again while users come and come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.online.sequence import ClickSums

Array = NDArray[Any]


@dataclass
class Experiments:
    """`n` experiments with two variants, the second of which may be better by `lift`.

    Each user has an own click rate, from a Beta distribution, and an own activity, so that some
    come back often and some never; more active users may click more. The lists of one user are
    dependent through his rate.

    Parameters
    ----------
    n : int
        Experiments.
    n_users : int
        People in each of them, half of whom on average are in each variant.
    rng : Generator
    lift : float
        By how much the click rates of the second variant's users are greater.
    rate : float
        Mean click rate.
    spread : float
        Sum of the parameters of the Beta distribution; the smaller, the more users differ.
    activity : {"lognormal", "pareto", "heavy"}
        "heavy": without a mean, so that a few users have a large part of all lists.
    longest : int
        Items of a list at most.
    """

    n: int
    n_users: int
    rng: np.random.Generator
    lift: float = 0.0
    rate: float = 0.08
    spread: float = 8.0
    activity: str = "lognormal"
    longest: int = 6
    sums: tuple[ClickSums, ClickSums] = field(init=False)

    def __post_init__(self) -> None:
        shape, rng = (self.n, self.n_users), self.rng
        drawn = {
            "lognormal": lambda: rng.lognormal(0, 1.2, shape),
            "pareto": lambda: rng.pareto(1.5, shape) + 0.05,
            "heavy": lambda: rng.pareto(0.8, shape) + 0.05,
        }[self.activity]()
        self._ends = np.cumsum(drawn / drawn.sum(axis=1, keepdims=True), axis=1)
        self._in_second = rng.random(shape) < 0.5
        rates = rng.beta(self.rate * self.spread, (1 - self.rate) * self.spread, shape)
        self._rates = np.clip(rates + self.lift * self._in_second, 0, 1)
        self._clicks, self._impressions = np.zeros(shape), np.zeros(shape)
        first, second = (
            ClickSums(*(np.zeros(self.n) for _ in range(7)))  # an array for each field
            for _ in range(2)
        )
        self.sums = (first, second)

    def show_a_list(self) -> None:
        """Show one list to one user of each experiment."""
        rows = np.arange(self.n)
        drawn = self.rng.random((self.n, 1))
        users = np.minimum((self._ends < drawn).sum(axis=1), self.n_users - 1)
        shown = self.rng.integers(1, self.longest + 1, self.n)
        clicked = self.rng.binomial(shown, self._rates[rows, users])
        before = (self._clicks[rows, users], self._impressions[rows, users])
        after = (before[0] + clicked, before[1] + shown)
        self._clicks[rows, users], self._impressions[rows, users] = after
        in_second = self._in_second[rows, users]
        for sums, here in zip(self.sums, (~in_second, in_second), strict=True):
            _replace_user(sums, before, after, here)


def _replace_user(
    sums: ClickSums, before: tuple[Array, Array], after: tuple[Array, Array], here: Array
) -> None:
    """Count users with their clicks and impressions in place of what they had before."""
    (c_0, n_0), (c, n) = before, after
    sums.users += here * (n_0 == 0)
    sums.clicks += here * (c - c_0)
    sums.impressions += here * (n - n_0)
    sums.clicks_squared += here * (c**2 - c_0**2)
    sums.products += here * (c * n - c_0 * n_0)
    sums.impressions_squared += here * (n**2 - n_0**2)
    sums.most_impressions = np.maximum(sums.most_impressions, here * n)
