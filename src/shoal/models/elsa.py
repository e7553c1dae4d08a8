"""ELSA: ŷ = x(AAᵀ − I), the rows of A (n × k) of length 1, by gradient steps on 1 − cos(ŷ, x)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from shoal.base.deep import scored_at_once
from shoal.base.factored import LearnedVectors
from shoal.base.hyper import hyper
from shoal.data.interactions import CSR
from shoal.data.size import Size
from shoal.kernels.arrays import Float, Int

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase


class ELSA(LearnedVectors):
    """Scalable linear shallow autoencoder (Vančura et al., RecSys 2022).

    The exact loss is computed from u = xA and AᵀA (k × k), without the scores of all items. With
    `sampled` = q > 0, AᵀA is estimated from the batch's own items and q others drawn for the rest,
    and only their rows change, so the cost of a step does not depend on the catalogue.
    `strategy=default` trains all epochs, `early_stopping` stops after `patience`.
    """

    name: ClassVar[str] = "elsa"
    explains: ClassVar[bool] = True
    sparse: ClassVar[bool] = False  # whether zero entries of A stay 0 in training

    factors: int = hyper(512, "k: dimensions of an item vector", ge=1, search=(128, 1024))
    lr: float = hyper(0.03, "first learning rate", gt=0, search=(0.01, 0.3), scale="log")
    decay: float = hyper(0.9, "lr is multiplied by this each epoch", gt=0, le=1, search=(0.6, 1))
    batch_size: int = hyper(512, "users per batch, over all processes", ge=1)
    n_epochs: int = hyper(30, "largest number of passes over the data", ge=1)
    strategy: Literal["default", "early_stopping"] = hyper("early_stopping", "when training stops")
    patience: int = hyper(3, "epochs without a better validation until it stops; 0: never", ge=0)
    sampled: int = hyper(0, "q: items drawn from outside the batch; 0: use all items", ge=0)

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from shoal.training.sharded import ItemRows

        return ItemRows(n_items, self.factors, 0.1)

    def _phases(self, network: Any) -> list[Phase]:
        import torch

        from shoal.training.learner import Phase

        optimiser = torch.optim.SparseAdam if self.sampled else torch.optim.NAdam
        return [Phase(optimiser(network.parameters(), self.lr), schedule=lambda e: self.decay**e)]

    @property
    def _patience(self) -> int:
        return self.patience if self.strategy == "early_stopping" else 0

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training import lowrank

        A, rows, sparse = network["A"], network.rows, self.sparse
        if self.sampled:
            parts = lowrank.sampled(batch, A, self.sampled, generator, rows, sparse=sparse)
        else:
            parts = lowrank.exact(batch, A, rows, sparse=sparse)
        return lowrank.cosine_loss(batch, *parts).mean()

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        from shoal.training import lowrank

        return lowrank.scores(batch, network["A"], network.rows)

    def _learned(self, network: Any) -> Float:
        A: Float = network["A"].detach().cpu().numpy()
        return A / np.maximum(np.linalg.norm(A, axis=1, keepdims=True), 1e-12)

    def _correction(self, histories: CSR) -> CSR:
        return -histories

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """Return what each history item adds to the score of `item`: weight times cosine."""
        cosines = self._rows(history) @ self._rows([item])[0]
        return np.where(history == item, 0, weights * cosines).astype(np.float32)

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of A, its gradient and NAdam state (a batch's rows if `sampled`)."""
        batch = (
            min(self.batch_size, size.n_users) * -(-size.n_interactions // size.n_users)
            + self.sampled
        )
        rows = min(size.n_items, batch) if self.sampled else size.n_items
        scores = 8 * size.n_items * scored_at_once(size.n_items)
        return (24 * size.n_items + 36 * rows) * self.factors + 8 * size.n_interactions + scores
