"""The torch path, on torch's own CPU: the same answers as shoal's kernels."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp

import shoal
from shoal.data.interactions import Interactions
from shoal.errors import MissingExtraError, ModelError
from shoal.kernels import factors, ranking, spd
from shoal.testing import from_dense
from shoal.testing.checks import assert_same_lists

pytest.importorskip("torch", reason="needs torch: pip install 'shoal[deep]'")
from shoal.kernels import device


@pytest.fixture
def log() -> Interactions:
    rng = np.random.default_rng(1)
    return from_dense((rng.random((70, 30)) < 0.3).astype(float))


@pytest.fixture
def on_torch(monkeypatch: pytest.MonkeyPatch) -> shoal.Run:
    """A run whose accelerator is torch's CPU, in chunks of a few rows."""
    monkeypatch.setattr(shoal.Run, "torch_device", property(lambda self: "cpu"))
    monkeypatch.setattr(device, "CHUNK_BYTES", 4 * 30 * 7)
    return shoal.Run()


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_gram_and_inverse_against_numpy(
    log: Interactions, monkeypatch: pytest.MonkeyPatch, precision: type, weighted: bool
) -> None:
    monkeypatch.setattr(device, "CHUNK_BYTES", 4 * 30 * 7)
    rng = np.random.default_rng(2)
    weights = (rng.random(70) if weighted else np.ones(70)).astype(np.float32)
    ridge = rng.uniform(1, 5, 30)
    X = log.matrix.toarray().astype(float)
    exact = np.linalg.inv(X.T @ np.diag(weights.astype(float)) @ X + np.diag(ridge))
    P = device.gram_inverse(log.arrays, weights, ridge, "cpu", precision)
    assert P.dtype == precision
    np.testing.assert_allclose(P, exact, rtol=1e-3, atol=1e-5)


def test_a_matrix_that_is_not_positive_definite_is_an_error(log: Interactions) -> None:
    with pytest.raises(spd.NotPositiveDefiniteError):
        device.gram_inverse(log.arrays, np.ones(70, np.float32), np.full(30, -1e4), "cpu")


@pytest.mark.parametrize("name", ["ease", "rdlae"])
def test_a_fit_and_its_ranking_are_those_of_the_cpu(
    log: Interactions, on_torch: shoal.Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind = {"ease": shoal.EASE, "rdlae": shoal.RDLAE}[name]
    there = kind(l2=5, beta=0.3).fit(log, run=on_torch)
    everyone_there = shoal.recommend_all(there, log, 5, run=on_torch)
    monkeypatch.undo()
    here = kind(l2=5, beta=0.3).fit(log)
    np.testing.assert_allclose(there.weights, here.weights, rtol=1e-3, atol=1e-5)
    everyone_here = shoal.recommend_all(here, log, 5)
    assert everyone_there["user"].to_list() == everyone_here["user"].to_list()
    lists = [
        frame[column].to_numpy().reshape(-1, 5)
        for frame in (everyone_there, everyone_here)
        for column in ("item", "score")
    ]
    assert_same_lists(*lists, tolerance=1e-3)  # as far as the weights agree


def test_ranking_follows_the_same_rules(log: Interactions) -> None:
    rng = np.random.default_rng(3)
    B = rng.normal(size=(30, 30)).astype(np.float32)
    allowed = rng.random(30) < 0.5
    seen = log.indptr, log.indices
    expected = ranking.best_of_product(log.arrays, B, 12, *seen, allowed)
    items, scores = device.Ranker(B, "cpu").best(log.arrays, 12, *seen, allowed)
    assert_same_lists(items, scores, *expected)
    B[3, 4] = np.nan
    with pytest.raises(FloatingPointError):
        device.Ranker(B, "cpu").best(log.arrays, 12, *seen, allowed)


def test_devices_that_are_not_there() -> None:
    import torch

    assert shoal.Run(device="cpu").torch_device is None
    for wrong in ("gpu", "cuda:x", "", "tpu"):
        with pytest.raises(ModelError, match="write cpu, cuda"):
            shoal.Run(device=wrong)
    if not torch.cuda.is_available():
        assert shoal.Run(device="auto").torch_device is None
        with pytest.raises(ModelError, match="torch sees 0 CUDA devices"):
            _ = shoal.Run(device="cuda").torch_device


def test_without_torch_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert shoal.Run(device="auto").torch_device is None
    with pytest.raises(MissingExtraError, match=r"shoal\[deep\]"):
        _ = shoal.Run(device="cuda").torch_device


@pytest.mark.parametrize("corrected", [False, True])
def test_products_of_factors_are_ranked_as_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, corrected: bool
) -> None:
    monkeypatch.setattr(device, "CHUNK_BYTES", 4 * 300 * 7)
    rng = np.random.default_rng(0)
    U, V = (rng.normal(size=(m, 6)).astype(np.float32) for m in (40, 300))
    seen = (rng.random((40, 300)) < 0.1).astype(np.float32)
    X = sp.csr_array(seen)
    arrays = X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data
    allowed = rng.random(300) < 0.7
    plus = arrays if corrected else None
    rules = np.zeros(41, np.int64), np.empty(0, np.int32), allowed
    expected = factors.best_of_product(U, V, 9, *rules, plus)
    found = device.FactorRanker(V, "cpu").best(U, 9, *rules, plus)
    assert_same_lists(*found, *expected)


def test_elsa_ranks_on_the_device_as_on_the_cpu(log: Interactions, on_torch: shoal.Run) -> None:
    model = shoal.ELSA(factors=4, n_epochs=2, batch_size=20).fit(log, run=shoal.Run(threads=1))
    seen = log.matrix.indptr.astype(np.int64), log.matrix.indices.astype(np.int32)
    allowed = np.ones(30, np.bool_)
    here, there = (model.rank(log.matrix, 5, seen, allowed, d) for d in (None, "cpu"))
    assert_same_lists(*there, *here)
