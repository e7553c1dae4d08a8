"""x(AAᵀ − I) with rows of A of length 1: what ELSA scores with, and its loss without the scores."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn.functional import embedding, normalize

from shoal.training.batches import Batch
from shoal.training.layers import sparse_product


def thinned(A: torch.Tensor, count: int) -> torch.Tensor:
    """A (n, k) with the `count` largest |values| of each row; the others are 0."""
    if count >= A.shape[1]:
        return A
    at = A.abs().topk(count, dim=1, sorted=False).indices
    return torch.zeros_like(A).scatter_(1, at, A.gather(1, at))


def thin(optimiser: torch.optim.Optimizer, A: torch.Tensor, count: int) -> None:
    """Thin A in place; what was dropped has no momentum left, so that it stays 0 without gradient.

    Parameters
    ----------
    optimiser : Optimizer
        Of A, such as NAdam: its state has moments of A's shape.
    A : (n, k)
    count : int
    """
    with torch.no_grad():
        A.copy_(thinned(A, count))
        for moment in optimiser.state[A].values():
            if isinstance(moment, torch.Tensor) and moment.shape == A.shape:
                moment.mul_(A != 0)


def units(A: torch.Tensor, *, sparse: bool = False) -> torch.Tensor:
    """A (n, k) with rows of length 1; if `sparse`, entries that are 0 get no gradient."""
    return normalize(A * (A != 0) if sparse else A)


def scores(batch: Batch, A: torch.Tensor) -> torch.Tensor:
    """(B, n): x(AAᵀ − I), for A (n, k) that is normalised here."""
    A = normalize(A)
    out = sparse_product(batch, A) @ A.T
    own = -batch.values.to(out.dtype)
    return out.index_put((batch.rows, batch.columns), own, accumulate=True)


def cosine_loss(batch: Batch, A: torch.Tensor, K: torch.Tensor) -> torch.Tensor:
    """(B,): 1 − cos(y, x) of y = x(AAᵀ − I), without y.

    With u = xA: x·y = u·u − ‖x‖² and ‖y‖² = uKuᵀ − 2u·u + ‖x‖². Our own form of the loss of
    Vančura et al. (RecSys 2022), whose code makes y.

    Parameters
    ----------
    batch : Batch
    A : (n, k)
        Rows of length 1.
    K : (k, k)
        AᵀA, or an estimate.
    """
    u = sparse_product(batch, A)  # (B, k)
    x2, u2 = batch.sum(batch.values**2), (u * u).sum(dim=1)
    y2 = ((u @ K) * u).sum(dim=1) - 2 * u2 + x2
    return 1 - (u2 - x2) / (x2 * y2.clamp_min(1e-6)).sqrt().clamp_min(1e-12)


def sampled(
    batch: Batch,
    A: torch.Tensor,
    draws: int,
    generator: torch.Generator,
    *,
    sparse: bool = False,
) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """The batch on its own items alone, their rows of A, and an estimate of AᵀA.

    Of the items that are not in the batch, `draws` or fewer stand for all, so the estimate has the
    expectation AᵀA; the gradient by A is that of some rows. `sparse` is as for `units`.

    Returns
    -------
    batch : Batch
        With p columns.
    rows : (p, k), of length 1
    K : (k, k)
    """
    own, places = batch.columns.unique(return_inverse=True)
    drawn = torch.empty(draws, dtype=own.dtype, device=own.device)
    drawn = drawn.random_(0, batch.n, generator=generator)
    drawn = drawn[~torch.isin(drawn, own)]
    rows = units(embedding(own, A, sparse=True), sparse=sparse)
    others = units(embedding(drawn, A, sparse=True), sparse=sparse)
    K = rows.T @ rows + (batch.n - len(own)) / max(len(drawn), 1) * (others.T @ others)
    return replace(batch, columns=places, n=len(own)), rows, K
