"""FLVAE: p = σ(R·f(z)) ∘ σ(L·z), z ~ q(z|x); half of a history predicts the other, focal loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase

FALLS = ((50, 0.2), (70, 0.02))  # (epoch, factor of lr from then on), as in the paper


class FLVAE(DeepRecommender):
    """Focal-loss variational autoencoder (Vančura and Kordík, RecSys 2021).

    Encoder and decoder are densely connected. Each history is cut in two at random, and each half
    predicts the other: min mean [focal(p, other half) + β·mean_d KL(q(z|half) ‖ N(0, I))].
    Scores are log p at z = μ. The default widths suit data of MovieLens-1M's size; the preset
    "paper" has the authors' widths, for MovieLens-20M.
    """

    name: ClassVar[str] = "flvae"
    scores_are_log_probabilities: ClassVar[bool] = True
    dense_rows: ClassVar[int] = 20  # a user makes two rows, one per half
    weight_bytes: ClassVar[int] = 30  # NAdam's temporaries need more
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "hidden": 4096, "factors": 2048, "lr": 5e-5, "batch_size": 1024,
        }
    }  # fmt: skip

    hidden: int = hyper(1024, "units of each layer", ge=1)
    factors: int = hyper(512, "dimensions of the code z", ge=1, search=(128, 1024), scale="log")
    depth: int = hyper(7, "layers of the encoder, densely connected", ge=1)
    decoder_depth: int = hyper(5, "layers of the decoder, densely connected", ge=1)
    alpha: float = hyper(0.25, "α, weight of positives in the focal loss (others 1−α)", gt=0, lt=1)
    gamma: float = hyper(2.0, "γ, damps easy entries in the focal loss", ge=0, search=(0, 3))
    beta: float = hyper(1.0, "weight of the KL term (mean over dimensions)", ge=0, search=(0, 2))
    lr: float = hyper(5e-4, "learning rate", gt=0, search=(5e-5, 5e-3), scale="log")
    n_epochs: int = hyper(90, "most epochs; lr falls to 1/5 after 50, to 1/50 after 70", ge=1)

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from torch import nn

        from shoal.training.blocks import DenseEncoder, DenselyConnected
        from shoal.training.layers import dense

        h, d, eps = self.hidden, self.factors, 1e-3  # ε of Keras' layer normalisation
        return nn.ModuleDict(
            {
                "encoder": DenseEncoder(n_items, h, self.depth, d, eps),
                "widen": dense(d, h),
                "decoder": DenselyConnected(h, self.decoder_depth, eps),
                "residual": dense(h, n_items),  # R
                "linear": dense(d, n_items),  # L
            }
        )

    def _phases(self, network: Any) -> list[Phase]:
        from shoal.training.blocks import nadam

        return [nadam(network.parameters(), self.lr, FALLS)]

    def _log_probability(
        self, network: Any, batch: Batch, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        from shoal.training.focal import log_product
        from shoal.training.layers import kl_to_normal, sample_normal

        mean, log_variance = network["encoder"](batch)
        z = mean if generator is None else sample_normal(mean, log_variance, generator)
        hidden = network["decoder"](network["widen"](z))
        log_p = log_product(network["residual"](hidden), network["linear"](z))
        return log_p, self.beta / self.factors * kl_to_normal(mean, log_variance)

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training.focal import focal

        inputs, targets = batch.halves(generator)
        log_p, penalty = self._log_probability(network, inputs, generator)
        return (focal(log_p, targets, self.alpha, self.gamma) + penalty).mean()

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        return self._log_probability(network, batch, None)[0]

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        h, d = self.hidden, self.factors
        inner = (self.depth + self.decoder_depth) * (h + 3) * h + 3 * d * h
        return n_items * (2 * h + d + 2) + inner
