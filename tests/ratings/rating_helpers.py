"""Tables of ratings, and losses taken apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from shoal.base.rating import RatingRecommender
from shoal.data.interactions import CSR
from shoal.models.autorec import IAutoRec, UAutoRec
from shoal.models.deeprec import DeepRec
from shoal.run import Run
from shoal.training.batches import Batch
from shoal.training.learner import Clock

CPU = torch.device("cpu")
ONE = Run(threads=1)

SMALL: list[RatingRecommender] = [
    IAutoRec(factors=4, l2=0.3),
    UAutoRec(factors=4, l2=0.3),
    DeepRec(hidden="5-4-3", dropout=0.4),
]


def table(m: int = 30, n: int = 12, share: float = 0.5, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 6, (m, n)) * (rng.random((m, n)) < share)


def camps(m: int = 60, n: int = 20) -> tuple[Any, Any]:
    """Half of the users give 5 to even items and 1 to odd ones, the others 2 and 4."""
    first = (np.arange(m) % 2 == 0)[:, None]
    even = (np.arange(n) % 2 == 0)[None, :]
    whole = np.where(first, np.where(even, 5, 1), np.where(even, 2, 4))
    return whole, whole * (np.random.default_rng(1).random((m, n)) < 0.6)


def batch_of(matrix: Any, users: Any = None) -> Batch:
    return Batch.of(CSR(np.asarray(matrix, np.float32)), users, CPU)


def in_double(batch: Batch) -> Batch:
    return replace(batch, values=batch.values.double())


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def selu(x: Any) -> Any:
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))


def loss_of(model: RatingRecommender, network: Any, batch: Batch, step: int = 0) -> Any:
    """The loss of a model's `step`-th update on a batch."""
    losses = model._losses(network, batch, Clock(), torch.Generator().manual_seed(3))
    for _ in range(step):
        next(losses)
    return next(losses)


def parameters(network: Any) -> dict[str, Any]:
    return {n: p.detach().numpy().astype(np.float64) for n, p in network.named_parameters()}
