"""NEASE: ŷ = xW with diag W = 0, the form of EASE, learned by gradient steps."""

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

    The loss is 1 − cos(x, xW), ‖x − xW‖² or the focal loss of σ(xW), mean over users; NAdam.
    W is n × n, or with `factors` = k the product ABᵀ of two n × k, less its diagonal. It starts at
    random, or at EASE's solution (of its k largest singular values).
    """

    name: ClassVar[str] = "nease"
    explains: ClassVar[bool] = True
    weight_bytes: ClassVar[int] = 30  # NAdam makes more

    loss: Literal["cosine", "square", "focal"] = hyper("cosine", "cosine, square or focal")
    start: Literal["random", "ease"] = hyper("random", "random, or ease: its closed form")
    l2: float = hyper(300.0, "λ of the EASE that it starts from", gt=0, search=(50, 2000))
    factors: int = hyper(0, "k of W = ABᵀ; 0: W has n × n weights", ge=0)
    alpha: float = hyper(0.25, "focal: weight of positives; 1 − α of the others", gt=0, lt=1)
    gamma: float = hyper(2.0, "focal: less weight for what is easy", ge=0)
    batch_size: int = hyper(1024, "users in a batch, over all processes", ge=1)
    n_epochs: int = hyper(50, "passes over the data, at most", ge=1)

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from shoal.training.blocks import ZeroDiagonal

        return ZeroDiagonal(n_items, self.factors)

    def _start(self, network: Any, interactions: Interactions, run: Run) -> None:
        if self.start == "ease":
            from shoal.models.ease import EASE

            ease = EASE(l2=self.l2)
            ease._fit(interactions, run)  # threads and memory are those of this fit
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
        """What each history item adds to the score of `item`: its weight times W there."""
        parts: Float = self._network.column(history, item) * weights
        return parts

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        return n_items * (2 * self.factors or n_items)
