"""SLIM against scikit-learn's ElasticNet, against all supports of a toy, and against itself."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.linear_model import ElasticNet

from shoal.base import elastic_nets
from shoal.data.interactions import Interactions
from shoal.errors import MemoryBudgetError, ModelError
from shoal.inference.recommend import recommend
from shoal.models.slim import SLIM
from shoal.run import Run
from shoal.testing import from_dense

Matrix = NDArray[np.float64]
TIGHT = 1e-12


def table(*, valued: bool, n: int = 25) -> Matrix:
    """Two tastes, items of very different popularity, and one that nobody has."""
    rng = np.random.default_rng(3)
    side = rng.random((90, 1)) < np.where(np.arange(n) % 2, 0.8, 0.2)
    dense = (side & (rng.random((90, n)) < np.linspace(0.9, 0.05, n))).astype(float)
    dense[:, 11:12] = 0
    return dense * rng.uniform(0.5, 3, dense.shape).astype(np.float32) if valued else dense


def weights(X: Matrix, threads: int = 1, memory: int | None = None, **settings: Any) -> Matrix:
    model = SLIM(**{"tolerance": TIGHT, **settings})
    B = model.fit(from_dense(X), run=Run(threads=threads, memory=memory)).weights
    assert sp.issparse(B)
    assert B.dtype == np.float32
    return B.toarray().astype(np.float64)


def objective(X: Matrix, B: Matrix, l1: float, l2: float) -> Matrix:
    """Of each column."""
    squares = (X - X @ B) ** 2
    return squares.sum(axis=0) / 2 + l2 / 2 * (B**2).sum(axis=0) + l1 * B.sum(axis=0)


def elastic_net(X: Matrix, l1: float, l2: float, near: dict[int, Any] | None = None) -> Matrix:
    """Scikit-learn's solution, column by column; its loss is divided by the number of users.

    Without lasso penalty it is scipy's non-negative least squares, with √l2 of each item more.
    """
    m, n = X.shape
    B = np.zeros((n, n))
    for j in range(n):
        others = [k for k in (range(n) if near is None else near[j]) if k != j]
        if not others:
            continue
        if l1 == 0:
            longer = np.vstack([X[:, others], np.sqrt(l2) * np.eye(len(others))])
            B[others, j] = nnls(longer, np.concatenate([X[:, j], np.zeros(len(others))]))[0]
            continue
        net = ElasticNet(
            alpha=(l1 + l2) / m,
            l1_ratio=l1 / (l1 + l2),
            positive=True,
            fit_intercept=False,
            tol=1e-12,
            max_iter=200_000,
        )
        B[others, j] = net.fit(X[:, others], X[:, j]).coef_
    return B


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 20.0), (3.0, 1.0), (3.0, 30.0), (12.0, 0.01)])
def test_it_is_the_elastic_net_of_each_column(l1: float, l2: float, valued: bool) -> None:
    X = table(valued=valued)
    B, expected = weights(X, l1=l1, l2=l2), elastic_net(X, l1, l2)
    np.testing.assert_allclose(B, expected, atol=2e-5)
    assert (B > 0).sum() > 20
    np.testing.assert_allclose(
        objective(X, B, l1, l2), objective(X, expected, l1, l2), rtol=1e-6, atol=1e-9
    )


def nearest(X: Matrix, k: int) -> dict[int, list[int]]:
    """The k other items with the highest cosine that share a user."""
    norms = np.maximum(np.linalg.norm(X, axis=0), 1e-9)
    cosine = X.T @ X / np.outer(norms, norms)
    np.fill_diagonal(cosine, 0)
    order = np.argsort(-cosine, axis=0, kind="stable")[:k]
    return {j: [i for i in order[:, j] if cosine[i, j] > 0] for j in range(X.shape[1])}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("k", [1, 4, 12])
def test_with_neighbours_it_is_the_elastic_net_of_those(
    k: int, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a Gram matrix, and without one where the budget has room for the lists only."""
    X = table(valued=True, n=150)  # values leave no ties among the neighbours
    log = from_dense(X)
    need = SLIM(neighbours=k).bytes_to_fit(log.size)
    if sparse:
        monkeypatch.delattr(elastic_nets, "gram")
    B = weights(X, memory=need if sparse else None, l1=2.0, l2=5.0, neighbours=k)
    near = nearest(X, k)
    np.testing.assert_allclose(B, elastic_net(X, 2.0, 5.0, near), atol=2e-5)
    others = np.ones_like(B, np.bool_)
    for j, allowed in near.items():
        others[allowed, j] = False
    assert not B[others].any()
    assert (B > 0).sum() > 60


def test_every_support_of_a_toy_is_no_better() -> None:
    """Three candidates a column: the best of the eight supports, each solved as equations."""
    X = table(valued=True, n=4)
    l1, l2 = 4.0, 2.0
    G = X.T @ X
    expected = np.zeros((4, 4))
    for j in range(4):
        others = [k for k in range(4) if k != j]
        best = 0.5 * G[j, j]
        for support in chain.from_iterable(combinations(others, size) for size in (1, 2, 3)):
            at = list(support)
            w = np.linalg.solve(G[np.ix_(at, at)] + l2 * np.eye(len(at)), G[at, j] - l1)
            column = np.zeros((4, 1))
            column[at, 0] = w
            value = float(np.sum((X[:, [j]] - X @ column) ** 2) / 2 + l2 / 2 * w @ w + l1 * w.sum())
            if (w > 0).all() and value < best:
                best = value
                expected[:, [j]] = column
    assert 0 < (expected > 0).sum() < 12  # some weights are zero by their own will
    np.testing.assert_allclose(weights(X, l1=l1, l2=l2), expected, atol=1e-6)


def test_the_duality_gap_bounds_what_is_missing() -> None:
    X = table(valued=False)
    best = objective(X, elastic_net(X, 3.0, 10.0), 3.0, 10.0)
    for tolerance in (0.1, 1e-2, 1e-4):
        model = SLIM(l1=3, l2=10, tolerance=tolerance).fit(from_dense(X))
        B = model.weights
        assert sp.issparse(B)
        missing = objective(X, B.toarray().astype(np.float64), 3.0, 10.0) - best
        relative = missing[X.any(axis=0)] / (X.sum(axis=0)[X.any(axis=0)] / 2)
        assert relative.max() <= model.facts["duality_gap"] + 1e-6 <= tolerance + 1e-6
        assert relative.max() > -1e-6
    assert model.facts["weights"] == B.nnz


def test_along_a_grid_it_is_what_it_is_alone_with_one_gram_matrix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = from_dense(table(valued=True))
    made: list[int] = []
    original = elastic_nets.gram

    def counting(*arguments: Any) -> Any:
        made.append(1)
        return original(*arguments)

    monkeypatch.setattr(elastic_nets, "gram", counting)
    grid = [
        {"l1": l1, "l2": l2, "neighbours": k, "tolerance": TIGHT}
        for k in (0, 5)
        for l1 in (0.5, 20.0, 3.0)
        for l2 in (3.0, 30.0)
    ]
    found = dict(SLIM.fit_grid(grid, log))
    assert len(made) == 2
    assert sorted(found) == list(range(len(grid)))
    sweeps = 0.0
    for at, one in enumerate(grid):
        alone = SLIM(**one).fit(log)
        model = found[at]
        assert isinstance(model, SLIM)
        assert model.model_dump() == alone.model_dump()
        difference = model.weights - alone.weights
        assert abs(difference).max() < 2e-5
        assert model.items == log.items
        sweeps += alone.facts["sweeps"] - model.facts["sweeps"]
    assert sweeps > 0  # the start was worth something


@pytest.mark.parametrize("neighbours", [0, 7])
def test_threads_do_not_change_a_bit(neighbours: int) -> None:
    X = table(valued=True, n=150)
    log = from_dense(X)
    need = SLIM(neighbours=neighbours).bytes_to_fit(log.size)
    for memory in (need, None):  # with neighbours: without a Gram matrix, and with one
        one, two = (
            weights(X, threads=t, memory=memory, l1=1.0, neighbours=neighbours) for t in (1, 2)
        )
        np.testing.assert_array_equal(one, two)


def test_an_item_without_candidates_has_an_empty_column() -> None:
    X = table(valued=False)
    B = weights(X, l1=9.0)
    G = X.T @ X
    np.fill_diagonal(G, 0)
    alone = G.max(axis=0) <= 9
    assert alone[11]
    assert 1 < alone.sum() < 24
    assert not B[:, alone].any()
    assert B[:, ~alone].any(axis=0).all()
    assert not weights(X, l1=1e6).any()


def test_candidates_listen_to_their_own_neighbours() -> None:
    """Users {a,b} ×3, {a,c} ×2, {b} ×9; one candidate a column but for a: w = (G − l1)/(G_kk + l2).

    From a to b (3 − 0.5)/(5 + 1) = 0.42, to c 1.5/6 = 0.25: b it is. The transposed weights, from
    b to a 2.5/13 = 0.19 and from c to a 1.5/3 = 0.5, would recommend c.
    """
    X = np.array([[1, 1, 0]] * 3 + [[1, 0, 1]] * 2 + [[0, 1, 0]] * 9, dtype=float)
    model = SLIM(l1=0.5, l2=1, tolerance=TIGHT).fit(from_dense(X, items=list("abc")))
    found = recommend(model, ["a"], 2)
    assert found.items == ["b", "c"]
    assert [r.score for r in found] == pytest.approx([2.5 / 6, 1.5 / 6])
    B = model.weights
    assert sp.issparse(B)
    assert B.toarray()[:, 0] == pytest.approx([0, 2.5 / 13, 0.5])


def test_a_catalogue_beyond_the_budget_is_refused_or_taken_with_neighbours() -> None:
    rng = np.random.default_rng(1)
    X = (rng.random((60, 900)) < 0.01).astype(float)
    log: Interactions = from_dense(X)
    run = Run(memory=500_000)
    with pytest.raises(MemoryBudgetError, match="slim on 900 items"):
        SLIM().fit(log, run=run)
    model = SLIM(neighbours=5, l1=0.1).fit(log, run=run)
    assert model.facts["weights"] > 900


def test_a_ridge_of_zero_is_refused() -> None:
    with pytest.raises(ModelError, match="l2=0"):
        SLIM(l2=0)


def test_values_beyond_float32_are_refused() -> None:
    with pytest.raises(ModelError, match="too large for float32"):
        SLIM().fit(from_dense(table(valued=False) * 1e17))
