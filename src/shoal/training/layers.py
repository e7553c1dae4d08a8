"""Layers and losses on sparse batches."""

from __future__ import annotations

from math import log, pi
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from shoal.training.batches import Batch, wide


def sparse_product(batch: Batch, weight: torch.Tensor) -> torch.Tensor:
    """X·W, (B, d), for a sparse batch X (B, n) and W (n, d).

    torch's own operation, on every device. shoal's kernels were as fast on an idle CPU and much
    slower on a busy one, where their threads and torch's wait for each other.
    """
    return functional.embedding_bag(
        batch.columns,
        weight,
        batch.indptr[:-1],
        mode="sum",
        per_sample_weights=batch.values.to(weight.dtype),
    )


class SparseLinear(nn.Module):
    """x → x·W + b for rows x, sparse ones as a rule; W is (n_in, n_out)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, rows: Batch | torch.Tensor) -> torch.Tensor:
        """(B, n_out)."""
        if isinstance(rows, Batch):
            return sparse_product(rows, self.weight) + self.bias
        return rows @ self.weight + self.bias


def dense(n_in: int, n_out: int) -> nn.Linear:
    """A dense layer with Xavier-uniform weights and zero biases."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def initialise(network: nn.Module, kind: Literal["uniform", "he"]) -> None:
    """Draw all weights of linear layers anew.

    Parameters
    ----------
    network : Module
    kind : {"uniform", "he"}
        Of a layer with f inputs: U(−1/√f, 1/√f), torch's own, or N(0, 2/f) (He et al., 2015).
        Biases are U(−1/√f, 1/√f) with both.
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
    """Each number set to 0 with probability p, the others divided by 1 − p."""
    if p == 0:
        return x
    draw = torch.rand(x.shape, generator=generator, device=x.device)
    return x * (draw >= p).to(x.dtype) / (1 - p)


def squares(*layers: nn.Module) -> torch.Tensor:
    """Σ‖W‖² over the weights of some layers, biases left out."""
    parts = [(wide(layer.weight) ** 2).sum() for layer in layers]
    return torch.stack(parts).sum()


class _Multinomial(torch.autograd.Function):
    """The likelihood, with one (B, n) tensor beside the logits: the softmax, for the gradient."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        shares = logits.softmax(dim=1)
        # log Σ exp from the largest entry, whose share is at least 1/n
        top = shares.max(dim=1, keepdim=True)
        log_sums = logits.gather(1, top.indices)[:, 0] - top.values[:, 0].log()
        totals = batch.sum(batch.values)
        ctx.batch, ctx.shares, ctx.totals = batch, shares, totals
        return totals * log_sums - batch.sum(batch.values * batch.at(logits))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        batch, (grad,) = ctx.batch, grads
        out = ctx.shares * (ctx.totals * grad)[:, None]
        at = batch.rows * batch.n + batch.columns  # no entry stands there twice
        out.view(-1).index_add_(0, at, -(batch.values * grad[batch.rows]).to(out.dtype))
        return out, None


def multinomial(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """(B,): −Σ_i x_i log softmax(logits)_i, the multinomial likelihood but for its constant."""
    loss: torch.Tensor = _Multinomial.apply(wide(logits), batch)
    return loss


def weighted_squares(scores: torch.Tensor, batch: Batch, weight: torch.Tensor) -> torch.Tensor:
    """(B,): Σ over entries (s − x)² + weight · Σ over the rest s²; `weight` is (B,)."""
    scores = wide(scores)
    picked = batch.at(scores)
    there = (picked - batch.values) ** 2 - weight[batch.rows] * picked**2
    return weight * (scores**2).sum(dim=1) + batch.sum(there)


def weighted_logistic(logits: torch.Tensor, batch: Batch, weight: torch.Tensor) -> torch.Tensor:
    """(B,): −Σ over entries log σ(a) − weight · Σ over the rest log σ(−a); `weight` is (B,)."""
    logits = wide(logits)
    picked = batch.at(logits)
    there = functional.softplus(-picked) - weight[batch.rows] * functional.softplus(picked)
    return weight * functional.softplus(logits).sum(dim=1) + batch.sum(there)


def sampled(
    code: torch.Tensor,
    decode: nn.Linear,
    batch: Batch,
    negatives: float,
    generator: torch.Generator,
    kind: str,
) -> torch.Tensor:
    """(B,): loss over the entries, and over items drawn uniformly among the others.

    Parameters
    ----------
    code : (B, d)
    decode : layer from d to n
        Evaluated at the chosen items alone.
    negatives : float
        Draws for each entry, with replacement.
    kind : {"square", "logistic"}
    """
    drawn = (negatives * batch.counts).round().long()
    rows = torch.repeat_interleave(torch.arange(len(batch), device=drawn.device), drawn)
    columns = _unobserved(rows, batch, generator)

    def loss(rows: torch.Tensor, columns: torch.Tensor, target: float) -> torch.Tensor:
        scores = (code[rows] * decode.weight[columns]).sum(dim=1) + decode.bias[columns]
        scores = wide(scores)
        if kind == "square":
            return (scores - target) ** 2
        return functional.softplus(scores if target == 0 else -scores)

    out = batch.sum(loss(batch.rows, batch.columns, 1.0))
    return out.index_add(0, rows, loss(rows, columns, 0.0))


def _unobserved(
    rows: torch.Tensor, batch: Batch, generator: torch.Generator, tries: int = 20
) -> torch.Tensor:
    """A column for each of `rows` that is no entry there; what hits one is drawn again."""
    keys = batch.rows * batch.n + batch.columns  # ascending
    columns = torch.empty_like(rows).random_(0, batch.n, generator=generator)
    for _ in range(tries):
        wanted = rows * batch.n + columns
        at = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
        hit = keys[at] == wanted
        if not bool(hit.any()):
            break
        again = torch.empty_like(columns[hit]).random_(0, batch.n, generator=generator)
        columns = columns.masked_scatter(hit, again)
    return columns


def kl_to_normal(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """(B,): KL(N(mean, exp log_variance) ‖ N(0, 1)), summed over the dimensions."""
    mean, log_variance = wide(mean), wide(log_variance)
    return 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum(dim=1)


def log_normal(z: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Log N(z; mean, exp log_variance), number by number."""
    z, mean, log_variance = wide(z), wide(mean), wide(log_variance)
    return -0.5 * (log(2 * pi) + log_variance + (z - mean) ** 2 * (-log_variance).exp())


def sample_normal(
    mean: torch.Tensor, log_variance: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """A draw from N(mean, exp log_variance), differentiable in both."""
    noise = torch.empty_like(mean).normal_(generator=generator)
    return mean + noise * (0.5 * log_variance).exp()
