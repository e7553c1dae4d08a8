"""The sparse Markov random field against the formula, a slow version in numpy, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

import shoal
from shoal.errors import MemoryBudgetError, ModelError
from shoal.inference.recommend import recommend
from shoal.kernels import covariance, sparse_blocks
from shoal.models.mrf import MRF
from shoal.run import Run
from shoal.testing import from_dense

Matrix = NDArray[np.float64]


def table(m: int, n: int, *, valued: bool, seed: int = 3) -> Matrix:
    """Tastes in five directions, and popular items as well as rare ones."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(m, 5)) @ rng.normal(size=(5, n)) + rng.normal(size=(m, n))
    dense = (taste > np.linspace(0, 4, n)).astype(float)
    return dense * rng.uniform(0.5, 3, dense.shape).astype(np.float32) if valued else dense


def weights(X: Matrix, threads: int = 1, **settings: float) -> Matrix:
    model = MRF(**settings).fit(from_dense(X), run=Run(threads=threads))
    B = model.weights
    assert sp.issparse(B)
    assert B.dtype == np.float32
    return B.toarray().astype(np.float64)


def set_room(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Bytes for rows of XᵀX that are kept."""
    monkeypatch.setattr(MRF, "_room", lambda _self, _n: room)


def covariances(X: Matrix, alpha: float) -> tuple[Matrix, Matrix]:
    """G̃ and v^(α/2)."""
    mean = X.mean(axis=0)
    G = X.T @ X - len(X) * np.outer(mean, mean)
    scale = G.diagonal() ** (alpha / 2)
    return G / np.outer(scale, scale), scale


def slow(X: Matrix, l2: float, alpha: float, wanted: int, most: int) -> Matrix:
    """The algorithm of the paper with r = 0, one inverse for each item."""
    G, scale = covariances(X, alpha)
    n = len(G)
    strength = np.abs(G)
    np.fill_diagonal(strength, -1)
    pattern = np.zeros((n, n), bool)
    for i in range(n):
        pattern[np.argsort(-strength[:, i], kind="stable")[: min(most, n - 1)], i] = True
    threshold = np.sort(strength[pattern])[::-1][wanted] if pattern.sum() > wanted else -1
    B = np.zeros((n, n))
    for i in range(n):
        near = np.flatnonzero(pattern[:, i] & (strength[:, i] > threshold))
        block = [*near, i]
        P = np.linalg.inv(G[np.ix_(block, block)] + l2 * np.eye(len(block)))
        B[near, i] = -P[:-1, -1] / P[-1, -1]
    return B / scale[:, None] * scale


@pytest.mark.parametrize("alpha", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("valued", [False, True])
def test_with_all_neighbours_it_is_the_dense_formula(valued: bool, alpha: float) -> None:
    X, l2 = table(300, 50, valued=valued), 2.0
    G, scale = covariances(X, alpha)
    P = np.linalg.inv(G + l2 * np.eye(50))
    B = -P / P.diagonal()
    np.fill_diagonal(B, 0)
    expected = B / scale[:, None] * scale
    found = weights(X, l2=l2, alpha=alpha, density=1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("keep_rows", [True, False])
@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(
    "limits",
    [
        {"density": 0.1},
        {"neighbours": 4},
        {"neighbours": 40, "max_neighbours": 7},
        {"neighbours": 12, "max_neighbours": 20},
        {"neighbours": 1},
    ],
)
def test_weights_are_those_of_a_slow_version(
    limits: dict[str, float], valued: bool, keep_rows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_room(monkeypatch, 2**20 if keep_rows else 0)
    n, l2, alpha = 80, 1.5, 0.6
    X = table(400, n, valued=valued)
    settings: dict[str, float] = {"neighbours": 200, "density": 1.0, "max_neighbours": n} | limits
    wanted = int(min(settings["density"] * n * n, settings["neighbours"] * n, n * (n - 1)))
    expected = slow(X, l2, alpha, wanted, int(settings["max_neighbours"]))
    found = weights(X, l2=l2, alpha=alpha, **settings)
    assert 0 < (found != 0).sum() <= wanted
    np.testing.assert_array_equal(found != 0, expected != 0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kept_rows", [0, 3, 7])
def test_common_users_are_the_same_from_rows_that_are_kept_and_from_users(
    kept_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more users than are counted together, and more pairs than the lists begin with."""
    n = 12
    X = np.repeat(table(700, n, valued=False), 2 * sparse_blocks.USERS // 700, axis=0)
    assert len(X) > 1.9 * sparse_blocks.USERS
    every = weights(X, neighbours=7)
    set_room(monkeypatch, kept_rows * 4 * n)
    np.testing.assert_allclose(weights(X, neighbours=7), every, rtol=1e-6)


@pytest.mark.parametrize("keep_rows", [True, False])
def test_threads_do_not_change_a_bit(keep_rows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    set_room(monkeypatch, 2**14 if keep_rows else 0)
    X = table(300, 120, valued=True)
    one, two = (weights(X, threads=t, neighbours=20) for t in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_the_facts_say_how_the_graph_was_pruned() -> None:
    X = table(400, 80, valued=True)
    log = from_dense(X)
    model = MRF(density=0.1, max_neighbours=15).fit(log)
    facts, B = model.facts, model.weights
    assert sp.issparse(B)
    per_item = np.bincount(B.indices, minlength=80)
    assert facts["weights"] == B.nnz <= 640
    assert facts["density"] == B.nnz / 80**2
    assert (facts["neighbours_min"], facts["neighbours_max"]) == (per_item.min(), per_item.max())
    assert facts["neighbours_median"] == np.median(per_item)
    assert facts["negative_weights"] == pytest.approx((B.data < 0).mean())
    strength = np.abs(covariances(X, 0.75)[0])
    kept = B.toarray() != 0
    assert strength[kept].min() > facts["threshold"] * (1 - 1e-6)
    open_columns = per_item < 15  # the others have more above the threshold
    left_out = ~kept[:, open_columns] & ~np.eye(80, dtype=bool)[:, open_columns]
    assert strength[:, open_columns][left_out].max() <= facts["threshold"] * (1 + 1e-6)


def test_an_item_without_users_or_without_variance_has_no_weights() -> None:
    X = table(200, 30, valued=False)
    X[:, 4], X[:, 9] = 0, 1
    B = weights(X)
    assert not B[[4, 9]].any()
    assert not B[:, [4, 9]].any()
    others = [i for i in range(30) if i not in (4, 9)]
    alone = weights(X[:, others])
    np.testing.assert_allclose(B[np.ix_(others, others)], alone, rtol=1e-5)


def test_items_that_are_left_without_neighbours_are_counted() -> None:
    """Two groups of users have a pair of items each; a fifth item goes with nothing."""
    X = np.array([[1, 1, 0, 0, 0]] * 20 + [[0, 0, 1, 1, 0]] * 20 + [[0, 0, 0, 0, 0]] * 20, float)
    X[::7, 4] = 1
    facts = MRF(neighbours=1, max_neighbours=2).fit(from_dense(X)).facts
    assert facts["without_neighbours"] == 1
    assert facts["neighbours_min"] == 0


def test_a_density_of_less_than_one_neighbour_is_refused() -> None:
    X = table(100, 40, valued=False)
    with pytest.raises(ModelError, match=r"density=0\.02 of 40 items .* give 0\.028 or more"):
        MRF(density=0.02).fit(from_dense(X))
    MRF(density=0.028).fit(from_dense(X))


def test_what_does_not_fit_names_the_limits() -> None:
    log = from_dense(table(100, 40, valued=False))
    with pytest.raises(MemoryBudgetError, match=r"--min-item-users.*--memory.*max_neighbours"):
        MRF().fit(log, run=Run(memory=10_000))


def test_a_ridge_that_is_too_small_is_refused_and_a_larger_one_is_exact() -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((400, 12)) < 0.5).astype(float)
    X[:, 1::2] = X[:, ::2]  # pairs of equal items
    with pytest.raises(ModelError, match="l2=1e-30 is too small"):
        MRF(l2=1e-30).fit(from_dense(X))
    l2 = 1e-3
    G, scale = covariances(X, 0.75)
    P = np.linalg.inv(G + l2 * np.eye(12))
    expected = -P / P.diagonal() / scale[:, None] * scale
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(weights(X, l2=l2), expected, rtol=1e-4, atol=1e-5)


def test_candidates_listen_to_their_own_neighbours() -> None:
    """Of 40 users 10 have {a, b}, 10 {b} and 20 {c}: with one neighbour each, α = 0 and λ = 5.

    Sums 10, 20, 20, so G̃_ab = 10 − 10·20/40 = 5, G̃_ac = −5, G̃_bc = −10, and v = 7.5, 10, 10. The
    one neighbour of b is c, that of c is b, and a, where two are equal, takes the first, b:
    B[b, a] = 5/(10 + 5), B[c, b] = B[b, c] = −10/(10 + 5). A history of b speaks for a; the
    transposed weights would let a speak for b, and b for nobody but c.
    """
    X = np.array([[1, 1, 0]] * 10 + [[0, 1, 0]] * 10 + [[0, 0, 1]] * 20, dtype=float)
    settings = {"l2": 5, "alpha": 0, "neighbours": 2, "max_neighbours": 1}
    B = weights(X, **settings)
    expected = np.array([[0, 0, 0], [1 / 3, 0, -2 / 3], [0, -2 / 3, 0]])
    np.testing.assert_allclose(B, expected, rtol=1e-6, atol=1e-7)
    model = MRF(**settings).fit(from_dense(X, items=list("abc")))
    assert recommend(model, ["b"], 1)[0].item == "a"
    assert recommend(model, ["b"], 1)[0].score == pytest.approx(1 / 3)
    assert recommend(model, ["a"], 1)[0].score == 0


def test_no_row_is_as_long_as_the_catalogue_where_it_need_not_be() -> None:
    """More items than the sample has: the threshold is cut to what was asked."""
    n = covariance.SAMPLE + 400
    X = table(600, n, valued=True)
    X[np.arange(n) % 600, np.arange(n)] += 1  # nobody is left without users
    model = shoal.MRF(neighbours=5).fit(from_dense(X))
    B = model.weights
    assert sp.issparse(B)
    assert 0.9 * 5 * n < B.nnz <= 5 * n
    expected = slow(X, 10.0, 0.75, 5 * n, 1000)
    differ = (B.toarray() != 0) != (expected != 0)
    assert differ.sum() < 0.01 * B.nnz  # equal strengths at the threshold
    same = ~differ.any(axis=0)
    np.testing.assert_allclose(B.toarray()[:, same], expected[:, same], rtol=1e-3, atol=1e-5)
