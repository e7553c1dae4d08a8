"""Spectral EASE against EASE, the equation that it stands for, and its orientation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import shoal
from shoal.data.interactions import CSR
from shoal.errors import ModelError
from shoal.inference.recommend import recommend
from shoal.models.ease import EASE
from shoal.models.spectral import SpectralEASE
from shoal.run import Run
from shoal.testing import from_dense

Matrix = NDArray[np.float64]
ONE = Run(threads=1)


def table(*, valued: bool) -> Matrix:
    """70 users, 40 items of falling popularity, one of them empty."""
    rng = np.random.default_rng(3)
    dense = (rng.random((70, 40)) < np.linspace(0.6, 0.05, 40)).astype(float)
    dense[:, 11] = 0
    return dense * rng.uniform(0.5, 3, dense.shape).astype(np.float32) if valued else dense


def weights(model: Any) -> Matrix:
    """B, from what the model answers to single items."""
    n = model.n_items
    B: Matrix = model.score(CSR(np.eye(n, dtype=np.float32)))
    return B.astype(np.float64)


def by_inversion(X: Matrix, k: int, l2: float, gamma: float, beta: float) -> Matrix:
    """B = I − P/diag(P) with P inverted as it stands, and G cut to k eigenvalues of Λ^−½GΛ^−½."""
    counts = np.maximum((X > 0).sum(axis=0), 1.0)
    ridge = l2 * (counts / counts.mean()) ** gamma
    lengths = np.maximum((X > 0).sum(axis=1), 1.0)
    G = X.T @ np.diag(lengths**-beta / (lengths**-beta).mean()) @ X
    root = np.sqrt(ridge)
    values, V = np.linalg.eigh(G / np.outer(root, root))
    cut = (V[:, -k:] * values[-k:]) @ V[:, -k:].T * np.outer(root, root)
    P = np.linalg.inv(np.diag(ridge) + cut)
    return np.eye(len(G)) - P / np.diag(P)


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_with_all_singular_values_and_an_even_ridge_it_is_ease(beta: float, valued: bool) -> None:
    """EASE's weights of users have no mean of 1, so its λ is another."""
    log = from_dense(table(valued=valued))
    mean = (np.maximum(np.diff(log.indptr), 1.0) ** -beta).mean()
    ease = EASE(l2=20 * mean, beta=beta).fit(log, run=ONE)
    model = SpectralEASE(factors=40, l2=20, gamma=0, beta=beta).fit(log, run=ONE)
    np.testing.assert_allclose(weights(model), ease.weights, atol=1e-5)


@pytest.mark.parametrize(
    ("k", "gamma", "beta"), [(5, 0.0, 0.0), (5, 0.5, 0.0), (12, 1.0, 0.4), (40, 0.7, 1.0)]
)
def test_it_is_the_inverse_of_what_is_kept(k: int, gamma: float, beta: float) -> None:
    X = table(valued=True)
    model = SpectralEASE(factors=k, l2=10, gamma=gamma, beta=beta)
    expected = by_inversion(X, k, 10, gamma, beta)
    found = weights(model.fit(from_dense(X), run=ONE))
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
    assert np.abs(np.diag(found)).max() < 1e-5


def test_each_candidate_is_regressed_on_the_others_by_hand() -> None:
    """Users {a,b}, {a,c}, {c}×4 and λ = 1, so G + λI = [[3,1,1], [1,2,0], [1,0,6]].

    b on a and c: [[3,1], [1,6]]·w = (1,0), w = (6,−1)/17. c on a and b: [[3,1], [1,2]]·w = (1,0),
    w = (2,−1)/5. a on b and c: w = (1/2, 1/6). So a speaks for c (2/5) more than for b (6/17);
    the transpose would have it the other way round (1/6 and 1/2).
    """
    X = np.array([[1, 1, 0], [1, 0, 1]] + [[0, 0, 1]] * 4, float)
    model = SpectralEASE(factors=3, l2=1, gamma=0, beta=0)
    model.fit(from_dense(X, items=list("abc")), run=ONE)
    expected = [[0, 6 / 17, 2 / 5], [1 / 2, 0, -1 / 5], [1 / 6, -1 / 17, 0]]
    np.testing.assert_allclose(weights(model), expected, atol=1e-6)
    assert recommend(model, ["a"], 2).items == ["c", "b"]


def test_memory_is_that_of_the_factors() -> None:
    """n × k weights and two vectors."""
    X = (np.random.default_rng(0).random((50, 400)) < 0.1).astype(float)
    model = SpectralEASE(factors=8).fit(from_dense(X), run=ONE)
    assert {n: a.shape for n, a in model.state().items()} == {
        "vectors": (400, 8), "into": (400,), "own": (400,),
    }  # fmt: skip


def test_full_rank_on_real_data_is_ease(shoal_data: Callable[[str], Path]) -> None:
    log = shoal.read(shoal_data("ml-100k") / "interactions.parquet", min_value=4, min_item_users=5)
    ease = EASE(l2=200).fit(log)
    model = SpectralEASE(factors=log.n_items, l2=200, gamma=0, beta=0).fit(log)
    np.testing.assert_allclose(
        model.score(log.matrix), ease.score(log.matrix), atol=1e-4, rtol=1e-4
    )


def test_more_factors_than_items_are_a_mistake_if_somebody_asked_for_them() -> None:
    log = from_dense(table(valued=False))
    for asked in (SpectralEASE(factors=41), shoal.ELSA(factors=41)):
        with pytest.raises(ModelError, match="factors=41, but the log has 40 items"):
            asked.fit(log)
    assert SpectralEASE(factors=40).fit(log).vectors().shape == (40, 40)
    # the default means "no more than": here no more than there are singular values
    few = log.take_users(np.arange(30))
    assert SpectralEASE().fit(few).vectors().shape == (40, 30)


def test_tuning_on_a_small_catalogue_draws_no_more_factors_than_items() -> None:
    parts = shoal.split(from_dense(np.tile(table(valued=False), (2, 1))), "strong", seed=0)
    found = shoal.tune("spectral-ease", parts.train, parts.validation, trials=4, metric="ndcg@10")
    assert {t.settings["factors"] for t in found.trials[1:]} == {parts.train.n_items}


def test_users_that_are_fewer_than_factors_lose_nothing() -> None:
    """The rank is that of X: weights are those of all factors."""
    few = from_dense(table(valued=False)[:30])
    model = SpectralEASE(factors=40, l2=20).fit(few)
    wanted = by_inversion(table(valued=False)[:30], 40, 20, model.gamma, model.beta)
    np.testing.assert_allclose(weights(model), wanted, atol=2e-5)
