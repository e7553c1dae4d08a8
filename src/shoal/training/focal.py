"""Focal loss of products of probabilities, in log space (Lin et al., 2017; VASP, section 3.2)."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import logsigmoid

from shoal.training.batches import Batch, wide

_AT_ONCE = 2**18  # numbers of a tensor that are worked on at once
_NEARLY_ONE = -1e-30  # largest log p used, so that 1 − p ≥ 1e-30 is never 0


class _Focal(torch.autograd.Function):
    """The loss, whose gradient is made in the forward pass: only one (B, n) tensor is kept."""

    @staticmethod
    def forward(
        ctx: Any, log_p: torch.Tensor, batch: Batch, alpha: float, gamma: float
    ) -> torch.Tensor:
        loss, grad = log_p.new_zeros(len(batch)), torch.empty_like(log_p)
        size = max(1, _AT_ONCE // batch.n)
        for begin in range(0, len(batch), size):  # pieces whose temporaries stay in the cache
            part = slice(begin, min(begin + size, len(batch)))
            s = log_p[part].clamp_max(_NEARLY_ONE)
            p = s.exp()
            q = -torch.expm1(s)  # 1 − p
            # log(1 − p) ≤ 0: from 1 − p for p > ½, from log1p(−p) below, where each is accurate
            log_q = torch.where(p > 0.5, q.log(), torch.log1p(-p))
            weight = _power(p, gamma).mul_(1 - alpha)
            gradient = torch.mul(weight, p / q - gamma * log_q, out=grad[part])
            loss[part] -= (weight * log_q).sum(dim=1)
            # the lines above treated all items as negatives: now correct the entries (positives)
            entries = slice(int(batch.indptr[part.start]), int(batch.indptr[part.stop]))
            flat = (batch.rows[entries] - begin) * batch.n + batch.columns[entries]
            s, p, q, log_q = (t.view(-1)[flat] for t in (s, p, q, log_q))
            hard = alpha * _power(q, gamma)
            correction = -hard * s + (1 - alpha) * _power(p, gamma) * log_q
            loss.index_add_(0, batch.rows[entries], correction)
            easy = alpha * gamma * _power(q, gamma - 1) * p * s if gamma else 0 * s
            gradient.view(-1).index_copy_(0, flat, easy - hard)
        ctx.grad = grad
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        return ctx.grad * grads[0][:, None], None, None, None


class _LogProduct(torch.autograd.Function):
    """Σ_m log σ(a_m); only the logits a_m are kept for the backward pass."""

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
        gradients = []
        size = max(1, _AT_ONCE // grads[0].shape[1])
        for logits in ctx.saved_tensors:
            gradient = torch.empty_like(logits)
            pieces = (t.split(size) for t in (gradient, logits, grads[0]))
            for out, a, g in zip(*pieces, strict=True):
                torch.mul(torch.neg(a).sigmoid_(), g, out=out)
            gradients.append(gradient)
        return tuple(gradients)


def log_product(*logits: torch.Tensor) -> torch.Tensor:
    """Return log Π_m σ(a_m), (B, n), of one or more tensors of logits a_m, (B, n) each."""
    out: torch.Tensor = _LogProduct.apply(*(wide(a) for a in logits))
    return out


def focal(log_p: torch.Tensor, batch: Batch, alpha: float, gamma: float) -> torch.Tensor:
    """Return the focal loss of each row.

    It is Σ −α(1−p)^γ log p over the entries (positives) of a row, plus Σ −(1−α)p^γ log(1−p) over
    all other items.

    Parameters
    ----------
    log_p : (B, n)
        Logarithms of the probabilities p.
    batch : Batch
        Its entries are the positives.
    alpha, gamma : float
        α weighs the positives, γ damps entries that are easy. γ = 0 and α = ½ give half the
        logistic loss.

    Returns
    -------
    Tensor (B,)
    """
    loss: torch.Tensor = _Focal.apply(wide(log_p), batch, alpha, gamma)
    return loss


def _power(x: torch.Tensor, exponent: float) -> torch.Tensor:
    return x * x if exponent == 2 else x**exponent
