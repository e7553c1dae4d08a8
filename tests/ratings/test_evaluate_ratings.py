"""RMSE and MAE against scikit-learn, their errors against a bootstrap, and cold pairs counted."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from shoal.data.read import read
from shoal.errors import DataError, ModelError
from shoal.evaluation.ratings import RatingEvaluation, evaluate_ratings
from shoal.models.autorec import IAutoRec
from shoal.models.ease import EASE
from shoal.run import Run
from shoal.splitting.ratings import RatingSplit, split_ratings
from shoal.testing.contract import from_dense


def toy(seed: int = 0) -> RatingSplit:
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 6, (40, 30)) * (rng.random((40, 30)) < 0.4)
    return split_ratings(from_dense(dense), seed=seed, test=0.3)


def fitted(split: RatingSplit) -> IAutoRec:
    return IAutoRec(factors=4, l2=0.1, n_epochs=15).fit(split.train, run=Run(threads=1))


@pytest.fixture(scope="module")
def found() -> tuple[RatingSplit, IAutoRec, RatingEvaluation]:
    split = toy()
    model = fitted(split)
    return split, model, evaluate_ratings(model, split)


def test_ratings_of_zero_and_below_are_learned() -> None:
    """Each user rates all items alike, from -5 to 5, but for a little noise."""
    rng = np.random.default_rng(0)
    taste = np.repeat([-5.0, -2.5, 0.0, 2.5, 5.0], 12)
    users, items = np.nonzero(rng.random((60, 20)) < 0.7)
    ratings = taste[users] + rng.normal(0, 0.3, len(users)).round(1)
    ratings[taste[users] == 0] = 0  # exactly zero, and ratings all the same
    rows = pl.DataFrame({"user": users, "item": items, "rating": ratings})
    split = split_ratings(read(rows, values="keep"), seed=0)
    model = IAutoRec(factors=4, l2=0.1, n_epochs=60).fit(split.train, run=Run(threads=1))
    measured = evaluate_ratings(model, split)
    assert split.test.values is not None
    assert (split.test.values == 0).any()
    assert measured.n_ratings == len(split.test)
    # the standard deviation of the tastes is 3.5; half of it is far from what a constant reaches
    assert measured.scores["rmse"].mean < 1.8
    with pytest.raises(DataError, match="models that rank need weights above 0"):
        EASE().fit(split.train)


def test_the_metrics_are_those_of_scikit_learn(
    found: tuple[RatingSplit, IAutoRec, RatingEvaluation],
) -> None:
    split, model, measured = found
    truth, users = split.test.values, split.test.user_codes
    predicted = model.rate(users, split.test.indices)
    assert measured["rmse"] == pytest.approx(root_mean_squared_error(truth, predicted))
    assert measured["mae"] == pytest.approx(mean_absolute_error(truth, predicted))
    singly = [
        root_mean_squared_error(truth[users == u], predicted[users == u]) for u in np.unique(users)
    ]
    assert measured["rmse_per_user"] == pytest.approx(np.mean(singly))
    assert measured["rmse_per_user"] != pytest.approx(measured["rmse"], rel=1e-3)
    np.testing.assert_allclose(measured.per_user["rmse_per_user"], singly)
    expected = np.std(singly, ddof=1) / np.sqrt(len(singly))
    assert measured.scores["rmse_per_user"].se == pytest.approx(expected)
    assert measured.n_ratings == len(split.test)


def test_standard_errors_are_those_of_drawing_users_again(
    found: tuple[RatingSplit, IAutoRec, RatingEvaluation],
) -> None:
    split, model, measured = found
    users = split.test.user_codes
    errors = model.rate(users, split.test.indices).astype(float) - split.test.values
    rng = np.random.default_rng(0)
    of_user = [errors[users == u] for u in np.unique(users)]
    draws = [
        np.concatenate([of_user[at] for at in rng.integers(0, len(of_user), len(of_user))])
        for _ in range(2_000)
    ]
    for name, metric in (
        ("rmse", lambda e: np.sqrt(np.mean(e**2))),
        ("mae", lambda e: np.mean(np.abs(e))),
    ):
        expected = np.std([metric(e) for e in draws])
        assert measured.scores[name].se == pytest.approx(expected, rel=0.1)


def test_cold_pairs_are_counted_and_get_the_default() -> None:
    dense = np.array([[5, 1, 4, 0], [4, 2, 0, 0], [5, 1, 5, 0], [0, 0, 0, 0]])
    train = from_dense(dense)
    held_out = np.zeros_like(dense)
    held_out[3, 0], held_out[0, 3], held_out[3, 3], held_out[1, 2] = 4, 2, 1, 5
    split = RatingSplit(train, None, from_dense(held_out), "by hand")
    mean = dense[dense > 0].mean()
    for cold, default in ((None, mean), (3.0, 3.0)):
        model = IAutoRec(factors=2, l2=0.1, n_epochs=5, cold=cold).fit(train)
        measured = evaluate_ratings(model, split)
        assert (measured.cold_users, measured.cold_items) == (2, 2)
        at = np.array([3, 0, 3, 1]), np.array([0, 3, 3, 2])
        np.testing.assert_allclose(model.rate(*at)[:3], default, rtol=1e-6)
        assert 1 <= model.rate(*at)[3] <= 5
        predicted = model.rate(*at).astype(float)
        expected = np.sqrt(np.mean((predicted - [4, 2, 1, 5]) ** 2))
        assert measured["rmse"] == pytest.approx(expected)


def test_the_result_says_where_it_comes_from(
    found: tuple[RatingSplit, IAutoRec, RatingEvaluation],
) -> None:
    split, _, measured = found
    plain = json.loads(json.dumps(measured.to_dict(), allow_nan=False))
    assert plain["model"] == "i-autorec"
    assert plain["protocol"] == "random 30% of the ratings, seed 0"
    assert plain["ratings"] == len(split.test)
    assert plain["metrics"]["rmse"]["mean"] == measured["rmse"]
    assert f"{measured['rmse']:.4f} ± " in str(measured)


def test_what_cannot_be_evaluated_is_refused() -> None:
    split = toy()
    with pytest.raises(ModelError, match="ease ranks items"):
        evaluate_ratings(EASE().fit(split.train), split)
    with pytest.raises(DataError, match="other users or items"):
        evaluate_ratings(
            fitted(RatingSplit(from_dense([[5, 1], [3, 2]]), None, split.test, "")), split
        )
    without = split_ratings(split.train, validation=0)
    with pytest.raises(DataError, match="no validation part"):
        evaluate_ratings(fitted(without), without, part="validation")
