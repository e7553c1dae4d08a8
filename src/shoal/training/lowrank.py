"""ELSA's scores x(AAᵀ − I), rows of A of length 1, and its loss without making the scores.

Where several processes hold the rows of A (`sharded`), `A` is what this one holds, `rows` says
which rows these are, and scores are those of their items.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn.functional import embedding, normalize

from shoal.training.batches import Batch
from shoal.training.layers import sparse_product
from shoal.training.sharded import Rows


def thinned(A: torch.Tensor, count: int) -> torch.Tensor:
    """Return A (n, k) with only the `count` largest |values| of each row; others are 0."""
    if count >= A.shape[1]:
        return A
    columns = A.abs().topk(count, dim=1, sorted=False).indices
    return torch.zeros_like(A).scatter_(1, columns, A.gather(1, columns))


def thin(optimiser: torch.optim.Optimizer, A: torch.Tensor, count: int) -> None:
    """Keep only the `count` largest |values| of each row of A, in place.

    Momentum of dropped values is set to 0 too, so that they stay 0 without a gradient.

    Parameters
    ----------
    optimiser : Optimizer
        The optimiser of A, such as NAdam, whose state has moments of A's shape.
    A : (n, k)
    count : int
        Values to keep in each row.
    """
    with torch.no_grad():
        A.copy_(thinned(A, count))
        for moment in optimiser.state[A].values():
            if isinstance(moment, torch.Tensor) and moment.shape == A.shape:
                moment.mul_(A != 0)


def units(A: torch.Tensor, *, sparse: bool = False) -> torch.Tensor:
    """Return A (n, k) with rows scaled to length 1; if `sparse`, zero entries get no gradient."""
    return normalize(A * (A != 0) if sparse else A)


def scores(batch: Batch, A: torch.Tensor, rows: Rows | None = None) -> torch.Tensor:
    """Return x(AAᵀ − I), (B, n); the rows of A (n, k) are scaled to length 1 first."""
    A, rows = normalize(A), rows or Rows(batch.n)
    own = rows.own(batch)
    (u,) = rows.total(sparse_product(own, A))
    out = u.to(A.dtype) @ A.T
    minus_x = -own.values.to(out.dtype)
    return out.index_put((own.rows, own.columns), minus_x, accumulate=True)


def cosine_loss(batch: Batch, u: torch.Tensor, K: torch.Tensor) -> torch.Tensor:
    """Return 1 − cos(y, x) with y = x(AAᵀ − I), (B,), without making y (B, n).

    With u = xA: x·y = u·u − ‖x‖² and ‖y‖² = uKuᵀ − 2u·u + ‖x‖². The value is that of the loss of
    Vančura et al. (RecSys 2022), whose code makes y.

    Parameters
    ----------
    batch : Batch
    u : (B, k)
        xA, with rows of A of length 1.
    K : (k, k)
        AᵀA, or an estimate of it.
    """
    x2, u2 = batch.sum(batch.values**2), (u * u).sum(dim=1)
    y2 = ((u @ K) * u).sum(dim=1) - 2 * u2 + x2
    return 1 - (u2 - x2) / (x2 * y2.clamp_min(1e-6)).sqrt().clamp_min(1e-12)


def exact(
    batch: Batch, A: torch.Tensor, rows: Rows | None = None, *, sparse: bool = False
) -> tuple[torch.Tensor, ...]:
    """Return xA, (B, k), and AᵀA, (k, k), where the rows of A (n, k) are scaled to length 1 first.

    If `sparse`, zero entries of A get no gradient.
    """
    A, rows = units(A, sparse=sparse), rows or Rows(batch.n)
    return rows.total(sparse_product(rows.own(batch), A), A.T @ A)


def sampled(
    batch: Batch,
    A: torch.Tensor,
    draws: int,
    generator: torch.Generator,
    rows: Rows | None = None,
    *,
    sparse: bool = False,
) -> tuple[torch.Tensor, ...]:
    """Return xA, and an estimate of AᵀA from the batch's own items and randomly drawn items.

    Up to `draws` drawn items represent all items that are not in the batch, so the expectation of
    the estimate is AᵀA; only the rows of A that are used get a gradient.

    Parameters
    ----------
    batch : Batch
    A : (n, k)
    draws : int
        Items to draw, with replacement; those in the batch are discarded.
    generator : Generator
    rows : Rows, optional
    sparse : bool
        Whether zero entries of A get no gradient.

    Returns
    -------
    u : (B, k)
        xA, with rows of A of length 1.
    K : (k, k)
        The estimate of AᵀA.
    """
    rows = rows or Rows(batch.n)
    items = batch.columns.unique()
    drawn = torch.empty(draws, dtype=items.dtype, device=items.device)
    drawn = drawn.random_(0, batch.n, generator=generator)
    drawn = drawn[~torch.isin(drawn, items)]
    weight = (batch.n - len(items)) / max(len(drawn), 1)
    own, used = rows.own(batch), rows.own_items(items)
    own = replace(own, columns=torch.searchsorted(used, own.columns), n=len(used))
    mine = units(embedding(used, A, sparse=True), sparse=sparse)
    others = units(embedding(rows.own_items(drawn), A, sparse=True), sparse=sparse)
    K = mine.T @ mine + weight * (others.T @ others)
    return rows.total(sparse_product(own, mine), K)
