"""The low-pass filter of a log against its formula in dense NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from shoal.base import graph
from shoal.base.low_pass import LowPass, singular_vectors
from shoal.data.interactions import CSR
from shoal.run import Run
from shoal.testing import from_dense
from tests.models.filter_helpers import low_pass, table

ONE = Run(threads=1)


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(("k", "b", "weight"), [(5, 0.5, 0.3), (29, 0.4, 1), (1, 0, 2), (8, 1, 1)])
def test_all_of_its_products_are_the_formula(k: int, b: float, weight: float, valued: bool) -> None:
    X = table(valued=valued)
    log = from_dense(X)
    low = LowPass.of("test", log, rank=k, exponent=b, weight=weight, run=ONE)
    expected = weight * low_pass(X, k, b)
    x = (np.random.default_rng(1).random((40, 30)) < 0.2).astype(np.float32)
    there = np.random.default_rng(2).normal(size=(40, 30)).astype(np.float32)
    close = {"atol": 2e-5 * np.abs(expected).max()}
    np.testing.assert_allclose(low.score(CSR(x)), x @ expected, **close)
    added = there.copy()
    low.add_to(added, CSR(x))
    np.testing.assert_allclose(added - there, x @ expected, **close)
    rows = np.array([3, 7, 29], np.int32)
    for item in (0, 11, 29):
        column = low.part_of_column(rows, item)
        np.testing.assert_allclose(column, expected[rows, item], **close)
    B = np.zeros((30, 30), np.float32)
    low.add_to_weights(B)
    np.testing.assert_allclose(B, expected, **close)


def test_the_vectors_of_a_higher_rank_begin_with_those_of_a_lower_one() -> None:
    log = from_dense(table())
    V = singular_vectors("test", log, 20, ONE)
    assert V.shape == (30, 20)
    sums = graph.degrees(log)[1]
    shared = LowPass.of_vectors(np.ascontiguousarray(V[:, :7]), sums, 0.5, 0.2)
    alone = LowPass.of("test", log, rank=7, exponent=0.5, weight=0.2, run=ONE)
    for name, array in alone.state().items():
        np.testing.assert_allclose(shared.state()[name], array, atol=1e-5)


def test_without_weight_nothing_is_computed_or_added() -> None:
    log = from_dense(table())
    low = LowPass.of("test", log, rank=7, exponent=0.5, weight=0, run=ONE)
    assert low.vectors.shape == (30, 0)
    assert not low.score(log.matrix).any()
    B = np.ones((30, 30), np.float32)
    low.add_to_weights(B)
    low.add_to(B, log.matrix[:30])
    assert (B == 1).all()


def test_there_are_no_more_vectors_than_the_log_has() -> None:
    """Two groups of users who share no item: R̃ has two values of 1, and no other."""
    X = np.kron(np.eye(2), np.ones((5, 6)))
    assert singular_vectors("test", from_dense(X), 9, ONE).shape == (12, 2)
