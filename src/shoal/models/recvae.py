"""RecVAE: Mult-VAE with composite prior, KL weight per user, encoder and decoder in turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase


class RecVAE(DeepRecommender):
    """Variational autoencoder with a composite prior (Shenbin et al., WSDM 2020).

    max mean_u [Σ_i x_ui log softmax_i(Wz + b) − γ|x_u|·(log q(z|x) − log p(z|x))], z ~ q(z|x̃).
    The prior is a mixture in each dimension: p(z) = 3/20 N(0, 1) + 3/4 N(μ_old(x), σ²_old(x)) +
    1/10 N(0, e¹⁰), where "old" is the encoder as of the beginning of the epoch. An epoch trains the
    encoder in `encoder_passes` passes over corrupted histories x̃, then the decoder in one pass
    over whole histories.
    """

    name: ClassVar[str] = "recvae"
    training_only: ClassVar[tuple[str, ...]] = ("prior.",)

    hidden: int = hyper(600, "units of each encoder layer", ge=1)
    depth: int = hyper(5, "densely connected encoder layers", ge=1)
    factors: int = hyper(200, "dimensions of the code z", ge=1, search=(50, 400), scale="log")
    dropout: float = hyper(
        0.5, "probability of hiding a history item from the encoder", ge=0, lt=1, search=(0.2, 0.8)
    )
    gamma: float = hyper(
        5e-3, "γ: weight of the KL term per history item", ge=0, search=(1e-3, 0.02), scale="log"
    )
    encoder_passes: int = hyper(3, "encoder passes per epoch; the decoder has one", ge=1)
    norm_eps: float = hyper(0.1, "ε of the layer normalisation", gt=0)
    lr: float = hyper(5e-4, "learning rate", gt=0, search=(1e-4, 1e-2), scale="log")
    n_epochs: int = hyper(50, "largest number of epochs", ge=1)

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from torch import nn

        from shoal.training.blocks import DenseEncoder
        from shoal.training.layers import dense, initialise

        shape = (n_items, self.hidden, self.depth, self.factors, self.norm_eps)
        network = nn.ModuleDict()
        network["encoder"] = DenseEncoder(*shape)
        network["prior"] = DenseEncoder(*shape).requires_grad_(False)
        network["decoder"] = dense(self.factors, n_items)
        initialise(network, "uniform")
        network.epoch_of_prior = -1
        return network

    def _phases(self, network: Any) -> list[Phase]:
        return [
            self._phase(network["encoder"].parameters(), "encoder", self.encoder_passes),
            self._phase(network["decoder"].parameters(), "decoder"),
        ]

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        import torch
        from torch.nn.functional import linear

        from shoal.training import layers, priors

        encoder, decoder, rows = network["encoder"], network["decoder"], batch.normalised()
        if clock.phase == "decoder":
            with torch.no_grad():
                mean, log_variance = encoder(rows)
                z = layers.sample_normal(mean, log_variance, generator)
            return layers.multinomial(decoder(z), batch).mean()
        if network.epoch_of_prior != clock.epoch:
            network["prior"].load_state_dict(encoder.state_dict())
            network.epoch_of_prior = clock.epoch
        mean, log_variance = encoder(rows.corrupted(self.dropout, generator))
        z = layers.sample_normal(mean, log_variance, generator)
        with torch.no_grad():
            old = network["prior"](rows)
        kl = (layers.log_normal(z, mean, log_variance) - priors.log_composite(z, old)).sum(dim=1)
        logits = linear(z, decoder.weight.detach(), decoder.bias.detach())
        return (layers.multinomial(logits, batch) + self.gamma * batch.counts * kl).mean()

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        mean, _ = network["encoder"](batch.normalised())
        return network["decoder"](mean)

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        h, d = self.hidden, self.factors
        encoder = (n_items + 1) * h + (self.depth - 1) * (h + 1) * h + 2 * self.depth * h
        return 2 * (encoder + 2 * d * (h + 1)) + (d + 1) * n_items
