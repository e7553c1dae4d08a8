"""NEASE: ŷ = xW with diag W = 0, EASE's model, but W is learned by gradient steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper
from shoal.kernels.arrays import Float, Int

if TYPE_CHECKING:
    import torch

    from shoal.data.interactions import Interactions
    from shoal.run import Run
    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase


class NEASE(DeepRecommender):
    """Neural EASE (Vančura and Kordík, RecSys 2021): one linear layer with a zero diagonal.

    The loss is the mean over users of 1 − cos(x, xW), ‖x − xW‖² or the focal loss of σ(xW),
    minimised by NAdam. W is n × n or, with `factors` = k, the product ABᵀ of two n × k matrices
    without its diagonal. It starts at random, or at EASE's solution (its k largest singular
    values).
    """

    name: ClassVar[str] = "nease"
    explains: ClassVar[bool] = True
    deep: ClassVar[bool] = False
    weight_bytes: ClassVar[int] = 30  # NAdam's temporaries need more

    loss: Literal["cosine", "square", "focal"] = hyper("cosine", "loss: cosine, square or focal")
    start: Literal["random", "ease"] = hyper("random", "first W: random, or ease's solution")
    l2: float = hyper(300.0, "ridge λ of the EASE to start from", gt=0, search=(50, 2000))
    factors: int = hyper(0, "k of W = ABᵀ with A and B n × k; 0: W is n × n", ge=0)
    alpha: float = hyper(0.25, "α, weight of positives in the focal loss (others 1−α)", gt=0, lt=1)
    gamma: float = hyper(2.0, "γ, damps easy entries in the focal loss", ge=0)
    batch_size: int = hyper(1024, "users per batch, over all processes", ge=1)
    n_epochs: int = hyper(50, "largest number of passes over the data", ge=1)

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from shoal.training.blocks import ZeroDiagonal

        return ZeroDiagonal(n_items, self.factors)

    def _start(self, network: Any, interactions: Interactions, run: Run) -> None:
        if self.start == "ease":
            from shoal.models.ease import EASE

            ease = EASE(l2=self.l2)
            ease._fit(interactions, run)  # this fit has set threads and checked memory
            network.take(ease.weights)

    def _phases(self, network: Any) -> list[Phase]:
        from shoal.training.blocks import nadam

        return [nadam(network.parameters(), self.lr)]

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        scores: torch.Tensor = network(batch)
        return scores

    def _log_probability(
        self, network: Any, batch: Batch, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        from shoal.training.focal import log_product

        log_p = log_product(self._scores(network, batch))
        return log_p, log_p.new_zeros(len(batch))

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training import batches, focal, layers

        if self.loss == "focal":
            log_p, _ = self._log_probability(network, batch, generator)
            return focal.focal(log_p, batch, self.alpha, self.gamma).mean()
        scores = batches.wide(self._scores(network, batch))
        if self.loss == "square":
            weight = batch.counts.new_ones(len(batch))
            return layers.weighted_squares(scores, batch, weight).mean()
        products = batch.sum(batch.values * batch.at(scores))
        lengths = scores.norm(dim=1) * batch.sum(batch.values**2).sqrt()
        return (1 - products / lengths.clamp_min(1e-12)).mean()

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """Return what each history item j adds to the score of `item`: x_j·W[j, item]."""
        parts: Float = self._network.column(history, item) * weights
        return parts

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        return n_items * (2 * self.factors or n_items)
