"""Pruned EASE against EASE and argsort, and its grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from shoal.data.interactions import Interactions
from shoal.inference.recommend import recommend
from shoal.kernels import spd
from shoal.models.ease import EASE
from shoal.models.pruned_ease import PrunedEASE
from shoal.run import Run
from shoal.testing import from_dense
from shoal.testing.checks import assert_same_lists

ONE = Run(threads=1)


@pytest.fixture
def log() -> Interactions:
    rng = np.random.default_rng(5)
    return from_dense((rng.random((150, 40)) < rng.uniform(0.05, 0.4, 40)).astype(float))


@pytest.mark.parametrize("more", [{}, {"alpha": 0.3, "beta": 0.2}, {"nonnegative": True}])
@pytest.mark.parametrize("keep", [1, 6, 39, 1000])
def test_each_column_keeps_its_largest_weights(
    log: Interactions, keep: int, more: dict[str, Any]
) -> None:
    whole = EASE(l2=9, **more).fit(log, run=ONE)
    B = PrunedEASE(l2=9, keep=keep, **more).fit(log, run=ONE)
    assert sp.issparse(B.weights)
    expected = whole.weights.copy()
    order = np.argsort(-np.abs(expected), axis=0, kind="stable")
    np.put_along_axis(expected, order[keep:], 0, axis=0)
    np.testing.assert_array_equal(B.weights.toarray(), expected)
    assert B.facts["weights"] == B.weights.nnz == (expected != 0).sum()
    assert B.facts["negative_weights"] == whole.facts["negative_weights"]


def test_with_all_weights_it_recommends_as_ease(log: Interactions) -> None:
    history = log.items.take([1, 2, 7])
    mine = recommend(PrunedEASE(l2=9, keep=40).fit(log, run=ONE), history, 5, because=True)
    ease = recommend(EASE(l2=9).fit(log, run=ONE), history, 5, because=True)
    lists = [(found.items, [r.score for r in found]) for found in (mine, ease)]
    assert_same_lists(*lists[0], *lists[1])
    for row in mine:
        assert sum(w.contribution for w in row.because) == pytest.approx(row.score, rel=1e-4)


def test_a_grid_over_keep_takes_one_inverse(
    log: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    inversions = []
    original = spd.invert_upper

    def counting(matrix: Any, *rest: Any) -> None:
        inversions.append(len(matrix))
        original(matrix, *rest)

    monkeypatch.setattr(spd, "invert_upper", counting)
    settings = [{"l2": v, "keep": k} for k in (30, 3, 100) for v in (9.0, 20.0)]
    found = {}
    for at, model in PrunedEASE.fit_grid(settings, log, run=ONE):
        found[at] = model.weights.toarray(), model.facts, model.items
    assert len(inversions) == 2
    assert sorted(found) == list(range(6))
    for at, one in enumerate(settings):
        alone = PrunedEASE(**one).fit(log, run=ONE)
        np.testing.assert_array_equal(found[at][0], alone.weights.toarray())
        assert found[at][1:] == (alone.facts, alone.items)


def test_the_state_is_as_small_as_what_is_kept(log: Interactions) -> None:
    state = PrunedEASE(keep=2).fit(log).state()
    assert sorted(state) == ["data", "indices", "indptr"]
    assert state["data"].size == 2 * log.n_items
