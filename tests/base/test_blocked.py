"""B in blocks of columns: every method gives what the whole matrix gives, bit by bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.base.blocked import BlockedWeights
from shoal.base.forms import from_state, weights_spec
from shoal.base.weights import DenseWeights
from shoal.data.interactions import CSR
from shoal.errors import ModelError
from shoal.kernels import ties
from shoal.kernels.arrays import Float


def weights(n: int, rng: np.random.Generator, *, whole_numbers: bool = False) -> Float:
    B = rng.integers(-3, 4, (n, n)) if whole_numbers else rng.normal(size=(n, n))
    return np.ascontiguousarray(B, np.float32)


def blocked(B: Float, edges: list[int]) -> BlockedWeights:
    return BlockedWeights([B[:, a:b].copy() for a, b in itertools.pairwise(edges)])


def histories(m: int, n: int, rng: np.random.Generator) -> CSR:
    return CSR((rng.random((m, n)) < 0.3) * rng.normal(size=(m, n)).astype(np.float32))


@settings(deadline=None, max_examples=40)
@given(
    widths=st.lists(st.integers(1, 50), min_size=1, max_size=6),
    seed=st.integers(0, 99),
    ties_too=st.booleans(),
)
def test_scores_and_lists_have_the_bits_of_the_whole_matrix(
    widths: list[int], seed: int, ties_too: bool
) -> None:
    rng = np.random.default_rng(seed)
    edges = [0, *itertools.accumulate(widths)]
    n = edges[-1]
    B = weights(n, rng, whole_numbers=ties_too)
    x = histories(9, n, rng)
    if ties_too:
        x.data[:] = 1
    one, many = DenseWeights(B), blocked(B, edges)
    assert np.array_equal(many.score(x), one.score(x))
    items = rng.integers(-1, n, (9, 3)).astype(np.int32)
    for few in (items, items[:, :1]):
        real = few >= 0
        assert np.array_equal(many.score_items(x, few)[real], one.score_items(x, few)[real])
    allowed = rng.random(n) < 0.9
    seen = x.indptr.astype(np.int64), x.indices.astype(np.int32)
    k = min(5, n)
    for ours, theirs in zip(
        many.best(x, k, seen, allowed), one.best(x, k, seen, allowed), strict=True
    ):
        assert np.array_equal(ours, theirs)
    dealt = [
        ties.dealt(
            *w.best(x, min(k + 1, n), seen, allowed), k, lambda r, w=w: w.score(x[r]), seen, allowed
        )
        for w in (one, many)
    ]
    assert np.array_equal(dealt[0][0], dealt[1][0])


def test_columns_and_parts_of_them() -> None:
    rng = np.random.default_rng(1)
    B, edges = weights(30, rng), [0, 7, 20, 30]
    many, items = blocked(B, edges), np.array([29, 0, 7, 6, 20], np.int32)
    for item in (0, 6, 7, 19, 20, 29):
        assert np.array_equal(many.column(item), B[:, item])
        assert np.array_equal(many.part_of_column(items, item), B[items, item])
    assert np.array_equal(many.among(items), B[np.ix_(items, items)])
    assert np.array_equal(many.matrix(), B)
    off = B[~np.eye(30, dtype=bool)]
    assert many.facts() == {"negative_weights": pytest.approx((off < 0).mean())}
    assert many.facts() == DenseWeights(B).facts()


def test_blocks_are_arrays_of_the_state_and_come_back_from_it() -> None:
    B = weights(12, np.random.default_rng(2))
    state = blocked(B, [0, 5, 12]).state()
    assert list(state) == ["weights.00000", "weights.00001"]
    assert len(weights_spec(state)) == 2
    assert np.array_equal(from_state(state).matrix(), B)


def test_a_missing_block_is_told() -> None:
    B = weights(12, np.random.default_rng(2))
    with pytest.raises(ModelError, match="2 blocks have 9 columns together, for 12 items"):
        BlockedWeights([B[:, :5], B[:, 8:]])
