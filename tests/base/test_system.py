"""The inverse is checked, and done again in float64 where float32 is not enough."""

from __future__ import annotations

import numpy as np
import pytest

from shoal.base.system import TOLERANCE, System
from shoal.data.interactions import Interactions
from shoal.errors import ModelError
from shoal.models.ease import EASE
from shoal.run import Run
from shoal.testing import from_dense


def twins(n_users: int = 3000, n_items: int = 12) -> Interactions:
    """Pairs of items with all but the same users: all but singular."""
    rng = np.random.default_rng(0)
    X = (rng.random((n_users, n_items)) < 0.5).astype(float)
    X[:, 1::2] = X[:, ::2]
    X[0, 1::2] = 1 - X[0, ::2]  # one user tells them apart
    return from_dense(X)


def test_the_residual_is_that_of_numpy() -> None:
    rng = np.random.default_rng(1)
    log = from_dense((rng.random((200, 40)) < 0.3).astype(float))
    system = System.of("x", log, l2=3, dropout=0.25, beta=0.5)
    P, residual = system.inverse(Run())
    X = log.matrix.toarray().astype(float)
    w = system.user_weights.astype(float)
    np.testing.assert_allclose(w, X.sum(axis=1) ** -0.5, rtol=1e-6)
    A = X.T @ np.diag(w) @ X + np.diag(3 + X.sum(axis=0) / 3)
    whole = np.triu(P).astype(float) + np.triu(P, 1).T
    v = np.random.default_rng(0).choice([-1.0, 1.0], 40)
    assert residual == pytest.approx(np.abs(A @ (whole @ v) - v).max(), rel=0.01)
    assert residual < 1e-5


def test_a_tiny_ridge_falls_back_to_float64_and_stays_right() -> None:
    log, l2 = twins(), 1e-4
    X = log.matrix.toarray().astype(float)
    exact = np.linalg.inv(X.T @ X + l2 * np.eye(log.n_items))
    B = -exact / exact.diagonal()
    np.fill_diagonal(B, 0)
    system = System.of("x", log, l2=l2, dropout=0, beta=0)
    single = system._attempt(Run(), np.float32)
    assert single is None or single[1] > 1e-3  # float32 alone is not enough here
    model = EASE(l2=l2).fit(log)
    assert model.facts["residual"] < TOLERANCE
    np.testing.assert_allclose(model.weights, B, rtol=1e-3, atol=1e-5)


def test_without_room_for_float64_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    log = from_dense((rng.random((100, 300)) < 0.03).astype(float))
    need = EASE().bytes_to_fit(log.size)
    EASE(l2=1).fit(log, run=Run(memory=need))
    monkeypatch.setattr("shoal.base.system.TOLERANCE", 0.0)  # nothing is good enough
    with pytest.raises(ModelError, match=r"float64 needs 1\.1 MB of .*Raise l2"):
        EASE(l2=1).fit(log, run=Run(memory=need))
