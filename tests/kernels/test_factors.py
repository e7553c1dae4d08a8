"""Products of factors and selection in tiles, against all scores at once."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from shoal.kernels import factors, topk
from shoal.kernels.threads import use_threads
from shoal.testing.checks import assert_same_lists

from .test_ranking import arrays, sparse


def whole_numbers(m: int, d: int, seed: int) -> np.ndarray:
    """Small whole numbers: products are exact in float32 in any order, and many are equal."""
    return np.random.default_rng(seed).integers(-3, 4, (m, d)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 31, 33, 700])
@pytest.mark.parametrize("k", [1, 7, 700])
@pytest.mark.parametrize("of", ["dense", "sparse"])
def test_the_lists_of_all_scores_at_once(
    n: int, k: int, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factors, "_ROWS", 16)
    monkeypatch.setattr(factors, "_SCORES", 16 * 48)  # several tiles each way, the last ones cut
    U, V = whole_numbers(60, 5, 1), whole_numbers(n, 5, 2)
    seen, plus = sparse(60, n, 3), sparse(60, n, 4)
    plus.data[:] = np.round(3 * plus.data)
    allowed = np.random.default_rng(5).random(n) < 0.8
    excluded = arrays(seen)[:2]
    scores = (U @ V.T + plus.toarray()).astype(np.float32)
    expected = topk.best(scores, k, *excluded, allowed)
    given = V if of == "dense" else arrays(sp.csr_array(V))
    for threads in (1, 2):
        with use_threads(threads):
            found = factors.best_of_product(U, given, k, *excluded, allowed, arrays(plus))
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("of", ["dense", "sparse"])
def test_against_numpy(of: str) -> None:
    rng = np.random.default_rng(0)
    U, V = rng.normal(size=(40, 30)), rng.normal(size=(3000, 30))
    given = V.astype(np.float32) if of == "dense" else arrays(sp.csr_array(V))
    scores = U @ V.T
    rules = np.zeros(41, np.int64), np.empty(0, np.int32), np.ones(3000, np.bool_)
    items, values = factors.best_of_product(U.astype(np.float32), given, 10, *rules)
    expected = np.argsort(-scores, axis=1)[:, :10], -np.sort(-scores, axis=1)[:, :10]
    assert_same_lists(items, values, *expected)
    some = factors.products(U.astype(np.float32), given)
    np.testing.assert_allclose(some, scores, atol=1e-4)


def test_a_nan_is_an_error_unless_it_cannot_be_chosen() -> None:
    U, V = np.ones((2, 3), np.float32), np.ones((50, 3), np.float32)
    V[49, 1] = np.nan
    rules = np.zeros(3, np.int64), np.empty(0, np.int32), np.ones(50, np.bool_)
    with pytest.raises(FloatingPointError):
        factors.best_of_product(U, V, 2, *rules)
    rules[2][49] = False
    assert factors.best_of_product(U, V, 2, *rules)[0].tolist() == [[0, 1], [0, 1]]


def test_no_rows_give_no_lists() -> None:
    rules = np.zeros(1, np.int64), np.empty(0, np.int32), np.ones(4, np.bool_)
    items, scores = factors.best_of_product(
        np.empty((0, 3), np.float32), np.ones((4, 3), np.float32), 2, *rules
    )
    assert items.shape == scores.shape == (0, 2)
