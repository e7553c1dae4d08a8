"""The closed forms against what they claim to solve, in float64, by other ways."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from shoal.base.closed_form import ClosedForm
from shoal.errors import ModelError
from shoal.inference.recommend import recommend
from shoal.inference.similar import similar
from shoal.models.dlae import DLAE
from shoal.models.ease import EASE
from shoal.models.edlae import EDLAE
from shoal.models.lae import LAE
from shoal.models.rdlae import RDLAE
from shoal.models.rlae import RLAE
from shoal.run import Run
from shoal.testing import from_dense

Matrix = NDArray[np.float64]
F = Fraction
ONE = Run(threads=1)


def table(*, valued: bool, seed: int = 0) -> Matrix:
    """7 items with different popularity, 12 users; small enough to enumerate dropout."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((12, 7)) < np.linspace(0.8, 0.25, 7)).astype(float)
    dense[np.flatnonzero(dense.sum(axis=1) == 0), 0] = 1
    return dense * rng.integers(1, 5, dense.shape) / 2 if valued else dense


def weights(model: ClosedForm, X: Matrix) -> Matrix:
    B = model.fit(from_dense(X), run=ONE).weights
    assert isinstance(B, np.ndarray)
    assert B.dtype == np.float32
    return B.astype(np.float64)


def dropout_moments(X: Matrix, p: float) -> tuple[Matrix, Matrix]:
    """E[ZᵀZ] and E[ZᵀX] for Z = X with entries dropped with probability p, the rest / (1 − p).

    By going through all 2ⁿ masks of a user; no formula for the expectation is used.
    """
    n = X.shape[1]
    second, cross = np.zeros((n, n)), np.zeros((n, n))
    for kept in product([0, 1], repeat=n):
        chance = np.prod([1 - p if k else p for k in kept])
        Z = X * np.array(kept) / (1 - p)
        second += chance * Z.T @ Z
        cross += chance * Z.T @ X
    return second, cross


def solve(H: Matrix, c: Matrix, j: int, constrained_to: float | None) -> tuple[Matrix, float]:
    """min bᵀHb − 2bᵀc, with b_j = a given value if there is one; b and the multiplier."""
    if constrained_to is None:
        return np.linalg.solve(H, c), 0.0
    n = len(c)
    unit = np.eye(n)[:, [j]]
    system = np.block([[H, unit], [unit.T, np.zeros((1, 1))]])
    both = np.linalg.solve(system, np.append(c, constrained_to))
    return both[:n], float(both[n])


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(
    ("model", "p", "diagonal"),
    [
        (LAE(l2=3.0), 0.0, None),
        (EASE(l2=3.0), 0.0, 0.0),
        (DLAE(l2=3.0, dropout=0.4), 0.4, None),
        (EDLAE(l2=3.0, dropout=0.4), 0.4, 0.0),
        (DLAE(l2=0.5, dropout=0.75), 0.75, None),
        (EDLAE(l2=20.0, dropout=0.1), 0.1, 0.0),
    ],
    ids=lambda v: v.name if isinstance(v, ClosedForm) else str(v),
)
def test_each_column_solves_its_problem(
    model: ClosedForm, p: float, diagonal: float | None, valued: bool
) -> None:
    X = table(valued=valued)
    second, cross = dropout_moments(X, p)
    H = second + model.l2 * np.eye(7)
    expected = np.stack([solve(H, cross[:, j], j, diagonal)[0] for j in range(7)], axis=1)
    np.testing.assert_allclose(weights(model, X), expected, atol=2e-6)


def test_edlae_is_the_loss_on_dropped_entries_only() -> None:
    """Σ over masks of the error where the target was dropped (a share p of it), plus pλ‖b‖²."""
    X, p, l2 = table(valued=False), 0.3, 4.0
    B = weights(EDLAE(l2=l2, dropout=p), X)
    for j in range(7):
        H, c = p * l2 * np.eye(7), np.zeros(7)
        for kept in product([0, 1], repeat=7):
            if kept[j]:
                continue
            chance = np.prod([1 - p if k else p for k in kept])
            Z = X * np.array(kept) / (1 - p)
            H += chance * Z.T @ Z
            c += chance * Z.T @ X[:, j]
        np.testing.assert_allclose(B[:, j], np.linalg.solve(H, c), atol=2e-6)


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize("xi", [0.0, 0.2, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("p", [0.0, 0.35])
def test_relaxed_models_satisfy_the_kkt_conditions(p: float, xi: float, valued: bool) -> None:
    """min E‖X − ZB‖² + λ‖B‖² with diag(B) ≤ ξ: necessary and sufficient, the problem is convex."""
    X, l2 = table(valued=valued), 2.0
    model = RDLAE(l2=l2, dropout=p, xi=xi) if p else RLAE(l2=l2, xi=xi)
    B = weights(model, X)
    second, cross = dropout_moments(X, p)
    gradient = (second + l2 * np.eye(7)) @ B - cross  # + diag(μ) = 0
    size = np.abs(cross).max()
    mu = -np.diag(gradient)
    np.testing.assert_allclose(gradient + np.diag(mu), 0, atol=2e-6 * size)  # stationary
    assert (np.diag(B) <= xi + 1e-6).all()  # feasible
    assert (mu >= -2e-6 * size).all()
    np.testing.assert_allclose(mu * (np.diag(B) - xi), 0, atol=4e-6 * size)  # complementary


@pytest.mark.parametrize("p", [0.0, 0.35])
def test_relaxed_models_are_what_a_solver_finds(p: float) -> None:
    X, l2, xi = table(valued=False), 2.0, 0.35 if p else 0.5
    model = RDLAE(l2=l2, dropout=p, xi=xi) if p else RLAE(l2=l2, xi=xi)
    B = weights(model, X)
    second, cross = dropout_moments(X, p)
    H = second + l2 * np.eye(7)
    at_bound = np.diag(B) > xi - 1e-5
    assert at_bound.any()
    assert not at_bound.all()  # the data show both cases
    for j in range(7):
        bounds = [(None, xi if i == j else None) for i in range(7)]
        found = optimize.minimize(
            lambda b, c: b @ H @ b - 2 * b @ c,
            np.zeros(7),
            args=(cross[:, j],),
            jac=lambda b, c: 2 * (H @ b - c),
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000},
        )
        np.testing.assert_allclose(B[:, j], found.x, atol=1e-5)


@pytest.mark.parametrize(
    ("special", "general"),
    [
        (EASE(l2=3), RLAE(l2=3, xi=0)),
        (LAE(l2=3), RLAE(l2=3, xi=1)),
        (EDLAE(l2=3, dropout=0.3), RDLAE(l2=3, dropout=0.3, xi=0)),
        (DLAE(l2=3, dropout=0.3), RDLAE(l2=3, dropout=0.3, xi=1)),
        (EASE(l2=3), EDLAE(l2=3, dropout=0)),
        (LAE(l2=3), DLAE(l2=3, dropout=0)),
        (RLAE(l2=3, xi=0.4), RDLAE(l2=3, dropout=0, xi=0.4)),
    ],
    ids=lambda m: m.name,
)
@pytest.mark.parametrize("valued", [False, True])
def test_models_are_special_cases_of_each_other(
    special: ClosedForm, general: ClosedForm, valued: bool
) -> None:
    X = table(valued=valued, seed=1)
    np.testing.assert_allclose(weights(special, X), weights(general, X), atol=1e-6)


def plain_dan(
    X: Matrix, l2: float, p: float, alpha: float, beta: float, xi: float | None
) -> Matrix:
    """DAN written as its formula, with dense diagonal matrices (research sheet, table of §0)."""
    n = X.shape[1]
    touched = X > 0
    user_degree, item_degree = touched.sum(axis=1), touched.sum(axis=0)
    G = X.T @ np.diag(user_degree**-beta) @ X
    ridge = l2 + p / (1 - p) * np.diag(X.T @ X)
    P = np.linalg.inv(G + np.diag(ridge))
    mu = np.zeros(n)
    if xi is not None:
        for j in range(n):
            if 1 - ridge[j] * P[j, j] > xi:
                mu[j] = (1 - xi) / P[j, j] - ridge[j]
    B = np.eye(n) - P @ np.diag(ridge + mu)
    return np.diag(item_degree**alpha) @ B @ np.diag(item_degree**-alpha)


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.0), (0.0, 0.5), (0.3, 0.7), (1.0, 1.0)])
@pytest.mark.parametrize(
    ("kind", "settings", "p", "xi"),
    [
        (LAE, {}, 0.0, None),
        (EASE, {}, 0.0, 0.0),
        (DLAE, {"dropout": 0.4}, 0.4, None),
        (EDLAE, {"dropout": 0.4}, 0.4, 0.0),
        (RLAE, {"xi": 0.4}, 0.0, 0.4),
        (RDLAE, {"dropout": 0.4, "xi": 0.3}, 0.4, 0.3),
    ],
)
def test_dan_is_its_formula(
    kind: type[ClosedForm],
    settings: dict[str, Any],
    p: float,
    xi: float | None,
    alpha: float,
    beta: float,
    valued: bool,
) -> None:
    X = table(valued=valued, seed=2)
    B = weights(kind(l2=2.5, alpha=alpha, beta=beta, **settings), X)
    expected = plain_dan(X, 2.5, p, alpha, beta, xi)
    np.testing.assert_allclose(B, expected, rtol=2e-5, atol=5e-6)


def test_nonnegative_ease_is_ease_clipped() -> None:
    X = table(valued=False)
    plain, clipped = EASE(l2=3), EASE(l2=3, nonnegative=True)
    B, C = weights(plain, X), weights(clipped, X)
    assert (B < 0).any()
    np.testing.assert_array_equal(C, np.maximum(B, 0))
    # the fact is about what was learned, not about what is left of it
    assert plain.facts == clipped.facts


def test_the_diagonal_of_ease_is_zero() -> None:
    assert (np.diag(weights(EASE(l2=0.5), table(valued=True))) == 0).all()


# A toy worked out by hand. Three items a, b, c and five users: {a,b} twice, {a,c} once, {b} twice.
# Counts c = (3, 4, 1); a and b meet twice, a and c once, b and c never.
#
# λ = 1:      ⎡4 2 1⎤                            ⎡10 −4 −5⎤
#      G + I = ⎢2 5 0⎥   det = 40 − 8 − 5 = 27    P = ⎢−4  7  2⎥ / 27
#             ⎣1 0 2⎦                            ⎣−5  2 16⎦
#
# p = 1/2 adds c_j to the diagonal, Λ = (4, 5, 2):
#      ⎡7 2 1⎤                                ⎡27 −6 −9⎤
#      ⎢2 9 0⎥   det = 189 − 12 − 9 = 168     P = ⎢−6 20  2⎥ / 168
#      ⎣1 0 3⎦                                ⎣−9  2 59⎦
#
# Someone with a in their history gets B_ab and B_ac, row a of B. Column a (the transposed matrix)
# would rank b and c the other way round in each of these models.
A, B_, C_ = "a", "b", "c"
TOY = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 1, 0], [0, 1, 0]], float)
TOYS = [
    # B_ij = −P_ij / P_jj
    (
        EASE(l2=1),
        [[0, F(4, 7), F(5, 16)], [F(4, 10), 0, F(-2, 16)], [F(5, 10), F(-2, 7), 0]],
        [B_, C_],
    ),
    (
        EDLAE(l2=1, dropout=0.5),
        [[0, F(6, 20), F(9, 59)], [F(6, 27), 0, F(-2, 59)], [F(9, 27), F(-2, 20), 0]],
        [B_, C_],
    ),
    # B = I − P·diag(Λ); columns of −P times 4, 5, 2; on the diagonal 1 − Λ_j·P_jj
    (
        DLAE(l2=1, dropout=0.5),
        [
            [F(60, 168), F(30, 168), F(18, 168)],
            [F(24, 168), F(68, 168), F(-4, 168)],
            [F(36, 168), F(-10, 168), F(50, 168)],
        ],
        [B_, C_],
    ),
    # ξ = 1/2: without a bound the diagonal is 17/27, 20/27 (both above) and 11/27 (below).
    # Columns a and b are scaled by (1 − ξ)/P_jj = 27/20 and 27/14, column c by λ = 1
    (
        RLAE(l2=1, xi=0.5),
        [
            [F(1, 2), F(4, 14), F(5, 27)],
            [F(4, 20), F(1, 2), F(-2, 27)],
            [F(5, 20), F(-2, 14), F(11, 27)],
        ],
        [B_, C_],
    ),
    # ξ = 1/4: 60/168, 68/168 and 50/168 are all above 42/168, so columns get (3/4)/P_jj
    (
        RDLAE(l2=1, dropout=0.5, xi=0.25),
        [
            [F(1, 4), F(3, 4) * F(6, 20), F(3, 4) * F(9, 59)],
            [F(3, 4) * F(6, 27), F(1, 4), F(3, 4) * F(-2, 59)],
            [F(3, 4) * F(9, 27), F(3, 4) * F(-2, 20), F(1, 4)],
        ],
        [B_, C_],
    ),
    # LAE by itself is symmetric, I − P; DAN with α = 1 makes it c_i·B_ij/c_j: c is damped least
    (
        LAE(l2=1, alpha=1),
        [
            [F(17, 27), F(4 * 3, 27 * 4), F(5 * 3, 27)],
            [F(4 * 4, 27 * 3), F(20, 27), F(-2 * 4, 27)],
            [F(5, 27 * 3), F(-2, 27 * 4), F(11, 27)],
        ],
        [C_, B_],
    ),
]


@pytest.mark.parametrize(
    ("model", "expected", "ranking"), TOYS, ids=lambda v: getattr(v, "name", "")
)
def test_the_toy_is_ranked_as_by_hand_and_the_transpose_would_rank_it_otherwise(
    model: ClosedForm, expected: list[list[Fraction]], ranking: list[str]
) -> None:
    model.fit(from_dense(TOY, items=[A, B_, C_]), run=ONE)
    by_hand = np.array([[float(w) for w in row] for row in expected])
    np.testing.assert_allclose(model.weights, by_hand, rtol=2e-6, atol=1e-7)
    assert recommend(model, [A], 2).items == ranking
    assert similar(model, A, 2).items == ranking
    scores = {r.item: r.score for r in recommend(model, [A], 2)}
    assert scores == pytest.approx({B_: by_hand[0, 1], C_: by_hand[0, 2]}, rel=1e-5)
    # the same weights, transposed, give the other ranking
    model.restore({"weights": np.ascontiguousarray(np.transpose(model.weights))})
    assert recommend(model, [A], 2).items == ranking[::-1]


def test_negative_weights_are_counted_off_the_diagonal() -> None:
    """In the toy, b and c speak against each other: 2 of 6 weights are below zero."""
    model = EASE(l2=1).fit(from_dense(TOY), run=ONE)
    assert model.facts["negative_weights"] == pytest.approx(2 / 6)


def test_values_count_with_their_weight() -> None:
    """One user rates a 2 and b 1, λ = 1: G + I = ⎡5 2⎤, det 6, P = ⎡2 −2⎤ / 6.
    ⎣2 2⎦            ⎣−2 5⎦"""
    model = EASE(l2=1).fit(from_dense([[2, 1]]), run=ONE)
    np.testing.assert_allclose(model.weights, [[0, 2 / 5], [2 / 2, 0]], rtol=1e-6)


def test_a_matrix_that_cannot_be_inverted_is_an_error_with_a_way_out() -> None:
    same = np.ones((3000, 2))  # G is singular, and λ is lost next to 3000, even in float64
    with pytest.raises(ModelError, match="Raise l2"):
        LAE(l2=1e-14).fit(from_dense(same), run=ONE)


def test_values_that_overflow_float32_are_an_error() -> None:
    with pytest.raises(ModelError, match="float32"):
        EASE(l2=10).fit(from_dense([[1e25, 1], [1, 1]]), run=ONE)
