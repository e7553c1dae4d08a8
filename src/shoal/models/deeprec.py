"""DeepRec: n → 512 → 512 → 1024 → 512 → 512 → n, SELU after every layer, and dense re-feeding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from shoal.base.hyper import hyper
from shoal.base.rating import RatingRecommender
from shoal.kernels.arrays import Float

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase

_HALVINGS = (24, 36, 48, 66, 72)  # epochs after which lr falls, from the authors' code


class DeepRec(RatingRecommender):
    """Deep autoencoder for ratings (Kuchaiev and Ginsburg, 2017, arXiv 1708.01715).

    min Σ (r − f(x))² / |ratings of the batch| with dropout on the code, by SGD with momentum. Then,
    `refeeds` times for each batch, the output y = f(x) is fed back as a full row of input: min mean
    (f(y) − y)² over all entries, y held fixed. Ratings must be above −1.7, the minimum of SELU.
    """

    name: ClassVar[str] = "deeprec"
    weight_bytes: ClassVar[int] = 16  # SGD has one moment

    hidden: str = hyper(
        "512-512-1024", "widths of the encoder's layers; the decoder mirrors them",
        pattern=r"^[1-9]\d*(-[1-9]\d*)*$",
    )  # fmt: skip
    dropout: float = hyper(0.8, "probability of hiding a code unit", ge=0, lt=1, search=(0, 0.9))
    refeeds: int = hyper(1, "times the output is fed back, per batch", ge=0)
    momentum: float = hyper(0.9, "momentum of SGD", ge=0, lt=1)
    decay: float = hyper(0.5, "factor of lr after each of epochs 24, 36, 48, 66, 72", gt=0, le=1)
    l2: float = hyper(0.0, "weight decay of SGD", ge=0)
    lr: float = hyper(5e-3, "learning rate", gt=0, search=(1e-3, 2e-2), scale="log")
    batch_size: int = hyper(128, "users per batch, over all processes", ge=1)

    @property
    def _widths(self) -> list[int]:
        return [int(width) for width in self.hidden.split("-")]

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from shoal.training.ratings import Mirrored

        return Mirrored(n_items, self._widths)

    def _phases(self, network: Any) -> list[Phase]:
        import torch

        from shoal.training.learner import Phase

        sgd = torch.optim.SGD(
            network.parameters(), self.lr, momentum=self.momentum, weight_decay=self.l2
        )
        return [Phase(sgd, schedule=lambda e: self.decay ** sum(e >= h for h in _HALVINGS))]

    def _code(self, network: Any, batch: Batch, generator: Any = None) -> torch.Tensor:
        code: torch.Tensor = network.below_output(batch, self.dropout, generator)
        return code

    def _losses(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        from torch.nn.functional import mse_loss, selu

        from shoal.training import batches, ratings

        y = batches.wide(selu(network.decode(self._code(network, batch, generator))))  # (B, n)
        yield ratings.masked_mean_square(batch.at(y), batch)
        for _ in range(self.refeeds):
            refed = y.detach()
            hidden = network.below_output(refed, self.dropout, generator)
            y = batches.wide(selu(network.decode(hidden)))
            yield mse_loss(y, refed)

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        return next(self._losses(network, batch, clock, generator))

    def _activate(self, x: Float) -> Float:
        """SELU of numpy numbers, with torch's constants (Klambauer et al., 2017)."""
        scale, alpha = np.float32(1.0507009873554805), np.float32(1.6732632423543772)
        return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        widths = self._widths
        first = widths[0]
        inner = sum(2 * a * b + a + b for a, b in pairwise(widths))
        return (2 * n_items + 1) * first + n_items + inner
