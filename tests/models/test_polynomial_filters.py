"""ChebyCF and BSPM against their formulas from a dense eigendecomposition, and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.data.interactions import CSR
from shoal.errors import ModelError
from shoal.kernels.polynomial import FEW
from shoal.kernels.vector import WIDTH
from shoal.models.bspm import BSPM
from shoal.models.chebycf import ChebyCF
from shoal.models.gf_cf import GFCF
from shoal.run import Run
from shoal.testing import from_dense
from tests.models.filter_helpers import Matrix, low_pass, of_all_items, spectrum, table

ONE = Run(threads=1)


def target(t: float, flatness: float) -> float:
    """Kim et al., the plateau: ½ − ½·t^φ for t ≥ 0, ½ + ½·(−t)^φ else."""
    return 0.5 - 0.5 * t**flatness if t >= 0 else 0.5 + 0.5 * (-t) ** flatness


def chebycf(X: Matrix, degree: int, flatness: float, k: int, zeta: float, b: float) -> Matrix:
    """Kim et al.: the polynomial through the plateau's values, from Lagrange's formula.

    Its values at the roots cos(π(j + ½)/(K + 1)) are those of the plateau at cos(πj/K).
    """
    j = np.arange(degree + 1)
    roots, extrema = np.cos(np.pi * (j + 0.5) / (degree + 1)), np.cos(np.pi * j / degree)

    def h(t: float) -> float:
        total = 0.0
        for at in j:
            others = np.delete(roots, at)
            basis = np.prod((t - others) / (roots[at] - others))
            total += target(float(extrema[at]), flatness) * float(basis)
        return total

    values, vectors, D = spectrum(X)
    H = vectors @ np.diag([h(1 - 2 * s) for s in values]) @ vectors.T
    return of_all_items(X, np.diag(D**-b) @ H @ np.diag(D**b)) + zeta * low_pass(X, k, b)


def bspm(
    X: Matrix, k: int, zeta: float, *, solver: str, steps: int, time: float, late: bool = False,
    average: bool = False,
) -> Matrix:  # fmt: skip
    """Choi et al.: rows are blurred, then integrated by the solver itself, step by step."""
    values, vectors, _ = spectrum(X)
    S = of_all_items(X, vectors @ np.diag(values) @ vectors.T)
    low = zeta * low_pass(X, k, 0.5)
    z, tau = S if late else S + low, time / steps
    states = []
    for _ in range(steps):
        k1 = -z @ S
        if solver == "euler":
            z = z + tau * k1
        else:
            k2 = -(z + tau / 2 * k1) @ S
            k3 = -(z + tau / 2 * k2) @ S
            k4 = -(z + tau * k3) @ S
            z = z + tau / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        states.append(z)
    result = np.mean([S, *states], axis=0) if average else z
    return np.asarray(result + low if late else result)


def histories(rows: int) -> Matrix:
    """Some histories, the first of them empty."""
    dense = np.random.default_rng(8).random((rows, 30)) < 0.2
    dense[0] = False
    return dense.astype(np.float32)


def close(model: Any, expected: Matrix, rows: int = 70) -> None:
    x = histories(rows)
    tolerance = 3e-5 * np.abs(expected).max()
    np.testing.assert_allclose(model.score(CSR(x)), x @ expected, atol=tolerance)
    history = np.array([2, 7, 28], np.int32)
    for item in (0, 7, 29):
        parts = model.contributions(history, np.array([1, 2, 0.5], np.float32), item)
        np.testing.assert_allclose(parts, [1, 2, 0.5] * expected[history, item], atol=tolerance)


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize("users", [60, 20])
@pytest.mark.parametrize(
    "given",
    [
        {"degree": 8, "flatness": 1.5, "factors": 512, "zeta": 0.2, "b": 0.4},
        {"degree": 8, "flatness": 10, "factors": 4, "zeta": 0.2, "b": 0},
        {"degree": 1, "flatness": 1, "factors": 4, "zeta": 0, "b": 0.5},
        {"degree": 15, "flatness": 15, "factors": 3, "zeta": 1.5, "b": 1},
    ],
)
def test_chebycf_is_its_formula(given: dict[str, Any], users: int, valued: bool) -> None:
    X = table(valued=valued, users=users)
    expected = chebycf(
        X, given["degree"], given["flatness"], given["factors"], given["zeta"], given["b"]
    )
    close(ChebyCF(**given).fit(from_dense(X), run=ONE), expected)


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize(
    ("solver", "steps", "time", "k", "zeta"),
    [
        ("rk4", 1, 2.5, 512, 0.2),
        ("euler", 1, 1.2, 4, 0.3),
        ("rk4", 2, 2.2, 4, 0),
        ("euler", 3, 2, 5, 1.5),
        ("euler", 1, 0, 4, 0.3),
    ],
)
def test_bspm_is_its_formula(
    solver: Any, steps: int, time: float, k: int, zeta: float, average: bool, late: bool,
    valued: bool,
) -> None:  # fmt: skip
    X = table(valued=valued)
    model = BSPM(
        solver=solver, steps=steps, time=time, factors=k, zeta=zeta, average=average,
        merge="late" if late else "early",
    ).fit(from_dense(X), run=ONE)  # fmt: skip
    given: Any = {"solver": solver, "steps": steps, "time": time, "average": average}
    close(model, bspm(X, k, zeta, late=late, **given))


def test_bspm_without_sharpening_is_gf_cf() -> None:
    X = table()
    one = BSPM(time=0, zeta=0.3, factors=4).fit(from_dense(X), run=ONE)
    other = GFCF(alpha=0.3, factors=4).fit(from_dense(X), run=ONE)
    x = CSR(histories(40))
    np.testing.assert_allclose(one.score(x), other.score(x), atol=2e-6)


def test_the_first_degree_of_chebycf_by_hand() -> None:
    """Degree 1: the roots are ±√½, where the plateau's values at ±1, 0 and 1, are taken.

    So h(t) = ½ − t/√2 and h(S) = ½ − (1 − 2S)/√2. Users {a,b}, {a}: D = 2, 1 and S_ab = ½/√2.
    """
    X = np.array([[1, 1], [1, 0]])
    model = ChebyCF(degree=1, zeta=0, b=0).fit(from_dense(X), run=ONE)
    S = np.array([[0.75, 0.5**1.5], [0.5**1.5, 0.5]])
    expected = (0.5 - 0.5**0.5) * np.eye(2) + 2**0.5 * S
    np.testing.assert_allclose(model.score(CSR(np.eye(2, dtype=np.float32))), expected, atol=1e-6)


@pytest.mark.parametrize("model", [ChebyCF(factors=4), BSPM(factors=4)])
@pytest.mark.parametrize("rows", [1, FEW, FEW + 1, WIDTH, WIDTH + 1])
def test_scores_are_the_same_however_many_histories_are_scored_together(
    model: Any, rows: int
) -> None:
    model = type(model)(factors=4).fit(from_dense(table()), run=ONE)
    x = histories(80)[80 - rows :]
    one_by_one = np.concatenate([model.score(CSR(row[None])) for row in x])
    np.testing.assert_allclose(model.score(CSR(x)), one_by_one, atol=1e-6)


@pytest.mark.parametrize("kind", [ChebyCF, BSPM])
def test_the_model_keeps_histories_without_users_or_their_order(kind: Any, tmp_path: Path) -> None:
    """Users in another order and under other names give the same arrays, to the last bit."""
    X = table()
    X[5] = X[9]
    order = np.random.default_rng(0).permutation(60)
    one = kind(zeta=0).fit(from_dense(X), run=ONE)
    other = kind(zeta=0).fit(from_dense(X[order]), run=ONE)
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, other.state()[name])
    assert one.state()["user_scale"].shape == (58,)  # two have nothing
    shoal.save(one, tmp_path / "model")
    x = CSR(histories(3))
    np.testing.assert_array_equal(shoal.load(tmp_path / "model").score(x), one.score(x))


@pytest.mark.parametrize("kind", [ChebyCF, BSPM])
def test_one_user_and_one_shared_item_are_enough(kind: Any) -> None:
    for X in (np.ones((1, 2)), np.eye(2), np.array([[1, 0], [1, 0]])):
        model = kind().fit(from_dense(X), run=ONE)
        assert np.isfinite(model.score(CSR(np.eye(2, dtype=np.float32)))).all()


def test_settings_out_of_range_are_refused() -> None:
    wrong: dict[str, Any]
    for wrong in ({"degree": 0}, {"flatness": 0}, {"b": 2}, {"zeta": -1}):
        with pytest.raises(ModelError, match=next(iter(wrong))):
            ChebyCF(**wrong)
    for wrong in ({"solver": "rk5"}, {"steps": 0}, {"time": -1}, {"merge": "soon"}):
        with pytest.raises(ModelError, match=next(iter(wrong))):
            BSPM(**wrong)
