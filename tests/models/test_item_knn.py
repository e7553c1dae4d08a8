"""Item-kNN against brute force and scikit-learn, and its orientation."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_similarity

from shoal.inference.recommend import recommend
from shoal.models.item_knn import ItemKNN
from shoal.run import Run
from shoal.testing import from_dense

Matrix = NDArray[np.float64]


def table(*, valued: bool) -> Matrix:
    rng = np.random.default_rng(3)
    dense = (rng.random((60, 25)) < np.linspace(0.5, 0.05, 25)).astype(float)
    dense[:, 11] = 0  # an item that nobody has
    return dense * rng.uniform(0.5, 3, dense.shape).astype(np.float32) if valued else dense


def fitted(X: Matrix, k: int, shrink: float, threads: int = 1) -> Matrix:
    B = ItemKNN(k=k, shrink=shrink).fit(from_dense(X), run=Run(threads=threads)).weights
    assert sp.issparse(B)
    assert B.dtype == np.float32
    return B.toarray().astype(np.float64)


def brute(X: Matrix, k: int, shrink: float) -> Matrix:
    n = X.shape[1]
    B = np.zeros((n, n))
    for i in range(n):
        likeness = []
        for j in range(n):
            common = float(X[:, i] @ X[:, j])
            if j != i and common:
                norms = np.linalg.norm(X[:, i]) * np.linalg.norm(X[:, j])
                likeness.append((-common / (norms + shrink), j))
        for minus, j in sorted(likeness)[:k]:
            B[j, i] = -minus
    return B


@pytest.mark.parametrize("shrink", [0.0, 7.5])
@pytest.mark.parametrize("k", [1, 4, 24, 500])
def test_weights_are_those_of_brute_force(k: int, shrink: float) -> None:
    X = table(valued=True)  # values leave no ties, which rounding could order otherwise
    np.testing.assert_allclose(fitted(X, k, shrink), brute(X, k, shrink), rtol=1e-5)


def test_with_all_neighbours_and_no_shrinkage_it_is_the_cosine() -> None:
    X = table(valued=False)
    expected = cosine_similarity(X.T)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(fitted(X, 25, 0.0), expected, rtol=1e-5, atol=1e-7)


def test_each_item_has_at_most_k_neighbours_and_never_itself() -> None:
    B = fitted(table(valued=False), 3, 10.0)
    assert ((B > 0).sum(axis=0) <= 3).all()
    assert ((B > 0).sum(axis=0) == 3).any()
    assert (np.diag(B) == 0).all()
    assert (B[:, 11] == 0).all()
    assert (B[11] == 0).all()


def test_threads_do_not_change_a_bit() -> None:
    X = table(valued=True)
    np.testing.assert_array_equal(fitted(X, 4, 1.0, 1), fitted(X, 4, 1.0, 2))


def test_candidates_listen_to_their_own_neighbours() -> None:
    """Users {a,b} ×2, {a,c}, {c}, {b,d} ×3: counts a 3, b 5, c 2, d 3.

    cos(a,b) = 2/√15 = 0.52, cos(a,c) = 1/√6 = 0.41, cos(b,d) = 3/√15 = 0.77.
    With one neighbour each, c listens to a, and a listens to b, but b listens to d. So a history
    of a speaks for c alone; the transposed weights would recommend b.
    """
    X = np.array(
        [[1, 1, 0, 0]] * 2 + [[1, 0, 1, 0], [0, 0, 1, 0]] + [[0, 1, 0, 1]] * 3, dtype=float
    )
    model = ItemKNN(k=1, shrink=0).fit(from_dense(X, items=list("abcd")), run=Run(threads=1))
    found = recommend(model, ["a"], 3)
    assert found[0].item == "c"
    assert [r.score for r in found] == pytest.approx([1 / np.sqrt(6), 0, 0])
    B = model.weights
    assert sp.issparse(B)
    turned = sp.csr_array(B.T)
    model.restore({"indptr": turned.indptr, "indices": turned.indices, "data": turned.data})
    assert recommend(model, ["a"], 3)[0].item == "b"


def test_of_equals_the_lower_number_is_taken_in_whatever_order_they_are_met() -> None:
    """Item 0 is met first with the high numbers, then with the low ones, all as like as another."""
    X = np.zeros((2, 2000))
    X[0, [0, *range(1000, 2000)]] = 1
    X[1, [0, *range(1, 900)]] = 1
    B = ItemKNN(k=5, shrink=0.0).fit(from_dense(X)).weights
    assert sp.issparse(B)
    assert np.flatnonzero(B[:, [0]].toarray()[:, 0]).tolist() == [1, 2, 3, 4, 5]
