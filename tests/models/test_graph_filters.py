"""GF-CF and Turbo-CF against their papers' formulas in dense NumPy, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.base import graph
from shoal.data.size import Size
from shoal.errors import MemoryBudgetError, ModelError
from shoal.inference.recommend import recommend
from shoal.models.gf_cf import GFCF
from shoal.models.turbo_cf import TurboCF
from shoal.run import Run
from shoal.testing import from_dense
from tests.models.filter_helpers import Matrix, low_pass, table

ONE = Run(threads=1)


def normalised(X: Matrix, user_power: float, item_power: float) -> Matrix:
    """R̃ = D_u^−a · X · D_i^−b, without what is empty."""
    R = np.zeros_like(X)
    users, items = X.sum(axis=1) > 0, X.sum(axis=0) > 0
    some = X[np.ix_(users, items)]
    left, right = some.sum(axis=1) ** -user_power, some.sum(axis=0) ** -item_power
    R[np.ix_(users, items)] = np.diag(left) @ some @ np.diag(right)
    return R


def gf_cf(X: Matrix, k: int, alpha: float, b: float = 0, beta: float = 1) -> Matrix:
    """Shen et al., eq. 10 and 11: the linear filter, with b and β, and α times the ideal."""
    linear = normalised(X, beta / 2, 0.5 + b).T @ normalised(X, beta / 2, 0.5 - b)
    return linear + alpha * low_pass(X, k, 0.5)


def turbo_cf(X: Matrix, a: float, s: float, which: int) -> Matrix:
    """Park et al., eq. 5 to 7."""
    R = normalised(X, a, 1 - a)
    P = (R.T @ R) ** s
    return P if which == 1 else 2 * P - P @ P


def close(model: Any, expected: Matrix) -> None:
    histories = (np.random.default_rng(8).random((150, 30)) < 0.2).astype(np.float32)
    scores = model.score(type(from_dense(table()).matrix)(histories))
    np.testing.assert_allclose(scores, histories @ expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(("k", "alpha"), [(256, 0.3), (4, 0.3), (1, 1.5), (256, 0)])
def test_gf_cf_is_its_formula(k: int, alpha: float, valued: bool) -> None:
    X = table(valued=valued)
    close(GFCF(factors=k, alpha=alpha).fit(from_dense(X), run=ONE), gf_cf(X, k, alpha))


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(("b", "beta"), [(0.3, 1), (0, 0.5), (0.5, 0), (1, 1.5)])
def test_gf_cf_with_other_exponents_is_its_formula(b: float, beta: float, valued: bool) -> None:
    X = table(valued=valued)
    model = GFCF(factors=6, b=b, beta=beta).fit(from_dense(X), run=ONE)
    expected = gf_cf(X, 6, 0.3, b, beta)
    close(model, expected)
    history, ones = np.array([2, 5, 11]), np.ones(3, np.float32)
    parts = model.contributions(history, ones, 4)  # the matrix is not symmetric
    np.testing.assert_allclose(parts, expected[history, 4], rtol=1e-4)
    assert not np.allclose(expected[history, 4], expected[4, history], rtol=1e-2) or b == 0


def test_a_gf_cf_of_before_the_exponents_is_restored() -> None:
    """Earlier versions kept R̃ᵀR̃, V, D^−½ and α·D^½ under these names, and knew two settings."""
    X = table()
    R, D = normalised(X, 0.5, 0.5), X.sum(axis=0)
    G = type(from_dense(X).matrix)((R.T @ R).astype(np.float32))
    _, _, Vt = np.linalg.svd(R, full_matrices=False)
    root = np.sqrt(D)
    inverse = np.divide(1, root, out=np.zeros_like(root), where=D > 0)
    model = GFCF(alpha=0.3, factors=4).fit(from_dense(X), run=ONE)  # for the catalogue
    model.restore(
        {
            "vectors": Vt[:4].T.astype(np.float32), "left": inverse.astype(np.float32),
            "right": (0.3 * root).astype(np.float32), "indptr": G.indptr.astype(np.int64),
            "indices": G.indices.astype(np.int32), "data": G.data,
        }
    )  # fmt: skip
    close(model, gf_cf(X, 4, 0.3))


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(("a", "s"), [(0.6, 0.7), (0.6, 1), (0.5, 1.4), (0, 1), (1, 0.5)])
@pytest.mark.parametrize("which", [1, 2])
def test_turbo_cf_is_its_formula(which: int, a: float, s: float, valued: bool) -> None:
    X = table(valued=valued)
    close(TurboCF(a=a, s=s, filter=which).fit(from_dense(X), run=ONE), turbo_cf(X, a, s, which))


def test_three_users_by_hand() -> None:
    """Users {a,b}, {a,c}, {a}, so D_u = 2, 2, 1 and D_i = 3, 1, 1; R̃ = 1/√(d_u·d_i) where X is 1.

    (R̃ᵀR̃)_ab = ½/√3: the one common user has 2 items. (R̃ᵀR̃)_aa = (½ + ½ + 1)/3, and (..)_bc = 0.
    """
    X = np.array([[1, 1, 0], [1, 0, 1], [1, 0, 0]])
    model = GFCF(alpha=0).fit(from_dense(X), run=ONE)
    expected = np.array([[4, 3**0.5, 3**0.5], [3**0.5, 3, 0], [3**0.5, 0, 3]]) / 6
    np.testing.assert_allclose(model._linear.matrix().toarray(), expected, rtol=1e-6)
    assert model._linear.matrix().nnz == 7  # b and c never meet


def test_the_low_pass_filter_is_not_symmetric() -> None:
    """One vector: users {a}×8, {b}×2 and {a,b}; V is D^½ there, so a history of b speaks for a.

    With R̃ of a connected graph, the first singular value is 1 and its vector D^½/‖D^½‖. So
    D^−½VVᵀD^½ is 1·Dᵀ/ΣD: every history gives each item its share of the interactions.
    """
    X = np.array([[1, 0]] * 8 + [[0, 1]] * 2 + [[1, 1]])
    model = GFCF(alpha=1, factors=1).fit(from_dense(X), run=ONE)
    share = np.array([9, 3]) / 12
    scores = model.score(type(model._linear.matrix())(np.eye(2, dtype=np.float32)))
    low = scores - model._linear.matrix().toarray()
    np.testing.assert_allclose(low, [share, share], atol=1e-6)


@pytest.mark.parametrize("model", [GFCF(alpha=0), TurboCF()])
def test_only_pairs_that_meet_are_kept(model: Any) -> None:
    """Two groups of users who share no item: nothing is recommended across but with score 0."""
    X = np.kron(np.eye(2), np.ones((5, 6))) * (np.random.default_rng(0).random((10, 12)) < 0.8)
    model.fit(from_dense(X), run=ONE)
    assert model.state()["data"].size <= 72
    found = recommend(model, [100, 101], 10)
    assert {r.item for r in found if r.score > 0} <= set(range(102, 106))
    assert {r.score for r in found if r.item >= 106} == {0}


@pytest.mark.parametrize("model", [GFCF(alpha=0), TurboCF()])
def test_more_pairs_than_the_budget_holds_are_refused_with_their_number(model: Any) -> None:
    """One user has everything, so that all pairs meet, which sizes alone do not say."""
    X = np.eye(400)
    X[0] = 1
    need = model.bytes_to_fit(Size(400, 400, int(X.sum())))
    with pytest.raises(MemoryBudgetError, match=r"160,000 pairs of items .*--min-item-users"):
        model.fit(from_dense(X), run=Run(threads=1, memory=need + 1000))


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"a": 1.5}, {"s": 0}, {"filter": 3}):
        with pytest.raises(ModelError, match=next(iter(wrong))):
            TurboCF(**wrong)
    with pytest.raises(ModelError, match="factors"):
        GFCF(factors=0)


@pytest.mark.parametrize("data", ["gowalla", "yelp2018"])
def test_pairs_of_real_logs_are_about_as_many_as_is_estimated(
    data: str, shoal_data: Callable[[str], Path]
) -> None:
    from shoal.kernels.sparse_gram import extents

    log = shoal.read(shoal_data(data) / "train.parquet")
    pairs = int(extents(log.indptr, log.indices, log.n_items)[-1])
    said = graph.bytes_of_graph(log.size)
    assert 1 / 1.3 < (8 * pairs + 24 * len(log)) / said < 1.3
