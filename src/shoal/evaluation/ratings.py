"""`evaluate_ratings`: how far predicted ratings are from held-out ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from shoal.base.fitted_ratings import check_ratings
from shoal.base.rating import as_rater
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.evaluation.evaluate import Score
from shoal.kernels.arrays import Double, Long
from shoal.kernels.threads import use_threads
from shoal.run import Run
from shoal.splitting.ratings import RatingSplit

DEFINITIONS = {
    "rmse": "√ mean of (r − r̂)² over all held-out ratings",
    "mae": "mean of |r − r̂| over all held-out ratings",
    "rmse_per_user": "mean over users of √ mean of (r − r̂)² over the user's held-out ratings",
}


@dataclass(frozen=True)
class RatingEvaluation:
    """The result of `evaluate_ratings`.

    Parameters
    ----------
    model : str
        Name of the model.
    parameters : dict
        Hyper-parameters of the model.
    protocol : str
        Description of the split.
    scores : dict of str to Score
        ``rmse``, ``mae``, ``rmse_per_user``, in units of the ratings. Standard errors take the
        ratings of one user as one draw, since they are not independent.
    per_user : dict of str to (n_users,) float64
        Values of ``rmse_per_user``, for paired tests.
    users : Ids
        Users with a held-out rating, in the order of these values.
    n_ratings : int
        Number of held-out ratings.
    cold_users, cold_items : int
        Number of held-out ratings whose user, or whose item, has no training rating. The model
        predicts them as its hyper-parameter `cold` says.
    seconds : float
        Time that the predictions took.
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
        """Give the result as plain data for JSON, without the values per user."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "protocol": self.protocol,
            "users": len(self.users),
            "ratings": self.n_ratings,
            "ratings_of_cold_users": self.cold_users,
            "ratings_of_cold_items": self.cold_items,
            "metrics": {
                name: {"mean": s.mean, "se": s.se, "users": s.n_users}
                for name, s in self.scores.items()
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
        A model that predicts ratings, fitted on ``split.train``.
    split : RatingSplit
        From `shoal.split_ratings` or `shoal.split_given_ratings`.
    run : Run, optional
        Threads.
    part : {"test", "validation"}
        Which held-out ratings to predict.

    Returns
    -------
    RatingEvaluation

    Raises
    ------
    ModelError
        The model ranks and predicts no ratings.
    DataError
        The model was fitted on other users or items, or there is no such part.
    """
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
    scores, rmse_per_user = _scores(errors, held_out)
    return RatingEvaluation(
        model.name,
        model.model_dump(),
        split.name if part == "test" else f"{split.name}, validation",
        scores,
        {"rmse_per_user": rmse_per_user},
        held_out.users.subset(_users_with_ratings(held_out)),
        len(held_out),
        int((~rater.known.users[users]).sum()),
        int((~rater.known.items[items]).sum()),
        seconds,
    )


def _users_with_ratings(held_out: Interactions) -> Long:
    """The rows of the users with at least one held-out rating."""
    return np.flatnonzero(np.diff(held_out.indptr))


def _scores(errors: Double, held_out: Interactions) -> tuple[dict[str, Score], Double]:
    """The metrics of the errors of held-out ratings, and the RMSE of each user with ratings."""
    users = _users_with_ratings(held_out)
    counts = np.diff(held_out.indptr)[users]
    n = len(users)

    def sum_per_user(values: Double) -> Double:
        return np.add.reduceat(values, held_out.indptr[users])

    squares = sum_per_user(errors**2)
    square, square_se = _mean(squares, counts)
    absolute, absolute_se = _mean(sum_per_user(np.abs(errors)), counts)
    rmse = float(np.sqrt(square))
    # d√x = dx / 2√x
    rmse_se = square_se / (2 * rmse) if square_se is not None and rmse > 0 else None
    rmse_per_user = np.sqrt(squares / counts)
    per_user_se = float(rmse_per_user.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    scores = {
        "rmse": Score(rmse, rmse_se, n),
        "mae": Score(absolute, absolute_se, n),
        "rmse_per_user": Score(float(rmse_per_user.mean()), per_user_se, n),
    }
    return scores, rmse_per_user


def _mean(sums: Double, counts: Long) -> tuple[float, float | None]:
    """Σ sums / Σ counts with its standard error, a user as one draw (ratio estimator)."""
    mean = float(sums.sum() / counts.sum())
    n = len(sums)
    if n < 2:
        return mean, None
    residuals = sums - mean * counts
    return mean, float(np.sqrt(n / (n - 1) * (residuals**2).sum()) / counts.sum())
