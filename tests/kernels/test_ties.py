"""The order of equal scores against Python's own sort, in lists that end among them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from shoal.base.weights import DenseWeights, best_of_scores
from shoal.kernels import ties
from shoal.kernels.threads import use_threads
from shoal.models.ease import EASE
from shoal.testing import from_dense


def scrambled(item: int) -> int:
    """The published hash "lowbias32" (C. Wellons, Hash Prospector) in Python's whole numbers."""
    x = item ^ (item >> 16)
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def test_the_kernel_scrambles_as_published() -> None:
    for item in (0, 1, 2, 3, 1000, 65_536, 2**31 - 1):
        assert ties.scrambled(item) == scrambled(item)


@pytest.mark.parametrize("k", [1, 3, 10, 40])
@pytest.mark.parametrize("n_values", [1, 3, 1000])
def test_lists_are_those_of_a_full_sort(n_values: int, k: int) -> None:
    rng = np.random.default_rng(k)
    scores = rng.integers(0, n_values, (30, 40)).astype(np.float32)
    out = sp.csr_array(rng.random((30, 40)) < 0.2)
    seen = out.indptr.astype(np.int64), out.indices.astype(np.int32)
    allowed = rng.random(40) < 0.8
    barred = out.toarray() | ~allowed
    expected = []
    for u in range(30):
        may = [i for i in range(40) if not barred[u, i]]
        may.sort(key=lambda i: (-scores[u, i], scrambled(i)))
        expected.append((may + [-1] * 40)[:k])
    for threads in (1, 2):
        with use_threads(threads):
            items, best = best_of_scores(scores.copy(), k, seen, allowed)
        np.testing.assert_array_equal(items, expected)
        where = items >= 0
        rows = np.nonzero(where)[0]
        np.testing.assert_array_equal(best[where], scores[rows, items[where]])


def test_a_product_in_one_pass_deals_equal_scores_alike() -> None:
    """Whole numbers as weights: sums are exact, so both ways find the same ties."""
    n, m = 60, 400
    rng = np.random.default_rng(0)
    B = rng.integers(0, 2, (n, n)).astype(np.float32)
    histories = sp.csr_array((rng.random((m, n)) < 0.1).astype(np.float32))
    model = EASE()
    model.restore({"weights": B})
    items = from_dense(np.ones((1, n)))
    model.restore_catalogue(items.items, items.items.series.to_frame("item"), "", {})
    assert DenseWeights(B).ranks_in_one_pass(histories)
    seen = histories.indptr.astype(np.int64), histories.indices.astype(np.int32)
    everything = np.ones(n, np.bool_)
    found = model.rank(histories, 5, seen, everything)
    expected = best_of_scores(model.score(histories), 5, seen, everything)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_no_ids_are_favoured() -> None:
    """Of 10,000 items of equal score, lists of 1,000 hold about as many low as high ids.

    The number below 5,000 has the deviation √(1000·¼·.9) = 15.
    """
    scores = np.zeros((1, 10_000), np.float32)
    nothing = np.zeros(2, np.int64), np.empty(0, np.int32)
    items, _ = best_of_scores(scores, 1000, nothing, np.ones(10_000, np.bool_))
    assert abs((items < 5000).sum() - 500) < 4 * 15
    assert abs((items % 2).sum() - 500) < 4 * 15
