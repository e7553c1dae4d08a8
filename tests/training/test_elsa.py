"""ELSA: its loss against the one that makes all scores, the estimate with some items, learning."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

import shoal
from shoal.data.size import Size
from shoal.models.elsa import ELSA
from shoal.models.mult_dae import MultDAE
from shoal.run import Run
from shoal.testing.contract import from_dense
from shoal.training import lowrank
from shoal.training.learner import Clock

from .test_layers import batch_of, counts, in_double
from .test_priors import circles

ONE = Run(threads=1)


def items(n: int = 9, k: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, k, generator=generator, dtype=torch.float64, requires_grad=True)


def test_the_loss_is_that_of_all_scores() -> None:
    X, A = counts(), items()
    x = torch.from_numpy(X.toarray()).double()
    unit = A / A.norm(dim=1, keepdim=True)
    y = x @ (unit @ unit.T - torch.eye(9))
    some = x.norm(dim=1) > 0
    naive = 1 - torch.nn.functional.cosine_similarity(x[some], y[some], dim=1)
    batch = in_double(batch_of(X))
    found = lowrank.cosine_loss(batch, *lowrank.exact(batch, A))
    torch.testing.assert_close(found[some], naive)
    assert (found[~some] == 1).all()  # empty histories
    mine = torch.autograd.grad(found[some].sum(), A, retain_graph=True)[0]
    torch.testing.assert_close(mine, torch.autograd.grad(naive.sum(), A)[0])
    torch.testing.assert_close(lowrank.scores(batch, A), y)


def test_some_items_stand_for_all() -> None:
    X = counts(3, 30)
    A = items(30).detach()
    batch = in_double(batch_of(X))
    unit = normalize(A)
    generator = torch.Generator().manual_seed(0)
    found = [lowrank.sampled(batch, A, 10, generator) for _ in range(3000)]
    torch.testing.assert_close(found[0][0], torch.from_numpy(X.toarray()).double() @ unit)
    mean = torch.stack([K for *_, K in found]).mean(dim=0)
    torch.testing.assert_close(mean, unit.T @ unit, rtol=0.05, atol=0.1)


def test_a_sampled_step_changes_the_rows_that_it_saw() -> None:
    X = counts(3, 200)
    X.data[:] = 1
    model = ELSA(factors=4, sampled=20)
    network: Any = model._build(*X.shape)
    before = network["A"].detach().clone()
    (phase,) = model._phases(network)
    model._loss(network, batch_of(X), Clock(), torch.Generator().manual_seed(0)).backward()
    phase.optimiser.step()
    changed = set(np.flatnonzero((network["A"].detach() != before).any(dim=1).numpy()))
    assert set(X.indices) <= changed
    assert len(changed) <= len(set(X.indices)) + 20


@pytest.mark.parametrize("sampled", [0, 5])
def test_two_circles_are_told_apart(sampled: int, tmp_path: Any) -> None:
    log = from_dense(circles())
    model = ELSA(factors=2, n_epochs=40, batch_size=20, sampled=sampled).fit(log, run=ONE)
    vectors = model.vectors()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    same = (np.arange(12)[:, None] % 2) == (np.arange(12)[None, :] % 2)
    near = vectors @ vectors.T
    assert near[same].min() > near[~same].max()
    row = log.matrix[[0]]
    parts = model.contributions(row.indices.astype(np.int32), np.ones(row.nnz, np.float32), 3)
    assert parts.sum() == pytest.approx(model.score(row)[0, 3], abs=1e-5)
    kept = shoal.load(shoal.save(model, tmp_path / "m"))
    np.testing.assert_array_equal(kept.score(log.matrix), model.score(log.matrix))


@pytest.mark.parametrize(("strategy", "epochs"), [("default", 12), ("early_stopping", 3)])
def test_the_strategy_decides_when_to_stop(
    strategy: Any, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ELSA, "metric", "ndcg@5")
    monkeypatch.setattr(ELSA, "_validation_metric", lambda self, validation: lambda: 0.5)
    parts = shoal.split(from_dense(circles()), "strong", validation=10, test=5)
    model = ELSA(factors=4, n_epochs=12, patience=2, strategy=strategy)
    model.fit(parts.train, parts.validation, ONE)
    assert model.facts["epochs"] == epochs


def test_the_device_of_a_policy_goes_before_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(Run, "torch_device", property(lambda run: asked.append(run.device)))
    log = from_dense(circles())
    for given in (None, "auto"):
        ELSA(factors=2, n_epochs=1, device=given).fit(log, run=Run(device="cpu", threads=1))
    assert asked == ["cpu", "auto"]
    with pytest.raises(shoal.ShoalError, match="device='tpu'"):
        ELSA(device="tpu")


def test_what_is_fitted_needs_no_torch(tmp_path: Any) -> None:
    log = from_dense(circles())
    model = ELSA(factors=2, n_epochs=2).fit(log, run=ONE)
    shoal.save(model, tmp_path / "m")
    script = "import sys; sys.modules['torch'] = None; import shoal; "
    script += f"print(shoal.recommend(shoal.load({str(tmp_path / 'm')!r}), [100, 104], 3).items)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(shoal.recommend(model, [100, 104], 3, run=ONE).items)


def test_rows_of_users_and_items_give_the_scores() -> None:
    log = from_dense(circles())
    model = ELSA(factors=3, n_epochs=2).fit(log, run=ONE)
    U, V = model.user_vectors(log.matrix), model.vectors()
    np.testing.assert_allclose(U, log.matrix @ V, atol=1e-5)
    expected = U @ V.T - log.matrix.toarray()
    np.testing.assert_allclose(model.score(log.matrix), expected, atol=1e-5)


def test_large_catalogues_are_scored_by_few_histories_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = from_dense(circles())
    model = MultDAE(n_epochs=2).fit(log, run=ONE)
    whole = model.score(log.matrix)
    monkeypatch.setattr("shoal.base.deep.MOST_SCORES", 3 * log.n_items)
    blocks: list[int] = []
    scores = MultDAE._scores
    monkeypatch.setattr(
        MultDAE, "_scores", lambda self, net, b: blocks.append(len(b)) or scores(self, net, b)
    )
    np.testing.assert_allclose(model.score(log.matrix), whole, rtol=1e-5, atol=1e-6)
    assert max(blocks) == 3
    assert sum(blocks) == log.n_users


def test_the_memory_of_some_items_grows_with_the_catalogue_by_its_vectors_alone() -> None:
    """Per item and dimension: 24 bytes in place of 60, once a batch touches few of the items."""
    counts = 10_000, 10**6, 10**6
    all_items, some = (ELSA(factors=8, sampled=q).bytes_to_fit(Size(*counts)) for q in (0, 1000))
    assert all_items - some == 36 * 8 * (10**6 - (512 * 100 + 1000))
