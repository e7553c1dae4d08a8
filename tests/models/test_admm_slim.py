"""ADMM-SLIM against EASE, scikit-learn's Lasso and SLIM: the same problems by other means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import Lasso

from shoal.inference.recommend import recommend
from shoal.models.admm_slim import ADMMSLIM
from shoal.models.ease import EASE
from shoal.models.slim import SLIM
from shoal.run import Run
from shoal.testing import from_dense

Matrix = NDArray[np.float64]


def table(*, valued: bool) -> Matrix:
    """Two tastes, items of very different popularity, and one that nobody has."""
    rng = np.random.default_rng(3)
    side = rng.random((90, 1)) < np.where(np.arange(25) % 2, 0.8, 0.2)
    dense = (side & (rng.random((90, 25)) < np.linspace(0.9, 0.05, 25))).astype(float)
    dense[:, 11] = 0
    return dense * rng.uniform(0.5, 3, dense.shape).astype(np.float32) if valued else dense


def fitted(X: Matrix, threads: int = 1, **settings: Any) -> ADMMSLIM:
    to_the_end = {"rho": 50.0, "tolerance": 1e-7, "max_iter": 3000}
    return ADMMSLIM(**{**to_the_end, **settings}).fit(from_dense(X), run=Run(threads=threads))


def dense(model: ADMMSLIM | SLIM) -> Matrix:
    B = model.weights
    return np.asarray(B.toarray() if sp.issparse(B) else B, np.float64)


def lasso(X: Matrix, l1: float, ridge: Matrix, *, positive: bool) -> Matrix:
    """Scikit-learn's solution, column by column; the ridge is n more users, √Λ_j of item j each."""
    m, n = X.shape
    longer = np.vstack([X, np.diag(np.sqrt(ridge))])
    B = np.zeros((n, n))
    for j in range(n):
        others = [k for k in range(n) if k != j and X[:, k].any()]
        y = np.concatenate([X[:, j], np.zeros(n)])
        net = Lasso(
            l1 / (m + n), positive=positive, fit_intercept=False, tol=1e-12, max_iter=200_000
        )
        B[others, j] = net.fit(longer[:, others], y).coef_
    return B


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize("l2", [5.0, 100.0])
def test_without_penalty_and_sign_it_is_ease(l2: float, valued: bool) -> None:
    X = table(valued=valued)
    model = fitted(X, l1=0, l2=l2, alpha=0, nonnegative=False)
    expected = EASE(l2=l2).fit(from_dense(X)).weights
    np.testing.assert_allclose(dense(model), expected, atol=1e-4 * np.abs(expected).max())
    assert isinstance(model.weights, np.ndarray)  # not sparse, and not kept as if it were


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(("l1", "l2", "alpha"), [(2.0, 10.0, 0.0), (5.0, 60.0, 0.5), (1.0, 40, 1)])
def test_it_is_the_lasso_of_each_column(l1: float, l2: float, alpha: float, positive: bool) -> None:
    X = table(valued=True)
    model = fitted(X, l1=l1, l2=l2, alpha=alpha, nonnegative=positive)
    expected = lasso(X, l1, l2 * X.mean(axis=0) ** alpha, positive=positive)
    np.testing.assert_allclose(dense(model), expected, atol=1e-4)
    assert (expected != 0).sum() > 30
    assert (expected < 0).any() != positive
    assert not dense(model).diagonal().any()


def test_it_finds_what_slim_finds() -> None:
    X = table(valued=False)
    slim = SLIM(l1=3, l2=20, tolerance=1e-12).fit(from_dense(X))
    model = fitted(X, l1=3, l2=20, alpha=0)
    np.testing.assert_allclose(dense(model), dense(slim), atol=1e-4)
    assert sp.issparse(model.weights)
    B, C = dense(model), dense(slim)
    value = [((X - X @ W) ** 2).sum() / 2 + 10 * (W**2).sum() + 3 * W.sum() for W in (B, C)]
    assert value[0] == pytest.approx(value[1], rel=1e-6)


def test_rho_decides_the_way_and_not_the_end() -> None:
    X = table(valued=False)
    one, other = (fitted(X, l1=3, l2=20, rho=rho) for rho in (20.0, 200.0))
    assert one.facts["iterations"] != other.facts["iterations"]
    np.testing.assert_allclose(dense(one), dense(other), atol=1e-4)


def test_it_stops_when_the_residuals_are_small_or_at_the_cap() -> None:
    X = table(valued=False)
    loose, tight = (fitted(X, tolerance=t).facts for t in (1e-2, 1e-5))
    assert 1 < loose["iterations"] < tight["iterations"] < 3000
    for facts, limit in ((loose, 1e-2), (tight, 1e-5)):
        assert max(facts["primal_residual"], facts["dual_residual"]) <= limit
    assert fitted(X, max_iter=3).facts["iterations"] == 3
    assert fitted(X, max_iter=3).facts["primal_residual"] > 1e-2


def test_the_residuals_are_those_of_the_iterates() -> None:
    """The formulas of the paper in numpy, for four iterations."""
    X, rho, l1, l2 = table(valued=True), 70.0, 2.0, 30.0
    G = X.T @ X
    P = np.linalg.inv(G + np.diag(l2 * X.mean(axis=0) ** 0.5 + rho))
    C, multipliers = np.zeros_like(G), np.zeros_like(G)
    for _ in range(4):
        B = P @ (G + rho * C - multipliers)
        B -= P * (B.diagonal() / P.diagonal())
        before, C = C, np.maximum(B + multipliers / rho - l1 / rho, 0)
        multipliers += rho * (B - C)
    model = fitted(X, l1=l1, l2=l2, rho=rho, max_iter=4)
    np.testing.assert_allclose(dense(model), C, atol=1e-5)
    norm = np.linalg.norm
    expected = norm(B - C) / max(norm(B), norm(C)), norm(C - before) / norm(C)
    found = model.facts["primal_residual"], model.facts["dual_residual"]
    assert found == pytest.approx(expected, rel=1e-3)


def test_threads_do_not_change_a_bit() -> None:
    X = table(valued=True)
    one, two = (dense(fitted(X, threads=t, max_iter=20)) for t in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_a_penalty_beyond_everything_leaves_nothing() -> None:
    B = fitted(table(valued=False), l1=1e6).weights
    assert sp.issparse(B)
    assert B.nnz == 0


def test_candidates_listen_to_their_own_neighbours() -> None:
    """The toy of SLIM's test: from a, b has 2.5/6 and c 1.5/6; transposed, c would win."""
    X = np.array([[1, 1, 0]] * 3 + [[1, 0, 1]] * 2 + [[0, 1, 0]] * 9, dtype=float)
    model = ADMMSLIM(l1=0.5, l2=1, alpha=0, rho=5, tolerance=1e-7, max_iter=3000)
    found = recommend(model.fit(from_dense(X, items=list("abc"))), ["a"], 2)
    assert found.items == ["b", "c"]
    assert [r.score for r in found] == pytest.approx([2.5 / 6, 1.5 / 6], rel=1e-4)
