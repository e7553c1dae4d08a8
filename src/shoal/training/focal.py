"""Focal loss of products of probabilities, in log space (Lin et al., 2017; VASP, section 3.2)."""

from __future__ import annotations

from typing import Any

import torch

from shoal.training.batches import Batch, wide

_NEARLY_ONE = -1e-30  # log p where p rounds to 1: its 1 − p is 1e-30, no zero


class _Focal(torch.autograd.Function):
    """The loss, with its gradient made at once: one (B, n) tensor is kept."""

    @staticmethod
    def forward(
        ctx: Any, log_p: torch.Tensor, batch: Batch, alpha: float, gamma: float
    ) -> torch.Tensor:
        s = log_p.clamp_max(_NEARLY_ONE)
        p = s.exp()
        rest = -torch.expm1(s)  # 1 − p
        # log(1 − p) ≤ 0: near p = 1 by the difference that expm1 keeps, near 0 by log1p
        log_rest = torch.where(p > 0.5, rest.log(), torch.log1p(-p))
        weight = (1 - alpha) * _power(p, gamma)
        loss = -(weight * log_rest).sum(dim=1)
        grad = weight * (p / rest - gamma * log_rest)
        at = batch.rows * batch.n + batch.columns
        s, p, rest, log_rest = (t.view(-1)[at] for t in (s, p, rest, log_rest))
        hard = alpha * _power(rest, gamma)
        loss = loss + batch.sum(-hard * s + (1 - alpha) * _power(p, gamma) * log_rest)
        there = alpha * gamma * _power(rest, gamma - 1) * p * s if gamma else torch.zeros_like(s)
        grad.view(-1).index_copy_(0, at, there - hard)
        ctx.grad = grad
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        return ctx.grad * grads[0][:, None], None, None, None


def focal(log_p: torch.Tensor, batch: Batch, alpha: float, gamma: float) -> torch.Tensor:
    """Σ over entries −α(1−p)^γ log p, and over the others −(1−α)p^γ log(1−p).

    Parameters
    ----------
    log_p : (B, n)
        Logarithms of probabilities: of a product, the sum of its members' logarithms.
    batch : Batch
        Whose entries are the positives.
    alpha, gamma : float
        γ = 0 and α = ½ are half the logistic loss.

    Returns
    -------
    Tensor (B,)
    """
    loss: torch.Tensor = _Focal.apply(wide(log_p), batch, alpha, gamma)
    return loss


def _power(x: torch.Tensor, exponent: float) -> torch.Tensor:
    if exponent == 2:
        return x * x
    return x if exponent == 1 else x**exponent
