"""Mult-VAE: z ~ N(μ(x̃), σ²(x̃)), p = softmax(f(z)); the evidence lower bound with an annealed β."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase


class MultVAE(DeepRecommender):
    """Variational autoencoder with multinomial likelihood (Liang et al., WWW 2018).

    min mean_u [−Σ_i x_ui log softmax_i(f(z_u)) + β·KL(q(z_u) ‖ N(0, I))], where β grows
    by 1/`anneal` for each 500 users seen, up to `beta` (partial regularisation). Scores are the
    logits at z = μ. The preset "large-batch" trains in few large batches (NVIDIA's recipe).
    """

    name: ClassVar[str] = "mult-vae"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "large-batch": {
            "batch_size": 8192, "lr": 4e-3, "second_momentum": 0.9,
            "beta": 0.1, "anneal": 245_760,  # beta is reached after 1,500 updates of 8,192 users
        }
    }  # fmt: skip

    hidden: int = hyper(600, "units of the layer on each side of the code; 0: no such layer", ge=0)
    factors: int = hyper(200, "dimensions of the code z", ge=1, search=(50, 400), scale="log")
    dropout: float = hyper(0.5, "probability of hiding a history item", ge=0, lt=1, search=(0, 0.9))
    beta: float = hyper(0.2, "largest weight β of the KL term", ge=0, search=(0, 1))
    anneal: int = hyper(200_000, "updates of 500 users in which β would grow from 0 to 1", ge=1)
    momentum: float = hyper(0.9, "Adam's β₁", ge=0, lt=1)
    second_momentum: float = hyper(0.999, "Adam's β₂", ge=0, lt=1)

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from torch import nn

        from shoal.training.layers import SparseLinear, dense

        h, d = self.hidden, self.factors
        parts: dict[str, nn.Module] = {"encode": SparseLinear(n_items, h or 2 * d)}
        if h:
            parts |= {"moments": dense(h, 2 * d), "widen": dense(d, h)}
        return nn.ModuleDict(parts | {"decode": dense(h or d, n_items)})

    def _phases(self, network: Any) -> list[Phase]:
        phase = self._phase(network.parameters())
        for group in phase.optimiser.param_groups:
            group["betas"] = (self.momentum, self.second_momentum)
        return [phase]

    def _moments(self, network: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        x = network["encode"](batch)  # (B, hidden)
        x = network["moments"](x.tanh()) if self.hidden else x  # (B, 2·factors)
        mean, log_variance = x.chunk(2, dim=1)
        return mean, log_variance

    def _logits(self, network: Any, z: torch.Tensor) -> torch.Tensor:
        x = network["widen"](z).tanh() if self.hidden else z
        logits: torch.Tensor = network["decode"](x)
        return logits

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training.layers import kl_to_normal, multinomial, sample_normal

        corrupted = batch.normalised().corrupted(self.dropout, generator)
        mean, log_variance = self._moments(network, corrupted)
        z = sample_normal(mean, log_variance, generator)
        weight = min(self.beta, clock.rows / 500 / self.anneal)
        loss = multinomial(self._logits(network, z), batch)
        return (loss + weight * kl_to_normal(mean, log_variance)).mean()

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        return self._logits(network, self._moments(network, batch.normalised())[0])

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        h, d = self.hidden, self.factors
        inner = 3 * h * d + 2 * d + h if h else 0
        return n_items * ((h or 2 * d) + (h or d) + 1) + (h or 2 * d) + inner
