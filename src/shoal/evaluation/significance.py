"""Whether one model is better than another on the same users: paired tests, with a correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from shoal.errors import DataError
from shoal.evaluation.evaluate import Evaluation
from shoal.kernels.arrays import Double


@dataclass(frozen=True)
class Paired:
    """The difference of two models on the same users.

    Parameters
    ----------
    difference : float
        Mean of a − b over users.
    low, high : float
        Ends of the 95 % confidence interval of the difference (Student's t).
    p : float
        Two-sided p-value of the paired t-test; 1 where the two never differ.
    n_users : int
        Number of users that the metric counts.
    """

    difference: float
    low: float
    high: float
    p: float
    n_users: int

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval: of one user there is none, and its ends are infinite."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, which has no infinity."""
        return {
            "difference": self.difference,
            "ci95": [self.low, self.high] if self.has_interval else None,
            "p": self.p,
            "users": self.n_users,
        }


def paired(a: Evaluation, b: Evaluation, metric: str) -> Paired:
    """Compare two evaluations on the same held-out users.

    Raises
    ------
    DataError
        The evaluations are of different users, or lack the metric.
    """
    if a.users != b.users:
        raise DataError(f"{a.model} and {b.model} were evaluated on different users")
    if metric not in a.per_user or metric not in b.per_user:
        raise DataError(f"no values per user of {metric!r} in both evaluations")
    return of_differences(a.per_user[metric] - b.per_user[metric])


def of_differences(differences: Double) -> Paired:
    """Test whether the mean of the differences of users could be 0 by chance.

    Parameters
    ----------
    differences : (n_users,) float64
        a − b of each user; NaN for users that the metric does not count.
    """
    d = differences[~np.isnan(differences)]
    mean = float(d.mean()) if d.size else 0.0
    if d.size < 2:  # one user tells nothing of the others
        return Paired(mean, -np.inf, np.inf, 1.0, d.size)
    se = float(d.std(ddof=1) / np.sqrt(d.size))
    if se <= 1e-12 * abs(mean):  # the same difference for everyone, up to rounding
        return Paired(mean, mean, mean, 0.0 if mean else 1.0, d.size)
    half = float(stats.t.ppf(0.975, d.size - 1)) * se
    p = 2 * float(stats.t.sf(abs(mean) / se, d.size - 1))
    return Paired(mean, mean - half, mean + half, p, d.size)


def holm(p_values: list[float]) -> list[float]:
    """Correct p-values of several comparisons by Holm's step-down method; the order is kept."""
    order = np.argsort(p_values)
    adjusted, worst = [0.0] * len(p_values), 0.0
    for step, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - step) * p_values[i]))
        adjusted[i] = worst
    return adjusted
