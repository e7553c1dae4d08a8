"""Layers, losses and random draws for networks on sparse batches."""

from __future__ import annotations

from math import log, pi
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from shoal.training.batches import Batch, wide


def sparse_product(batch: Batch, weight: torch.Tensor) -> torch.Tensor:
    """Return X·W, (B, d), for a sparse batch X (B, n) and W (n, d).

    It calls torch on every device. The kernels of `shoal.kernels` were as fast on an idle CPU and
    much slower on a busy one, where their threads and torch's threads wait for each other.
    """
    return functional.embedding_bag(
        batch.columns,
        weight,
        batch.indptr[:-1],
        mode="sum",
        per_sample_weights=batch.values.to(weight.dtype),
    )


class SparseLinear(nn.Module):
    """Linear layer x → x·W + b with W (n_in, n_out), for rows x that are sparse or dense."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, rows: Batch | torch.Tensor) -> torch.Tensor:
        """Return x·W + b, (B, n_out), for a batch or a dense (B, n_in) tensor."""
        if isinstance(rows, Batch):
            return sparse_product(rows, self.weight) + self.bias
        return rows @ self.weight + self.bias


def dense(n_in: int, n_out: int) -> nn.Linear:
    """Make a dense linear layer with Xavier-uniform weights and zero biases."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def initialise(network: nn.Module, kind: Literal["uniform", "he"]) -> None:
    """Draw the weights and biases of all linear layers of a network anew.

    Parameters
    ----------
    network : Module
    kind : {"uniform", "he"}
        Distribution of the weights of a layer with f inputs: "uniform" is U(−1/√f, 1/√f), as torch
        draws them, "he" is N(0, 2/f) (He et al., 2015). Biases are always U(−1/√f, 1/√f).
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, SparseLinear)):
            n_in = layer.weight.shape[0 if isinstance(layer, SparseLinear) else 1]
            bound = n_in**-0.5
            if kind == "he":
                nn.init.normal_(layer.weight, 0.0, 2**0.5 * bound)
            else:
                nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.uniform_(layer.bias, -bound, bound)


def dropped(x: torch.Tensor, p: float, generator: torch.Generator) -> torch.Tensor:
    """Return x with each number set to 0 with probability p, the others divided by 1 − p."""
    if p == 0:
        return x
    draw = torch.rand(x.shape, generator=generator, device=x.device)
    return x * (draw >= p).to(x.dtype) / (1 - p)


def squares(*layers: nn.Module) -> torch.Tensor:
    """Return Σ‖W‖² over the weight matrices of some layers, without their biases."""
    parts = [(wide(layer.weight) ** 2).sum() for layer in layers]
    return torch.stack(parts).sum()


class _Multinomial(torch.autograd.Function):
    """The multinomial loss; only the softmax (B, n) is kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        probabilities = logits.softmax(dim=1)
        # log Σ exp from the largest entry, whose probability is at least 1/n
        top = probabilities.max(dim=1, keepdim=True)
        log_sums = logits.gather(1, top.indices)[:, 0] - top.values[:, 0].log()
        totals = batch.sum(batch.values)
        ctx.batch, ctx.probabilities, ctx.totals = batch, probabilities, totals
        return totals * log_sums - batch.sum(batch.values * batch.at(logits))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        batch, (grad,) = ctx.batch, grads
        out = ctx.probabilities * (ctx.totals * grad)[:, None]
        flat = batch.rows * batch.n + batch.columns  # each entry occurs once
        out.view(-1).index_add_(0, flat, -(batch.values * grad[batch.rows]).to(out.dtype))
        return out, None


def multinomial(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return −Σ_i x_i log softmax(logits)_i, (B,): the negative log-likelihood up to a constant."""
    loss: torch.Tensor = _Multinomial.apply(wide(logits), batch)
    return loss


def weighted_squares(scores: torch.Tensor, batch: Batch, weight: torch.Tensor) -> torch.Tensor:
    """Return Σ (s − x)² over the entries + weight · Σ s² over all other items, (B,).

    `scores` s is (B, n), `weight` is (B,).
    """
    scores = wide(scores)
    picked = batch.at(scores)
    difference = (picked - batch.values) ** 2 - weight[batch.rows] * picked**2
    return weight * (scores**2).sum(dim=1) + batch.sum(difference)


def weighted_logistic(logits: torch.Tensor, batch: Batch, weight: torch.Tensor) -> torch.Tensor:
    """Return −Σ log σ(a) over the entries − weight · Σ log σ(−a) over all other items, (B,).

    `logits` a is (B, n), `weight` is (B,).
    """
    logits = wide(logits)
    picked = batch.at(logits)
    difference = functional.softplus(-picked) - weight[batch.rows] * functional.softplus(picked)
    return weight * functional.softplus(logits).sum(dim=1) + batch.sum(difference)


def sampled(
    code: torch.Tensor,
    decode: nn.Linear,
    batch: Batch,
    negatives: float,
    generator: torch.Generator,
    kind: str,
) -> torch.Tensor:
    """Return the loss over the entries and over items drawn uniformly from the others, (B,).

    Parameters
    ----------
    code : (B, d)
        Input of the output layer.
    decode : Linear
        The output layer, from d to n; only the chosen items are evaluated.
    batch : Batch
        Its entries have the target 1, drawn items the target 0.
    negatives : float
        Number of items drawn for each entry, with replacement.
    generator : Generator
    kind : {"square", "logistic"}
        (s − target)², or −log σ(s) for entries and −log σ(−s) for drawn items.
    """
    drawn = (negatives * batch.counts).round().long()
    rows = torch.repeat_interleave(torch.arange(len(batch), device=drawn.device), drawn)
    columns = unobserved(rows, batch, generator)

    def loss(rows: torch.Tensor, columns: torch.Tensor, target: float) -> torch.Tensor:
        scores = (code[rows] * decode.weight[columns]).sum(dim=1) + decode.bias[columns]
        scores = wide(scores)
        if kind == "square":
            return (scores - target) ** 2
        return functional.softplus(scores if target == 0 else -scores)

    out = batch.sum(loss(batch.rows, batch.columns, 1.0))
    return out.index_add(0, rows, loss(rows, columns, 0.0))


def unobserved(
    rows: torch.Tensor, batch: Batch, generator: torch.Generator, tries: int = 20
) -> torch.Tensor:
    """Draw for each of `rows` a column that is not an entry of that row.

    A draw that hits an entry is repeated, up to `tries` times.
    """
    keys = batch.rows * batch.n + batch.columns  # ascending
    columns = torch.empty_like(rows).random_(0, batch.n, generator=generator)
    for _ in range(tries):
        drawn = rows * batch.n + columns
        nearest = torch.searchsorted(keys, drawn).clamp_max(len(keys) - 1)
        hit = keys[nearest] == drawn
        if not bool(hit.any()):
            break
        again = torch.empty_like(columns[hit]).random_(0, batch.n, generator=generator)
        columns = columns.masked_scatter(hit, again)
    return columns


def kl_to_normal(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return KL(N(mean, exp log_variance) ‖ N(0, 1)), summed over the dimensions, (B,)."""
    mean, log_variance = wide(mean), wide(log_variance)
    return 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum(dim=1)


def log_normal(z: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return log N(z; mean, exp log_variance) of each number, in the shape of z."""
    z, mean, log_variance = wide(z), wide(mean), wide(log_variance)
    return -0.5 * (log(2 * pi) + log_variance + (z - mean) ** 2 * (-log_variance).exp())


def sample_normal(
    mean: torch.Tensor, log_variance: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Draw from N(mean, exp log_variance), differentiable in both parameters."""
    noise = torch.empty_like(mean).normal_(generator=generator)
    return mean + noise * (0.5 * log_variance).exp()
