"""RecVAE and H+Vamp: priors against torch's distributions and loops, losses by hand, phases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributions

import shoal
from shoal.models.hvamp import HVamp
from shoal.models.recvae import RecVAE
from shoal.run import Run
from shoal.testing.contract import from_dense
from shoal.training import layers, priors
from shoal.training.batches import Batch
from shoal.training.blocks import DenselyConnected, Gated, NormalisedAdam
from shoal.training.learner import Clock, TrainingPlan
from shoal.training.loop import train

from .test_layers import batch_of, counts
from .test_loop import Counting, examples

ONE = Run(threads=1)


def circles(m: int = 60, n: int = 12) -> Any:
    """Two groups of users with items of their own, of which each has two thirds."""
    rng = np.random.default_rng(0)
    own = (np.arange(m)[:, None] % 2) == (np.arange(n)[None, :] % 2)
    return (own & (rng.random((m, n)) < 0.67)).astype(np.float32)


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_normal_density_is_torch_s() -> None:
    z, mean, log_variance = draws(5, 3), draws(5, 3, seed=1), draws(5, 3, seed=2) * 3
    theirs = distributions.Normal(mean, (log_variance / 2).exp()).log_prob(z)
    torch.testing.assert_close(layers.log_normal(z, mean, log_variance), theirs)


def test_recvae_s_prior_is_the_mixture_of_its_paper_in_each_dimension() -> None:
    z, mean, log_variance = draws(6, 4) * 20, draws(6, 4, seed=1), draws(6, 4, seed=2)
    normals = (
        distributions.Normal(0.0, 1.0),
        distributions.Normal(mean, (log_variance / 2).exp()),
        distributions.Normal(0.0, math.exp(5)),  # variance e¹⁰
    )
    shares = (3 / 20, 3 / 4, 1 / 10)
    density = sum(w * p.log_prob(z).exp() for w, p in zip(shares, normals, strict=True))
    found = priors.log_composite(z, (mean, log_variance))
    torch.testing.assert_close(found, torch.as_tensor(density).log())
    # far out, where the narrow parts vanish, the wide one holds
    far = priors.log_composite(z + 1000, (mean, log_variance - 20))
    assert torch.isfinite(far).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_vamp_prior_is_the_mean_over_its_pseudo_users(dtype: torch.dtype) -> None:
    z, means, log_variances = draws(7, 5), 3 + draws(9, 5, seed=1), draws(9, 5, seed=2)
    total = torch.zeros(7, dtype=torch.float64)
    for mean, log_variance in zip(means, log_variances, strict=True):
        one = distributions.Normal(mean, (log_variance / 2).exp())
        total += one.log_prob(z).sum(dim=1).exp() / 9
    found = priors.log_vamp(*(t.to(dtype) for t in (z, means, log_variances)))
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(found.double(), total.log(), rtol=tolerance, atol=tolerance)


def test_a_densely_connected_block_by_hand() -> None:
    block = DenselyConnected(4, 3, eps=0.1).double()
    a = draws(5, 4)

    def swish(x: torch.Tensor) -> torch.Tensor:
        return x / (1 + (-x).exp())

    def normed(x: torch.Tensor) -> torch.Tensor:  # gains 1 and offsets 0 at first
        centred = x - x.mean(dim=1, keepdim=True)
        return centred / ((centred**2).mean(dim=1, keepdim=True) + 0.1).sqrt()

    one, two = block.inner
    h1 = normed(swish(a))
    h2 = normed(swish(h1 @ one.weight.T + one.bias + h1))
    h3 = normed(swish(h2 @ two.weight.T + two.bias + h1 + h2))
    torch.testing.assert_close(block(a), h3)


def test_a_gate_by_hand() -> None:
    gate = Gated(3, 2).double()
    x = draws(4, 3)
    W, b = gate.both.weight, gate.both.bias
    expected = (x @ W[:2].T + b[:2]) * torch.sigmoid(x @ W[2:].T + b[2:])
    torch.testing.assert_close(gate(x), expected)


def test_a_normalised_step_does_not_hang_on_the_size_of_the_gradient() -> None:
    found = []
    for scale in (1.0, 1e4):
        p = torch.nn.Parameter(torch.ones(3))
        optimiser = NormalisedAdam([p], lr=0.1, eps=1e-3)
        p.grad = scale * torch.tensor([3.0, 4.0, 0.0])
        optimiser.step()
        found.append(p.detach().clone())
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)
    assert found[0][2] == 1
    # the first step of Adam is lr·g/(|g| + ε), here with g/‖g‖ = (.6, .8, 0)
    torch.testing.assert_close(found[0][0].item(), 1 - 0.1 * 0.6 / 0.601, rtol=1e-4, atol=0)


def loss_of(model: Any, network: Any, batch: Batch, clock: Clock) -> torch.Tensor:
    return model._loss(network, batch, clock, torch.Generator().manual_seed(3))


def test_recvae_s_loss_by_hand() -> None:
    X = counts()
    X.data[:] = 1
    model = RecVAE(hidden=5, depth=2, factors=3, dropout=0.0, gamma=0.7)
    network = model._build(*X.shape)
    batch = batch_of(X)
    clock = Clock(phase="encoder")
    found = loss_of(model, network, batch, clock)
    for mine, theirs in zip(
        network["encoder"].parameters(), network["prior"].parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)  # taken over as the epoch began
    mean, log_variance = network["encoder"](batch.normalised())
    noise = torch.empty_like(mean).normal_(generator=torch.Generator().manual_seed(3))
    z = mean + noise * (log_variance / 2).exp()
    kl = layers.log_normal(z, mean, log_variance) - priors.log_composite(z, (mean, log_variance))
    dense = torch.from_numpy(X.toarray())
    logits = z @ network["decoder"].weight.T + network["decoder"].bias
    likelihood = (dense * logits.log_softmax(dim=1)).sum(dim=1)
    expected = (-likelihood + 0.7 * dense.sum(dim=1) * kl.sum(dim=1)).mean()
    torch.testing.assert_close(found, expected)
    assert torch.isfinite(found)  # a row of the batch is empty
    clock.phase = "decoder"
    found = loss_of(model, network, batch, clock)
    torch.testing.assert_close(found, -likelihood.mean())


def test_in_recvae_s_turns_the_other_half_is_left_alone() -> None:
    X = counts()
    X.data[:] = 1
    model = RecVAE(hidden=5, depth=2, factors=3)
    network = model._build(*X.shape)
    for phase, other in (("encoder", "decoder"), ("decoder", "encoder")):
        network.zero_grad()
        loss_of(model, network, batch_of(X), Clock(phase=phase)).backward()
        assert all(p.grad is None for p in network[other].parameters())
        assert all(p.grad is not None for p in network[phase].parameters())
        assert all(p.grad is None for p in network["prior"].parameters())
    encoder, decoder = model._phases(network)
    assert (encoder.passes, decoder.passes) == (3, 1)
    n_items = X.shape[1]
    weights = sum(p.numel() for p in network.parameters())
    assert weights == model.n_parameters(*X.shape), n_items


def test_the_old_encoder_is_that_of_the_epoch_s_begin() -> None:
    model = RecVAE(hidden=5, depth=1, factors=3)
    X = counts()
    network = model._build(*X.shape)
    clock = Clock(phase="encoder")
    loss_of(model, network, batch_of(X), clock)
    before = network["prior"].first.weight.clone()
    with torch.no_grad():
        network["encoder"].first.weight.add_(1)
    loss_of(model, network, batch_of(X), clock)
    assert torch.equal(network["prior"].first.weight, before)
    clock.epoch = 1
    loss_of(model, network, batch_of(X), clock)
    assert torch.equal(network["prior"].first.weight, before + 1)


@pytest.mark.parametrize("likelihood", ["multinomial", "bernoulli"])
def test_hvamp_s_loss_by_hand(likelihood: Any) -> None:
    X = counts()
    X.data[:] = 1
    model = HVamp(
        **{"hidden": 5, "factors": 3, "pseudo_users": 4, "dropout": 0.0, "beta": 0.4},
        **{"warm_up": 10, "likelihood": likelihood},
    )
    network: Any = model._build(*X.shape)
    batch = batch_of(X)
    found = loss_of(model, network, batch, Clock(epoch=4))
    generator = torch.Generator().manual_seed(3)
    dense = torch.from_numpy(X.toarray())
    x = dense / dense.norm(dim=1, keepdim=True).clamp_min(1e-12)

    def gate(layer: Any, rows: torch.Tensor) -> torch.Tensor:
        value, open_ = (rows @ layer.both.weight + layer.both.bias).chunk(2, dim=1)
        return value * open_.sigmoid()

    def density(z: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        return distributions.Normal(mean, (log_variance / 2).exp()).log_prob(z).sum(dim=-1)

    def moments(both: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = both.chunk(2, dim=-1)
        return mean, log_variance.clamp(-12, 4)

    q2 = moments(network.to_z2(gate(network.x_to_z2, x)))
    z2 = layers.sample_normal(*q2, generator)
    hidden = torch.cat([gate(network.x_to_z1, x), network.z2_to_z1(z2)], dim=1)
    q1 = moments(network.to_z1(hidden))
    z1 = layers.sample_normal(*q1, generator)
    pseudo = moments(network.to_z2(gate(network.x_to_z2, network.pseudo.clamp(0, 1))))
    each = torch.stack([density(z2, m, v) for m, v in zip(*pseudo, strict=True)])
    vamp = each.logsumexp(dim=0) - math.log(4)
    codes = density(z1, *q1) + density(z2, *q2) - density(z1, *moments(network.prior_z1(z2))) - vamp
    logits = network.decode(torch.cat([network.from_z1(z1), network.from_z2(z2)], dim=1))
    if likelihood == "multinomial":
        likely = (dense * logits.log_softmax(dim=1)).sum(dim=1)
    else:
        likely = distributions.Bernoulli(logits=logits).log_prob(dense).sum(dim=1)
    # the fifth epoch of ten: half of β
    torch.testing.assert_close(found, (-likely + 0.2 * codes).mean(), rtol=1e-4, atol=1e-4)
    assert torch.isfinite(found)
    weights = sum(p.numel() for p in network.parameters())
    noise = network.pseudo.numel()  # counted too: it takes memory
    assert model.n_parameters(*X.shape) == pytest.approx(weights + noise, rel=0.1)


def test_patience_counts_after_the_warm_up() -> None:
    learner = Counting()
    values = iter([0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    outcome = train(
        learner, examples(), TrainingPlan(8, 20, patience=2, warm_up=4), lambda: next(values)
    )
    assert len(outcome.curve) == 6
    assert (outcome.best_epoch, outcome.best) == (1, 0.9)


@pytest.mark.parametrize(
    "model",
    [
        RecVAE(hidden=16, depth=2, factors=4, lr=0.01, batch_size=20, n_epochs=15),
        HVamp(hidden=16, factors=4, pseudo_users=5, lr=0.01, batch_size=20, n_epochs=40, warm_up=5),
        HVamp(
            **{"hidden": 16, "factors": 4, "pseudo_users": 5, "lr": 0.01, "batch_size": 20},
            **{"n_epochs": 40, "warm_up": 5, "likelihood": "bernoulli"},
        ),
    ],
)
def test_two_circles_are_told_apart(model: Any, tmp_path: Any) -> None:
    model.fit(from_dense(circles()), run=ONE)
    histories = shoal.testing.contract.from_dense(np.eye(12, dtype=np.float32)).matrix
    scores = model.score(histories)
    same = (np.arange(12)[:, None] % 2) == (np.arange(12)[None, :] % 2)
    off = ~np.eye(12, dtype=bool)
    assert scores[same & off].min() > scores[~same].max()
    kept = shoal.load(shoal.save(model, tmp_path / "m"))
    np.testing.assert_array_equal(kept.score(histories), scores)
    assert not any(name.startswith(("prior.", "pseudo")) for name in model.state())
