"""Compressed ELSA: how rows are thinned, that what was dropped stays 0, and what it scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import shoal
from shoal.models.compressed_elsa import CompressedELSA
from shoal.run import Run
from shoal.testing.contract import from_dense
from shoal.training import lowrank
from shoal.training.learner import Clock

from .test_layers import batch_of, counts
from .test_priors import circles

ONE = Run(threads=1)


def test_the_largest_values_of_each_row_are_kept() -> None:
    A = torch.tensor([[3.0, -5.0, 1.0, 0.5], [-0.1, 0.2, 0.4, -0.3]])
    expected = [[3.0, -5.0, 0.0, 0.0], [0.0, 0.0, 0.4, -0.3]]
    torch.testing.assert_close(lowrank.thinned(A, 2), torch.tensor(expected))
    assert lowrank.thinned(A, 4) is A


def test_each_epoch_keeps_the_same_share_of_the_one_before() -> None:
    model = CompressedELSA(factors=1024, nonzeros=16, pruning=6)
    assert [model._kept(e) for e in range(9)] == [1024, 512, 256, 128, 64, 32, 16, 16, 16]
    assert CompressedELSA(factors=8, nonzeros=16)._kept(0) == 8
    assert CompressedELSA(factors=8, nonzeros=2, pruning=0)._kept(0) == 2


@pytest.mark.parametrize("sampled", [0, 4])
def test_what_was_dropped_stays_zero(sampled: int) -> None:
    X = counts(12, 9)
    X.data[:] = 1
    model = CompressedELSA(factors=8, nonzeros=2, pruning=2, sampled=sampled)
    network: Any = model._build(*X.shape)
    (phase,) = model._phases(network)
    A = network["A"]

    def steps(count: int) -> None:
        for _ in range(count):
            phase.optimiser.zero_grad()
            loss = model._loss(network, batch_of(X), Clock(), torch.Generator().manual_seed(0))
            loss.backward()
            phase.optimiser.step()

    assert phase.begin is not None
    phase.begin(0)
    steps(3)  # momentum in every direction
    assert (A != 0).all()
    phase.begin(1)
    there = (A != 0).clone()
    assert (there.sum(dim=1) == 4).all()
    before = A.detach().clone()
    steps(3)
    assert torch.equal(A != 0, there)
    assert (A.detach() != before).any()


def test_it_scores_with_its_sparse_vectors_alone(tmp_path: Any) -> None:
    log = from_dense(circles())
    model = CompressedELSA(factors=6, nonzeros=2, pruning=5, n_epochs=40, batch_size=20)
    model.fit(log, run=ONE)
    A = model.vectors().astype(np.float64)
    assert ((A != 0).sum(axis=1) == 2).all()
    np.testing.assert_allclose(np.linalg.norm(A, axis=1), 1, rtol=1e-5)
    X = log.matrix.toarray()
    np.testing.assert_allclose(model.score(log.matrix), X @ (A @ A.T - np.eye(12)), atol=1e-5)
    state = model.state()
    assert state["data"].size == 2 * 12  # 8 bytes for each non-zero: itself and its place
    assert state["indices"].itemsize + state["data"].itemsize == 8
    same = (np.arange(12)[:, None] % 2) == (np.arange(12)[None, :] % 2)
    near, off = A @ A.T, ~np.eye(12, dtype=bool)
    # on average, since with two dimensions each some of a circle share none, and where a few steps
    # of training leave a single pair depends on the processor's rounding
    assert abs(near[~same].mean()) < 0.1
    assert near[same & off].mean() > 0.25
    kept = shoal.load(shoal.save(model, tmp_path / "m"))
    np.testing.assert_array_equal(kept.score(log.matrix), model.score(log.matrix))


def test_validation_looks_at_rows_as_they_are_stored() -> None:
    model = CompressedELSA(factors=6, nonzeros=2, pruning=5)
    X = counts()
    network: Any = model._build(*X.shape)
    A = network["A"].detach().numpy().astype(np.float64)
    smallest = np.sort(np.abs(A), axis=1)[:, [-2]]
    A = np.where(np.abs(A) >= smallest, A, 0)
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    expected = X.toarray() @ (A @ A.T - np.eye(9))
    with torch.inference_mode():
        found = model._scores(network, batch_of(X))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
