"""L3AE against the problem that it solves, column by column, and its orientation."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from shoal.base.text_ease import text_ease
from shoal.errors import DataError, ModelError
from shoal.inference.recommend import recommend
from shoal.models.ease import EASE
from shoal.models.l3ae import L3AE
from shoal.models.rdlae import RDLAE
from shoal.run import Run
from shoal.testing import from_dense

from .vector_helpers import COLD, NEITHER, WITHOUT_TEXT, Matrix, ease, log_of, table, unit, vectors

ONE = Run(threads=1)
published = partial(L3AE, cold="log")


def fitted(model: L3AE, X: Matrix, V: Matrix) -> Matrix:
    B = np.asarray(model.fit(log_of(X, V), run=ONE).weights)
    assert B.dtype == np.float32
    return B.astype(np.float64)


def moments(X: Matrix, V: Matrix, model: L3AE) -> tuple[Matrix, Matrix]:
    """H and K of the columns' problems bᵀHb − 2bᵀk: the second moments of the log and the pull."""
    weights = np.maximum((X > 0).sum(axis=1), 1.0) ** -model.beta
    G = X.T @ (weights[:, None] * X)
    p = model.dropout
    F = unit(V) if model.normalise else V
    C = ease(F @ F.T, model.text_l2)
    dropped = p / (1 - p) * np.diag((X**2).sum(axis=0))
    return G + model.l2 * np.eye(len(G)) + dropped, G + model.text * C


@pytest.mark.parametrize(
    "settings",
    [
        {"l2": 5, "text": 8, "text_l2": 2},
        {"l2": 30, "text": 80, "text_l2": 0.3},  # λ_X = −50
        {"l2": 5, "text": 3, "text_l2": 1, "normalise": False},
        {"l2": 5, "text": 8, "text_l2": 2, "dropout": 0.4},
        {"l2": 5, "text": 8, "text_l2": 2, "beta": 0.5},
    ],
)
@pytest.mark.parametrize("valued", [False, True])
def test_each_column_solves_its_problem(settings: dict[str, Any], valued: bool) -> None:
    X, V, model = table(valued=valued), vectors(), published(**settings)
    H, K = moments(X, V, model)
    B = fitted(model, X, V)
    for j in range(len(B)):
        rest = np.arange(len(B)) != j
        expected = np.linalg.solve(H[np.ix_(rest, rest)], K[rest, j])
        np.testing.assert_allclose(B[rest, j], expected, atol=3e-6)
        assert B[j, j] == 0


@pytest.mark.parametrize("xi", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_a_bounded_diagonal_is_what_a_solver_finds(xi: float, p: float) -> None:
    X, V = table(), vectors()
    model = published(l2=6, text=9, text_l2=1, xi=xi, dropout=p)
    H, K = moments(X, V, model)
    B = fitted(model, X, V)
    assert (np.diag(B) <= xi + 1e-6).all()
    for j in range(len(B)):
        bounds = [(None, xi if i == j else None) for i in range(len(B))]
        found = optimize.minimize(
            lambda b, k: b @ H @ b - 2 * b @ k,
            np.zeros(len(B)),
            args=(K[:, j],),
            jac=lambda b, k: 2 * (H @ b - k),
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000},
        )
        np.testing.assert_allclose(B[:, j], found.x, atol=2e-5)


def test_the_bound_binds_some_items_and_not_others() -> None:
    diagonal = np.diag(fitted(published(l2=6, text=9, text_l2=1, xi=0.3), table(), vectors()))
    at_bound = diagonal > 0.3 - 1e-6
    assert at_bound.any()
    assert not at_bound.all()


@pytest.mark.parametrize("size", [1, 5, 40])
def test_one_inverse_gives_what_two_give(size: int) -> None:
    """The authors' form: P₁ = (FᵀF + λ_F I)⁻¹, P₂ = (G + λI)⁻¹; vectors of any size."""
    X, V, l2, pull, text_l2 = table(), vectors(size=size), 7.0, 11.0, 0.8
    F = unit(V).T
    P1 = np.linalg.inv(F.T @ F + text_l2 * np.eye(12))
    C = np.eye(12) - P1 / np.diag(P1)
    P2 = np.linalg.inv(X.T @ X + l2 * np.eye(12))
    PC = P2 @ C
    expected = pull * PC - P2 * ((1 + pull * np.diag(PC)) / np.diag(P2))
    np.fill_diagonal(expected, 0)
    B = fitted(published(l2=l2, text=pull, text_l2=text_l2), X, V)
    np.testing.assert_allclose(B, expected, atol=2e-6)


@pytest.mark.parametrize("size", [3, 30])
def test_ease_on_text_is_regression_of_each_vector_on_the_others(size: int) -> None:
    V = vectors(size=size).astype(np.float32)
    W, w = text_ease(V, 1.5, "x")
    C = V @ W.T - np.diag(w - 1)
    exact = V.astype(np.float64)
    np.testing.assert_allclose(C, ease(exact @ exact.T, 1.5), atol=3e-5)  # of w up to 40


def test_without_a_pull_it_is_ease_and_rdlae() -> None:
    X, V = table(), vectors()
    for settings in ({"l2": 5.0}, {"l2": 5.0, "alpha": 0.3, "beta": 0.4}):
        there = np.asarray(EASE(**settings).fit(from_dense(X), run=ONE).weights)
        np.testing.assert_allclose(fitted(published(text=0, **settings), X, V), there, atol=1e-6)
    settings = {"l2": 5.0, "xi": 0.3, "dropout": 0.2, "alpha": 0.3}
    there = np.asarray(RDLAE(**settings).fit(from_dense(X), run=ONE).weights)
    np.testing.assert_allclose(fitted(published(text=0, **settings), X, V), there, atol=1e-6)


def test_alpha_scales_rows_and_columns() -> None:
    X, V = table(), vectors()
    plain = fitted(published(l2=5, text=8, text_l2=2), X, V)
    c = np.maximum(X.sum(axis=0), 1) ** 0.4
    damped = fitted(published(l2=5, text=8, text_l2=2, alpha=0.4), X, V)
    np.testing.assert_allclose(damped, c[:, None] * plain / c, atol=3e-6)


def test_an_item_without_a_vector_is_an_item_of_ease_with_ridge() -> None:
    """No text: C has neither its row nor its column; nobody and no text: nothing at all."""
    X, V = table(), vectors()
    C = ease(unit(V) @ unit(V).T, 2.0)
    assert not C[WITHOUT_TEXT].any()
    assert not C[:, WITHOUT_TEXT].any()
    B = fitted(published(l2=5, text=8, text_l2=2), X, V)
    assert B[:, WITHOUT_TEXT].any()
    assert not B[:, NEITHER].any()
    assert not B[NEITHER].any()
    assert np.abs(B[:, COLD]).max() > 0.05  # what has a text is scored


def test_an_item_that_nobody_has_may_be_left_to_its_text() -> None:
    """λ_X‖b‖² + λ_E‖b − c‖² alone gives λ_E/λ·c; all other columns are as they were."""
    X, V = table(), vectors()
    settings = {"l2": 5.0, "text": 8.0, "text_l2": 2.0, "dropout": 0.2, "beta": 0.3}
    B, plain = (fitted(L3AE(**settings, cold=c), X, V) for c in ("text", "log"))
    C = ease(unit(V) @ unit(V).T, 2.0)
    np.testing.assert_allclose(B[:, COLD], 8 / 5 * C[:, COLD], atol=1e-6)
    rest = np.arange(12) != COLD
    np.testing.assert_array_equal(B[:, rest], plain[:, rest])
    assert np.abs(B[:, COLD] - plain[:, COLD]).max() > 0.1
    damped = fitted(L3AE(l2=5, text=8, text_l2=2, alpha=0.4), X, V)
    c = np.maximum(X.sum(axis=0), 1) ** 0.4
    np.testing.assert_allclose(damped[:, COLD], c * 8 / 5 * C[:, COLD], atol=2e-6)


def test_history_items_are_rows() -> None:
    """Users {a,b} ×2, {a}, {c}; d is new, and its text is that of c with a little of a.

    So who has c is recommended d, and who has a is recommended b, which goes with it.
    """
    X = np.array([[1, 1, 0, 0]] * 2 + [[1, 0, 0, 0], [0, 0, 1, 0]], dtype=float)
    V = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0, 1]])
    log = replace(from_dense(X, items=list("abcd")), item_vectors=V.astype(np.float32))
    model = L3AE(l2=1, text=2, text_l2=0.1).fit(log, run=ONE)
    assert recommend(model, ["c"], 1)[0].item == "d"
    assert recommend(model, ["a"], 1)[0].item == "b"
    B = np.asarray(model.weights)
    assert B[2, 3] != pytest.approx(B[3, 2], rel=0.01)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(DataError, match=r"l3ae reads item vectors.*--vectors FILE"):
        L3AE().fit(from_dense(table()))
    twins = np.ones((12, 3)) * 1e4
    with pytest.raises(ModelError, match="text_l2=1e-12 is too small"):
        L3AE(text_l2=1e-12, normalise=False).fit(log_of(table(), twins))


def test_facts_say_what_the_data_lack() -> None:
    facts = L3AE().fit(log_of(table(), vectors()), run=ONE).facts
    assert (facts["cold_items"], facts["items_without_vector"]) == (2, 2)
    assert facts["residual"] < 1e-4
