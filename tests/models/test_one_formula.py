"""Linear autoencoders and graph filters, each by its own code, against one formula.

docs/closed-forms.md explains it:

    W = L·h(S)·R + ζ·Π_b,     S = A⁻¹·Xᵀ·D_u^−β·X·A⁻¹,     Π_b = D^−b·VVᵀ·D^b

L, A and R are diagonal; h is a function of the eigenvalues of S, which are computed here by LAPACK
from the dense S, in float64. Logs and settings are drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import BarycentricInterpolator

from shoal.data.interactions import CSR
from shoal.models.registry import create
from shoal.run import Run
from shoal.testing import from_dense

Array = NDArray[np.float64]
Given = dict[str, Any]
Function = Callable[[Array], Array]


@dataclass
class Log:
    """X, and what the formula takes of it."""

    X: Array

    def __post_init__(self) -> None:
        self.D, self.D_u = self.X.sum(axis=0), self.X.sum(axis=1)

    def power(self, exponent: float) -> Array:
        """D^exponent, and 0 where D is 0."""
        return np.where(self.D > 0, np.where(self.D > 0, self.D, 1.0) ** exponent, 0)

    def counts(self, exponent: float) -> Array:
        """C^exponent of DAN, where an item without users counts as one with one."""
        return np.asarray(np.maximum(self.D, 1) ** exponent)

    def graph(self, beta: float, inverse_A: Array) -> Array:
        users = np.where(self.D_u > 0, np.where(self.D_u > 0, self.D_u, 1.0) ** -beta, 0)
        return np.asarray(inverse_A[:, None] * (self.X.T * users @ self.X) * inverse_A)

    def filtered(self, h: Function, beta: float = 1, inverse_A: Array | None = None) -> Array:
        """h(S); A = D^½ unless it is given."""
        values, U = np.linalg.eigh(
            self.graph(beta, self.power(-0.5) if inverse_A is None else inverse_A)
        )
        return np.asarray(U * h(values) @ U.T)

    def low_pass(self, k: int, b: float) -> Array:
        """Π_b, if the k-th eigenvalue is not one of several that are equal."""
        values, U = np.linalg.eigh(self.graph(1, self.power(-0.5)))
        k = min(k, int((values > 1e-5).sum()))
        assume(k == len(values) or values[-k] - max(values[-k - 1], 0) > 1e-2)
        V = U[:, len(values) - k :]
        return self.power(-b)[:, None] * (V @ V.T) * self.power(b)


def plain(h: Function, b: float = 0, beta: float = 1) -> Callable[[Log], Array]:
    """D^−b·h(S)·D^b."""
    return lambda log: log.power(-b)[:, None] * log.filtered(h, beta) * log.power(b)


def autoencoder(
    log: Log, *, xi: float, l2: float, dropout: float, alpha: float, beta: float
) -> Array:
    """C^α·A⁻¹·h(S)·A·C^−α, h(s) = s/(s + γ), a column whose diagonal is above ξ scaled to ξ.

    γ·A² = γ·D + λ with γ = p/(1−p); without dropout γ is free, and 1 here, with A² = λ.
    """
    gamma = dropout / (1 - dropout) or 1.0
    A = np.sqrt((log.D if dropout else 0 * log.D) + l2 / gamma)
    h = log.filtered(lambda s: s / (s + gamma), beta, 1 / A)
    B = h / A[:, None] * A
    own = np.diag(h)  # where it is above ξ, I − B is scaled so that its diagonal is 1 − ξ
    B = np.eye(len(B)) - (np.eye(len(B)) - B) * np.where(own > xi, (1 - xi) / (1 - own), 1)
    return np.asarray(log.counts(alpha)[:, None] * B * log.counts(-alpha))


def with_low_pass(log: Log, *, zeta: float, b: float, factors: int, **others: Any) -> Array:
    return autoencoder(log, **others) + zeta * log.low_pass(factors, b)


def gf_cf(log: Log, *, alpha: float, factors: int, b: float, beta: float) -> Array:
    """h(s) = s."""
    return plain(lambda s: s, b, beta)(log) + alpha * log.low_pass(factors, 0.5)


def rp3beta(log: Log, *, alpha: float, beta: float) -> Array:
    """h(s) = s with the user's exponent α, and D^(½−α) and D^(½−β) on the two sides."""
    S = log.filtered(lambda s: s, alpha)
    return np.asarray(log.power(0.5 - alpha)[:, None] * S * log.power(0.5 - beta))


def turbo_cf(log: Log, *, a: float, filter: int, s: float) -> Array:
    """h(s) = s or 2s − s², A = D^(1−a), β = 2a; the power of each entry is 1."""
    assert s == 1
    h: Function = (lambda v: v) if filter == 1 else (lambda v: 2 * v - v**2)
    return log.filtered(h, 2 * a, log.power(a - 1))


def chebycf(
    log: Log, *, degree: int, flatness: float, factors: int, zeta: float, b: float
) -> Array:
    """h is the polynomial in t = 1 − 2s through the plateau's values at cos(πj/K)."""
    j = np.arange(degree + 1)
    t = np.cos(np.pi * j / degree)
    plateau = 0.5 - 0.5 * np.sign(t) * np.abs(t) ** flatness
    through = BarycentricInterpolator(np.cos(np.pi * (j + 0.5) / (degree + 1)), plateau)
    h = plain(lambda s: np.asarray(through(1 - 2 * s)), b)
    return h(log) + zeta * log.low_pass(factors, b)


def bspm(log: Log, *, time: float, zeta: float, factors: int) -> Array:
    """(S + ζ·Π_½)·p(S), p the Taylor polynomial of e^−Ts of degree 4."""
    p = log.filtered(lambda s: np.sum([(-time * s) ** n / factorial(n) for n in range(5)], axis=0))
    return (log.filtered(lambda s: s) + zeta * log.low_pass(factors, 0.5)) @ p


def between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda x: round(x, 3))


ranks = st.integers(1, 8)
exponents = {"alpha": between(0, 1), "beta": between(0, 1)}
ridge = {"l2": between(0.2, 20)} | exponents
dropout = {"dropout": between(0.1, 0.9)}
none, bounded, free = {"dropout": 0.0}, {"xi": 0.0}, {"xi": 1.0}

# label: model, the settings that are drawn, its formula, what the formula is told besides
MEMBERS: dict[str, tuple[str, Given, Callable[..., Array], Given]] = {
    "lae": ("lae", ridge, autoencoder, none | free),
    "ease": ("ease", ridge, autoencoder, none | bounded),
    "dlae": ("dlae", ridge | dropout, autoencoder, free),
    "edlae": ("edlae", ridge | dropout, autoencoder, bounded),
    "rdlae": ("rdlae", ridge | dropout | {"xi": between(0, 0.9)}, autoencoder, {}),
    "gf-cf": (
        "gf-cf",
        {"alpha": between(0, 2), "factors": ranks, "b": between(0, 1), "beta": between(0, 2)},
        gf_cf,
        {},
    ),
    "rp3beta": ("rp3beta", {"alpha": between(0, 2), "beta": between(0, 2)}, rp3beta, {}),
    "turbo-cf": (
        "turbo-cf",
        {"a": between(0, 1), "filter": st.sampled_from([1, 2]), "s": st.just(1.0)},
        turbo_cf,
        {},
    ),
    "chebycf": (
        "chebycf",
        {"degree": st.integers(1, 10), "flatness": between(1, 15), "factors": ranks,
         "zeta": between(0, 1), "b": between(0, 1)},
        chebycf,
        {},
    ),
    "bspm": (
        "bspm", {"time": between(0, 3), "zeta": between(0, 1), "factors": ranks}, bspm, {},
    ),
    "low-pass-rdlae": (
        "low-pass-rdlae",
        ridge | dropout | {"xi": between(0, 0.9), "zeta": between(0, 1), "b": between(0, 1),
         "factors": ranks},
        with_low_pass,
        {},
    ),
}  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> Array:
    """A few users and items, some of them without an interaction."""
    m, n = draw(st.integers(2, 12)), draw(st.integers(2, 8))
    rows = st.lists(st.booleans(), min_size=n, max_size=n)
    X = np.array(draw(st.lists(rows, min_size=m, max_size=m)), float)
    assume(X.any())
    return X


@pytest.mark.parametrize("label", MEMBERS)
@settings(max_examples=40)
@given(X=logs(), data=st.data())
def test_each_member_by_its_own_code_is_the_formula(
    label: str, X: Array, data: st.DataObject
) -> None:
    name, drawn, formula, besides = MEMBERS[label]
    chosen = {key: data.draw(values, key) for key, values in drawn.items()}
    expected = formula(Log(X), **chosen, **besides)
    model = create(name, chosen).fit(from_dense(X), run=Run(threads=1))
    found = model.score(CSR(np.eye(X.shape[1], dtype=np.float32)))
    np.testing.assert_allclose(found, expected, atol=2e-4 * max(1e-3, np.abs(expected).max()))


def test_without_a_ridge_an_autoencoder_with_dropout_is_a_graph_filter() -> None:
    """As λ falls, DLAE with DAN's α is D^−b·h(S)·D^b of the graph filters' S, b = ½ − α."""
    X = (np.random.default_rng(0).random((40, 12)) < 0.3).astype(float)
    model = create("dlae", {"l2": 1e-3, "dropout": 0.5, "alpha": 0.2, "beta": 1})
    found = model.fit(from_dense(X), run=Run(threads=1)).score(CSR(np.eye(12, dtype=np.float32)))
    expected = plain(lambda s: s / (s + 1), b=0.3)(Log(X))
    np.testing.assert_allclose(found, expected, atol=2e-4)
