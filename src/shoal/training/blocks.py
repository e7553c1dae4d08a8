"""Networks of the deeper autoencoders: densely connected layers, gates; and their optimisers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import silu

from shoal.kernels.arrays import Float, Int
from shoal.training.batches import Batch
from shoal.training.layers import SparseLinear, dense, sparse_product
from shoal.training.learner import Phase


class DenselyConnected(nn.Module):
    """h₁ = LN(swish(a)), h_k = LN(swish(W_k h_{k−1} + b_k + h₁ + … + h_{k−1})), with a = W₁x + b₁.

    The block of RecVAE (Shenbin et al., WSDM 2020, figure 2).

    Parameters
    ----------
    width : int
        Units of each layer.
    depth : int
        Number of layers h; the last one is the output.
    eps : float
        ε of the layer normalisation.
    """

    def __init__(self, width: int, depth: int, eps: float) -> None:
        super().__init__()
        self.inner = nn.ModuleList(dense(width, width) for _ in range(depth - 1))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=eps) for _ in range(depth))

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        """Return the last layer h, (B, width), from the first linear layer a, (B, width)."""
        h = self.norms[0](silu(a))
        total = h
        for layer, norm in zip(self.inner, self.norms[1:], strict=True):
            h = norm(silu(layer(h) + total))
            total = total + h
        return h


class DenseEncoder(nn.Module):
    """Encoder from sparse rows to mean and log-variance of their codes, densely connected.

    Parameters
    ----------
    n, width, depth, factors : int
        Number of items, units of a layer, number of layers, dimensions of the code.
    eps : float
        ε of the layer normalisation.
    """

    def __init__(self, n: int, width: int, depth: int, factors: int, eps: float) -> None:
        super().__init__()
        self.first = SparseLinear(n, width)
        self.body = DenselyConnected(width, depth, eps)
        self.heads = dense(width, 2 * factors)

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log-variance, (B, factors) each."""
        mean, log_variance = self.heads(self.body(self.first(batch))).chunk(2, dim=1)
        return mean, log_variance


class Gated(nn.Module):
    """x → (x·W + b) ∘ σ(x·V + c), the gate of H+Vamp (Kim and Suh, RecSys 2019, section 3.3).

    Parameters
    ----------
    n_in, n_out : int
        Inputs and outputs.
    layer : callable, optional
        ``layer(n_in, n_out)`` makes a linear layer; the default takes dense rows.
    """

    def __init__(
        self, n_in: int, n_out: int, layer: Callable[[int, int], nn.Module] = dense
    ) -> None:
        super().__init__()
        self.both = layer(n_in, 2 * n_out)  # W and V side by side, so there is one product

    def forward(self, x: Batch | torch.Tensor) -> torch.Tensor:
        """Return the gated outputs, (B, n_out)."""
        value, gate = self.both(x).chunk(2, dim=1)
        return value * gate.sigmoid()


class TwoCodes(nn.Module):
    """The networks of H+Vamp: q(z₂|x), q(z₁|x, z₂), p(z₁|z₂) and p(x|z₁, z₂), all gated.

    Moments are a mean and a log-variance, the latter within [−12, 4], as in the authors' code.

    Parameters
    ----------
    n, width, factors : int
        Number of items, units of a layer, dimensions of each code.
    """

    def __init__(self, n: int, width: int, factors: int) -> None:
        super().__init__()
        h, d = width, factors
        self.x_to_z2 = Gated(n, h, SparseLinear)
        self.to_z2 = nn.Sequential(Gated(h, h), dense(h, 2 * d))
        self.x_to_z1, self.z2_to_z1 = Gated(n, h, SparseLinear), Gated(d, h)
        self.to_z1 = nn.Sequential(Gated(2 * h, h), dense(h, 2 * d))
        self.prior_z1 = nn.Sequential(Gated(d, h), Gated(h, h), dense(h, 2 * d))
        self.from_z1, self.from_z2 = Gated(d, h), Gated(d, h)
        self.decode = nn.Sequential(Gated(2 * h, h), dense(h, n))

    def q2(self, x: Batch | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log-variance of q(z₂|x), (B, factors) each, for histories x."""
        return _moments(self.to_z2(self.x_to_z2(x)))

    def q1(self, x: Batch, z2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log-variance of q(z₁|x, z₂), (B, factors) each."""
        return _moments(self.to_z1(torch.cat([self.x_to_z1(x), self.z2_to_z1(z2)], dim=1)))

    def p1(self, z2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log-variance of the prior p(z₁|z₂), (B, factors) each."""
        return _moments(self.prior_z1(z2))

    def logits(self, z1: torch.Tensor, z2: torch.Tensor) -> torch.Tensor:
        """Return the logits of p(x|z₁, z₂), (B, n)."""
        out: torch.Tensor = self.decode(torch.cat([self.from_z1(z1), self.from_z2(z2)], dim=1))
        return out


def _moments(both: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean, log_variance = both.chunk(2, dim=1)
    return mean, log_variance.clamp(-12, 4)


class ZeroDiagonal(nn.Module):
    """x → x·W with diag W = 0; W is (n, n), or A·Bᵀ without its diagonal, A and B (n, k).

    Parameters
    ----------
    n : int
        Number of items.
    k : int
        Columns of A and B; 0 makes a full W of n × n weights.
    """

    def __init__(self, n: int, k: int) -> None:
        super().__init__()
        shapes = {"A": (n, k), "B": (n, k)} if k else {"W": (n, n)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
            # small weights let rarely seen items score low; those of products must be larger
            nn.init.normal_(getattr(self, name), 0.0, 0.1 / k**0.5 if k else 1e-3)
        self.k = k
        if not k:
            self.W.data.fill_diagonal_(0)
            # a diagonal without a gradient stays 0
            self.W.register_hook(lambda gradient: gradient.fill_diagonal_(0))

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return x·W, (B, n), for sparse rows x; the diagonal of A·Bᵀ is subtracted at entries."""
        if not self.k:
            return sparse_product(batch, self.W)
        out = sparse_product(batch, self.A) @ self.B.T
        diagonal = batch.values * (self.A * self.B).sum(dim=1)[batch.columns]
        return out.index_put((batch.rows, batch.columns), -diagonal.to(out.dtype), accumulate=True)

    def take(self, weights: Float) -> None:
        """Start from weights (n, n): W is a copy, A·Bᵀ has their k largest singular values."""
        full = torch.from_numpy(np.ascontiguousarray(weights))
        if not self.k:
            self.W.data.copy_(full).fill_diagonal_(0)
            return
        U, S, V = torch.svd_lowrank(full, min(self.k, len(full)), niter=4)
        for factor, side in ((self.A.data, U), (self.B.data, V)):
            factor.zero_()
            factor[:, : len(S)] = side * S.sqrt()

    def column(self, rows: Int, item: int) -> Float:
        """Return W[rows, item], (len(rows),) float32."""
        index = torch.from_numpy(rows.astype(np.int64)).to(next(self.parameters()).device)
        weights = self.A.data[index] @ self.B.data[item] if self.k else self.W.data[index, item]
        weights = weights.cpu()
        return np.where(rows == item, 0, weights.numpy()).astype(np.float32)


def nadam(parameters: Any, lr: float, falls: Sequence[tuple[int, float]] = ()) -> Phase:
    """Return a phase of one pass per epoch with NAdam, whose ε is that of Keras (1e-7).

    Parameters
    ----------
    parameters : iterable of Parameter
        The parameters of a network.
    lr : float
        First learning rate.
    falls : sequence of (epoch, factor)
        From that epoch on (the first is 0), the learning rate is lr · factor.
    """

    def factor(epoch: int) -> float:
        return next((f for begin, f in reversed(falls) if epoch >= begin), 1.0)

    return Phase(torch.optim.NAdam(parameters, lr, eps=1e-7), schedule=factor)


class NormalisedAdam(torch.optim.Adam):
    """Adam where the gradient of each tensor is divided by its norm, as in H+Vamp's code."""

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Any = None) -> Any:
        """Normalise the gradients and update the parameters once."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.div_(torch.linalg.vector_norm(p.grad) + 1e-7)
        return super().step(closure)
