"""x(AAᵀ − I) with rows of A of length 1: what ELSA scores with, and its loss without the scores."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn.functional import embedding, normalize

from shoal.training.batches import Batch
from shoal.training.layers import sparse_product


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
    batch: Batch, A: torch.Tensor, draws: int, generator: torch.Generator
) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """The batch on its own items alone, their rows of A, and an estimate of AᵀA.

    Of the items that are not in the batch, `draws` or fewer stand for all, so the estimate has the
    expectation AᵀA; the gradient by A is sparse.

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
    rows = normalize(embedding(own, A, sparse=True))
    others = normalize(embedding(drawn, A, sparse=True))
    K = rows.T @ rows + (batch.n - len(own)) / max(len(drawn), 1) * (others.T @ others)
    return replace(batch, columns=places, n=len(own)), rows, K
