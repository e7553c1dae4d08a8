"""Products of one vector with many: the bounds of the 8-bit copy hold, and the best are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shoal
from shoal.base import factored
from shoal.kernels import one_row, topk
from shoal.models.elsa import ELSA
from shoal.run import Run
from shoal.testing import from_dense
from shoal.testing.toys import two_groups

ONE = Run(threads=1)
NOTHING = np.zeros(2, np.int64), np.empty(0, np.int32)


def vectors(seed: int, n: int, d: int, spread: float) -> tuple[Any, Any]:
    """V with rows of very different lengths, of which some are 0 and some stand twice, and u."""
    rng = np.random.default_rng(seed)
    V = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-spread, spread, (n, 1))
    V[rng.random(n) < 0.1] = 0
    V[rng.integers(0, n, n // 4)] = V[rng.integers(0, n, n // 4)]
    return V.astype(np.float32), rng.normal(size=d).astype(np.float32)


shapes = st.tuples(
    st.integers(0, 10**6),
    st.integers(4, 200),
    st.integers(1, 300),
    st.sampled_from([0.0, 1.0, 4.0]),
)


@settings(deadline=None, max_examples=60)
@given(shape=shapes)
def test_products_are_those_of_numpy_in_double(shape: tuple[int, int, int, float]) -> None:
    V, u = vectors(*shape)
    exact = V.astype(np.float64) @ u.astype(np.float64)
    lengths = np.linalg.norm(V.astype(np.float64), axis=1) * np.linalg.norm(u)
    found = one_row.dots(V, u)
    assert (np.abs(found - exact) <= 1e-6 * (lengths + 1e-30)).all()
    some = np.random.default_rng(0).permutation(len(V))[: len(V) // 2].astype(np.int32)
    np.testing.assert_array_equal(one_row.dots(V, u, some), found[some])


@settings(deadline=None, max_examples=60)
@given(shape=shapes)
def test_every_product_lies_within_its_bounds(shape: tuple[int, int, int, float]) -> None:
    V, u = vectors(*shape)
    copy = one_row.rounded(V)
    assert copy is not None
    bounds = one_row.enclosed(u, copy)
    assert bounds is not None
    products = one_row.dots(V, u)
    assert (bounds[0] <= products).all()
    assert (products <= bounds[1]).all()
    # and they are narrow: an 8-bit number is within 1/254 of the largest of its row
    largest = np.abs(V).max(axis=1).astype(np.float64)
    widest = np.linalg.norm(u) * largest * np.sqrt(u.size) * (1 / 254 + 1 / 127)
    assert (bounds[1] - bounds[0] <= 2 * widest + 1e-5 * np.abs(products) + 1e-6).all()


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 12), spread=st.sampled_from([0.0, 1.0]))
def test_the_best_are_among_the_candidates(seed: int, k: int, spread: float) -> None:
    n = 2_000
    V, u = vectors(seed, n, 24, spread)
    rng = np.random.default_rng(seed)
    barred = np.unique(rng.integers(0, n, 20)).astype(np.int32)
    free = np.unique(rng.integers(0, n, 5)).astype(np.int32)
    allowed = rng.random(n) < 0.7
    copy = one_row.rounded(V)
    assert copy is not None
    items = one_row.candidates(u, copy, k, barred, free, allowed)
    if items is None:
        return
    products = one_row.dots(V, u)
    extents = np.array([0, barred.size], np.int64)
    whole, scores = topk.best(products[None].copy(), k, extents, barred, allowed)
    assert set(whole[0].tolist()) <= set(items.tolist())
    assert set(free[allowed[free] & ~np.isin(free, barred)].tolist()) <= set(items.tolist())
    assert allowed[items].all()
    assert not np.isin(items, barred).any()
    without_free = items[~np.isin(items, free) | np.isin(items, whole[0])]
    lists = one_row.best_of_candidates(products[without_free], without_free, k)
    row = one_row.spread(products[without_free], without_free, n)
    np.testing.assert_array_equal(lists[0], whole)
    np.testing.assert_array_equal(lists[1], scores)
    np.testing.assert_array_equal(row[0, without_free], products[without_free])
    assert (np.delete(row[0], without_free) == -np.inf).all()


def test_where_bounds_tell_nothing_there_are_no_candidates() -> None:
    V = np.ones((100, 8), np.float32)
    copy = one_row.rounded(V)
    assert copy is not None
    rules = NOTHING[1], NOTHING[1], np.ones(100, np.bool_)
    assert one_row.candidates(np.ones(8, np.float32), copy, 3, *rules) is None  # all are alike
    assert one_row.candidates(np.zeros(8, np.float32), copy, 3, *rules) is None
    assert one_row.candidates(np.full(8, np.nan, np.float32), copy, 3, *rules) is None
    nobody = NOTHING[1], NOTHING[1], np.arange(100) < 2
    assert one_row.candidates(np.ones(8, np.float32), copy, 3, *nobody) is None  # 2 of 3
    V[3, 3] = np.inf
    assert one_row.rounded(V) is None


@pytest.mark.parametrize("duplicates", [False, True])
def test_lists_are_the_same_to_the_bit_with_the_copy_and_without(
    duplicates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    n = 3_000
    A = rng.normal(size=(n, 16)).astype(np.float32)
    if duplicates:  # 20 items with each vector, so that every list ends among equal scores
        A = A[np.arange(n) % (n // 20)]
    model = ELSA(factors=16)
    model.restore({"vectors": A / np.linalg.norm(A, axis=1, keepdims=True)})
    model.take_catalogue(from_dense(np.ones((2, n))))
    histories = [rng.choice(n, size, replace=False) + 100 for size in (1, 3, 20, 60)]
    rules = [{}, {"exclude_seen": False}, {"exclude": [100, 101]}, {"only": range(100, 900)}]
    asked = [(h.tolist(), k, r) for h in histories for k in (1, 10, 50) for r in rules]
    before = [shoal.recommend(model, h, k, run=ONE, **r) for h, k, r in asked]
    model.round_vectors()
    assert model._rounded is None  # too small for a copy
    monkeypatch.setattr(factored, "_LARGE", 0)
    model.round_vectors()
    assert model._rounded is not None
    used = []
    best = one_row.best_of_candidates
    monkeypatch.setattr(one_row, "best_of_candidates", lambda *a: used.append(1) or best(*a))
    assert [shoal.recommend(model, h, k, run=ONE, **r) for h, k, r in asked] == before
    assert len(used) > len(asked) // 2
    explained = shoal.explain(model, asked[0][0], before[0][0].item)
    assert (explained.score, explained.rank) == (before[0][0].score, 1)


def test_new_vectors_have_no_old_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factored, "_LARGE", 0)
    model = ELSA(factors=4, n_epochs=1).fit(from_dense(two_groups()), run=ONE)
    model.round_vectors()
    other = ELSA(factors=4, n_epochs=5, lr=0.2).fit(from_dense(two_groups()), run=ONE)
    model.restore(other.state())
    assert (
        shoal.recommend(model, [100, 102], 3, run=ONE).items
        == shoal.recommend(other, [100, 102], 3, run=ONE).items
    )
