"""RP3β against the transition matrices of its paper, walks counted one by one, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from shoal.errors import MemoryBudgetError, ModelError
from shoal.inference.recommend import recommend
from shoal.models.rp3beta import RP3Beta
from shoal.run import Run
from shoal.testing import from_dense
from tests.models import filter_helpers
from tests.models.filter_helpers import Matrix

ONE = Run(threads=1)


def table(*, valued: bool) -> Matrix:
    """50 users, 20 items; item 7 and two users are empty."""
    return filter_helpers.table(50, 20, valued=valued, seed=5, empty_item=7)


def weights(X: Matrix, **settings: float) -> Matrix:
    B = RP3Beta(**settings).fit(from_dense(X), run=ONE).weights
    assert sp.issparse(B)
    return np.asarray(B.toarray(), np.float64)


def walked(X: Matrix, alpha: float, beta: float) -> Matrix:
    """Steps item → user → item, with probabilities by the weights of the edges, each to the α."""
    n = X.shape[1]
    B = np.zeros((n, n))
    for j in range(n):
        for u in np.flatnonzero(X[:, j]):
            back = X[u, j] / X[:, j].sum()
            for i in np.flatnonzero(X[u]):
                on = X[u, i] / X[u].sum()
                B[j, i] += back**alpha * on**alpha / X[:, i].sum() ** beta
    return B


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(("alpha", "beta"), [(1, 0), (1, 0.6), (1.7, 0.3), (0.4, 1.2), (0, 0)])
def test_weights_are_those_of_the_walks(alpha: float, beta: float, valued: bool) -> None:
    X = table(valued=valued)
    found, expected = weights(X, alpha=alpha, beta=beta), walked(X, alpha, beta)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_three_users_by_hand() -> None:
    """Users {a,b}, {a,c}, {a}. From a, each of the three users with 1/3, and on with 1/2 to b or c.

    So a → b has 1/6, and b → a 1/2 (b has one user, who has two items). b and c have one user each,
    a has three, so β = 1 leaves 1/6 for a → b, and 1/6 for b → a.
    """
    X = np.array([[1, 1, 0], [1, 0, 1], [1, 0, 0]])
    a_row = [(1 / 2 + 1 / 2 + 1) / 3, 1 / 6, 1 / 6]
    expected = np.array([a_row, [1 / 2, 1 / 2, 0], [1 / 2, 0, 1 / 2]])
    np.testing.assert_allclose(weights(X, alpha=1, beta=0), expected, rtol=1e-6)
    np.testing.assert_allclose(weights(X, alpha=1, beta=1), expected / [3, 1, 1], rtol=1e-6)


def test_walks_of_all_steps_end_somewhere() -> None:
    """With α = 1 and β = 0 a row holds the probabilities of all ends, which add up to 1."""
    X = table(valued=True)
    ends = weights(X, alpha=1, beta=0).sum(axis=1)
    np.testing.assert_allclose(ends, np.arange(20) != 7, atol=1e-6)


def test_the_penalty_prefers_the_less_popular() -> None:
    """Of a's three users, two have b, who has seven more, and one has c. P3 puts b first, β c."""
    X = np.array([[1, 1, 0]] * 2 + [[1, 0, 1]] + [[0, 1, 0]] * 7)
    for beta, first in ((0, "b"), (0.6, "c")):
        model = RP3Beta(beta=beta).fit(from_dense(X, items=list("abc")), run=ONE)
        assert recommend(model, ["a"], 2)[0].item == first


@pytest.mark.parametrize("k", [1, 3, 100])
def test_neighbours_are_the_largest_weights_of_each_item_of_a_history(k: int) -> None:
    X = table(valued=True)  # values leave no ties, which rounding could order otherwise
    expected = walked(X, 1.2, 0.5)
    for j in range(20):
        others = [i for i in np.argsort(-expected[j]) if i != j]
        expected[j, others[k:]] = 0
    found = weights(X, alpha=1.2, beta=0.5, neighbours=k)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_more_pairs_than_the_budget_holds_are_refused() -> None:
    X = np.eye(400)
    X[0] = 1
    with pytest.raises(MemoryBudgetError, match=r"rp3beta: 160,000 pairs of items"):
        RP3Beta().fit(from_dense(X), run=Run(threads=1, memory=300_000))


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"alpha": -1}, {"beta": -0.1}, {"neighbours": -1}):
        with pytest.raises(ModelError, match=next(iter(wrong))):
            RP3Beta(**wrong)
