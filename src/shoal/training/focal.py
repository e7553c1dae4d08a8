"""Focal loss of products of probabilities, in log space (Lin et al., 2017; VASP, section 3.2)."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import logsigmoid

from shoal.training.batches import Batch, wide

_AT_ONCE = 2**18  # numbers
_NEARLY_ONE = -1e-30  # log p where p rounds to 1: its 1 − p is 1e-30, no zero


class _Focal(torch.autograd.Function):
    """The loss, with its gradient made at once: one (B, n) tensor is kept."""

    @staticmethod
    def forward(
        ctx: Any, log_p: torch.Tensor, batch: Batch, alpha: float, gamma: float
    ) -> torch.Tensor:
        loss, grad = log_p.new_zeros(len(batch)), torch.empty_like(log_p)
        size = max(1, _AT_ONCE // batch.n)
        for begin in range(0, len(batch), size):  # temporaries that stay in the cache
            part = slice(begin, min(begin + size, len(batch)))
            s = log_p[part].clamp_max(_NEARLY_ONE)
            p = s.exp()
            rest = -torch.expm1(s)  # 1 − p
            # log(1 − p) ≤ 0: near p = 1 by the difference that expm1 keeps, near 0 by log1p
            log_rest = torch.where(p > 0.5, rest.log(), torch.log1p(-p))
            weight = _power(p, gamma).mul_(1 - alpha)
            slope = torch.mul(weight, p / rest - gamma * log_rest, out=grad[part])
            loss[part] -= (weight * log_rest).sum(dim=1)
            # the entries, which all of this counted among the others
            found = slice(int(batch.indptr[part.start]), int(batch.indptr[part.stop]))
            at = (batch.rows[found] - begin) * batch.n + batch.columns[found]
            s, p, rest, log_rest = (t.view(-1)[at] for t in (s, p, rest, log_rest))
            hard = alpha * _power(rest, gamma)
            more = -hard * s + (1 - alpha) * _power(p, gamma) * log_rest
            loss.index_add_(0, batch.rows[found], more)
            there = alpha * gamma * _power(rest, gamma - 1) * p * s if gamma else 0 * s
            slope.view(-1).index_copy_(0, at, there - hard)
        ctx.grad = grad
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        return ctx.grad * grads[0][:, None], None, None, None


class _LogProduct(torch.autograd.Function):
    """Σ log σ(a), with nothing kept but the a."""

    @staticmethod
    def forward(ctx: Any, *logits: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(*logits)
        out = torch.empty_like(logits[0])
        size = max(1, _AT_ONCE // out.shape[1])
        for pieces in zip(out.split(size), *(a.split(size) for a in logits), strict=True):
            torch.sum(torch.stack([logsigmoid(a) for a in pieces[1:]]), 0, out=pieces[0])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = []
        size = max(1, _AT_ONCE // grads[0].shape[1])
        for logits in ctx.saved_tensors:
            slope = torch.empty_like(logits)
            for to, a, g in zip(*(t.split(size) for t in (slope, logits, grads[0])), strict=True):
                torch.mul(torch.neg(a).sigmoid_(), g, out=to)
            found.append(slope)
        return tuple(found)


def log_product(*logits: torch.Tensor) -> torch.Tensor:
    """(B, n): log Π_m σ(a_m) of one or more (B, n)."""
    out: torch.Tensor = _LogProduct.apply(*(wide(a) for a in logits))
    return out


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
    return x * x if exponent == 2 else x**exponent
