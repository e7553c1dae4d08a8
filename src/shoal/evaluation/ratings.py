"""`evaluate_ratings`: how far predicted ratings are from held-out ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from shoal.base.rating import as_rater, check_ratings
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.errors import DataError
from shoal.evaluation.evaluate import Score
from shoal.kernels.arrays import Double, Long
from shoal.run import Run
from shoal.splitting.ratings import RatingSplit

DEFINITIONS = {
    "rmse": "√ mean of (r − r̂)² over all held-out ratings",
    "mae": "mean of |r − r̂| over all held-out ratings",
    "rmse_per_user": "mean over users of √ mean of (r − r̂)² over the user's held-out ratings",
}


@dataclass(frozen=True)
class RatingEvaluation:
    """What `evaluate_ratings` found.

    Parameters
    ----------
    model : str
    parameters : dict
        Hyper-parameters.
    protocol : str
        Which split, in words.
    scores : dict of str to Score
        ``rmse``, ``mae``, ``rmse_per_user``, in units of the ratings. Standard errors take the
        ratings of one user as one draw, since they are not independent.
    per_user : dict of str to (n_users,) float64
        ``rmse_per_user``, for paired tests.
    users : Ids
        Those with a held-out rating.
    n_ratings : int
        Held-out ratings.
    cold_users, cold_items : int
        How many of these have a user, an item without training rating; both count as predicted,
        by the model's `cold`.
    seconds : float
    """

    model: str
    parameters: dict[str, Any]
    protocol: str
    scores: dict[str, Score]
    per_user: dict[str, Double] = field(repr=False)
    users: Ids = field(repr=False)
    n_ratings: int
    cold_users: int
    cold_items: int
    seconds: float

    def __getitem__(self, metric: str) -> float:
        return self.scores[metric].mean

    def __str__(self) -> str:
        width = max(map(len, self.scores))
        lines = [f"{self.model} on {self.protocol} ({self.n_ratings:,} ratings)"]
        lines += [f"  {name:<{width}}  {score}" for name, score in self.scores.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON (without the values per user)."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "protocol": self.protocol,
            "users": len(self.users),
            "ratings": self.n_ratings,
            "ratings_of_cold_users": self.cold_users,
            "ratings_of_cold_items": self.cold_items,
            "metrics": {
                n: {"mean": s.mean, "se": s.se, "users": s.n_users} for n, s in self.scores.items()
            },
            "seconds": round(self.seconds, 3),
        }


def evaluate_ratings(
    model: Recommender,
    split: RatingSplit,
    run: Run | None = None,
    *,
    part: Literal["test", "validation"] = "test",
) -> RatingEvaluation:
    """Predict held-out ratings and measure the errors.

    Parameters
    ----------
    model : Recommender
        One that rates, fitted on ``split.train``.
    split : RatingSplit
    run : Run, optional
        Threads.
    part : {"test", "validation"}

    Returns
    -------
    RatingEvaluation

    Raises
    ------
    ModelError
        The model ranks.
    DataError
        The model was fitted on other users or items, or there is no such part.
    """
    from shoal.kernels.threads import use_threads

    rater, held_out = as_rater(model), split.test if part == "test" else split.validation
    if held_out is None:
        raise DataError("the split has no validation part: split with validation > 0")
    if rater.users != split.train.users or rater.items != split.train.items:
        raise DataError(
            f"{model.name} was fitted on other users or items than this split holds: fit it on "
            "split.train"
        )
    check_ratings(model.name, held_out, split.train)
    assert held_out.values is not None
    began = time.perf_counter()
    users, items = held_out.user_codes, held_out.indices
    with use_threads((run or Run()).threads):
        predicted = rater.rate(users, items)
    seconds = time.perf_counter() - began
    errors = predicted.astype(np.float64) - held_out.values
    counts = np.diff(held_out.indptr)
    there = np.flatnonzero(counts)

    def per_user(values: Double) -> Double:
        return np.add.reduceat(values, held_out.indptr[there])

    counts = counts[there]
    square, square_se = _mean(per_user(errors**2), counts)
    absolute, absolute_se = _mean(per_user(np.abs(errors)), counts)
    rmse = float(np.sqrt(square))
    # d√x = dx / 2√x
    rmse_se = square_se / (2 * rmse) if square_se is not None and rmse > 0 else None
    of_users = np.sqrt(per_user(errors**2) / counts)
    n = len(there)
    users_se = float(of_users.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return RatingEvaluation(
        model.name,
        model.model_dump(),
        split.name if part == "test" else f"{split.name}, validation",
        {
            "rmse": Score(rmse, rmse_se, n),
            "mae": Score(absolute, absolute_se, n),
            "rmse_per_user": Score(float(of_users.mean()), users_se, n),
        },
        {"rmse_per_user": of_users},
        held_out.users.subset(there),
        len(held_out),
        int((~rater.known.users[users]).sum()),
        int((~rater.known.items[items]).sum()),
        seconds,
    )


def _mean(sums: Double, counts: Long) -> tuple[float, float | None]:
    """Σ sums / Σ counts with its standard error, a user as one draw (ratio estimator)."""
    mean = float(sums.sum() / counts.sum())
    n = len(sums)
    if n < 2:
        return mean, None
    rest = sums - mean * counts
    return mean, float(np.sqrt(n / (n - 1) * (rest**2).sum()) / counts.sum())
