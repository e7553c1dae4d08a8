"""Mult-DAE: softmax(W₂ tanh(W₁ᵀ x̃ + b₁) + b₂), x̃ the normalised history with dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock


class MultDAE(DeepRecommender):
    """Denoising autoencoder with multinomial likelihood (Liang et al., WWW 2018, section 2.3).

    min −mean_u Σ_i x_ui log softmax_i(u) + λ·Σ‖W‖². The input is x/‖x‖₂ with entries set to 0 with
    probability `dropout` and the others divided by 1 − `dropout`.
    """

    name: ClassVar[str] = "mult-dae"

    factors: int = hyper(200, "units of the hidden layer", ge=1, search=(50, 600), scale="log")
    dropout: float = hyper(0.5, "probability of hiding a history item", ge=0, lt=1, search=(0, 0.9))
    l2: float = hyper(2e-5, "weight decay λ in the loss", ge=0, search=(1e-7, 1e-3), scale="log")

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from torch import nn

        from shoal.training.layers import SparseLinear, dense

        return nn.ModuleDict(
            {"encode": SparseLinear(n_items, self.factors), "decode": dense(self.factors, n_items)}
        )

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training.layers import multinomial, squares

        logits = self._logits(network, batch.normalised().corrupted(self.dropout, generator))
        loss = multinomial(logits, batch).mean()
        return loss + self.l2 * squares(*network.values()) if self.l2 else loss

    def _logits(self, network: Any, batch: Batch) -> torch.Tensor:
        logits: torch.Tensor = network["decode"](network["encode"](batch).tanh())
        return logits

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        return self._logits(network, batch.normalised())

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        return (2 * n_items + 1) * self.factors + n_items
