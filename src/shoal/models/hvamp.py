"""H+Vamp (gated): two layers of codes z₂ → z₁ → x, the prior on z₂ from learned pseudo-users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase


class HVamp(DeepRecommender):
    """Hierarchical variational autoencoder with a VampPrior and gates (Kim and Suh, RecSys 2019).

    max mean_u [log p(x|z₁, z₂) − β·(log q(z₁|x, z₂) + log q(z₂|x) − log p(z₁|z₂) − log p(z₂))],
    p(z₂) = 1/K Σ_k q(z₂|v_k) with K pseudo-users v_k in [0, 1]ⁿ that are learned too. β rises with
    the epochs and reaches `beta` after `warm_up` of them; patience counts from then on. Each
    tensor's gradient is divided by its norm before Adam. Scores are log p(x|z₁, z₂) at the means.
    """

    name: ClassVar[str] = "hvamp"
    training_only: ClassVar[tuple[str, ...]] = ("pseudo", "prior_")
    weight_bytes: ClassVar[int] = 24

    hidden: int = hyper(600, "units of each gated layer", ge=1)
    factors: int = hyper(200, "dimensions of each code, z₁ and z₂", ge=1, search=(50, 400))
    pseudo_users: int = hyper(1000, "K: components of the prior", ge=1, search=(100, 2000))
    dropout: float = hyper(0.5, "probability of hiding a history item", ge=0, lt=1, search=(0, 0.8))
    likelihood: Literal["multinomial", "bernoulli"] = hyper("multinomial", "distribution of x")
    beta: float = hyper(0.3, "weight β of the KL terms, at last", ge=0, search=(0.05, 1))
    warm_up: int = hyper(100, "epochs until β reaches beta", ge=0)
    lr: float = hyper(5e-4, "learning rate", gt=0, search=(1e-4, 1e-2), scale="log")
    batch_size: int = hyper(200, "users per batch, over all processes", ge=1)
    n_epochs: int = hyper(400, "largest number of passes over the data", ge=1)
    patience: int = hyper(50, "epochs without a better validation, after warm_up", ge=0)

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        import torch
        from torch import nn

        from shoal.training.blocks import TwoCodes
        from shoal.training.layers import initialise

        network = TwoCodes(n_items, self.hidden, self.factors)
        initialise(network, "he")
        pseudo = torch.randn(self.pseudo_users, n_items) * 0.01 + 0.05
        network.register_parameter("pseudo", nn.Parameter(pseudo))
        return network

    @property
    def _warm_up(self) -> int:
        return self.warm_up

    def _phases(self, network: Any) -> list[Phase]:
        from shoal.training.blocks import NormalisedAdam
        from shoal.training.learner import Phase

        return [Phase(NormalisedAdam(network.parameters(), self.lr))]

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training import layers, priors

        rows = batch.normalised()
        q2 = network.q2(rows.corrupted(self.dropout, generator))
        z2 = layers.sample_normal(q2[0], q2[1], generator)
        q1 = network.q1(rows.corrupted(self.dropout, generator), z2)
        z1 = layers.sample_normal(q1[0], q1[1], generator)
        kl = (layers.log_normal(z1, *q1) + layers.log_normal(z2, *q2)).sum(dim=1)
        kl = kl - layers.log_normal(z1, *network.p1(z2)).sum(dim=1)
        pseudo = layers.dropped(network.pseudo.clamp(0, 1), self.dropout, generator)
        kl = kl - priors.log_vamp(z2, *network.q2(pseudo))
        logits = network.logits(z1, z2)
        if self.likelihood == "multinomial":
            loss = layers.multinomial(logits, batch)
        else:
            loss = layers.weighted_logistic(logits, batch, batch.counts.new_ones(len(batch)))
        weight = self.beta * min(1.0, (clock.epoch + 1) / self.warm_up if self.warm_up else 1.0)
        return (loss + weight * kl).mean()

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        rows = batch.normalised()
        z2 = network.q2(rows)[0]
        scores: torch.Tensor = network.logits(network.q1(rows, z2)[0], z2)
        return scores

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        h, d = self.hidden, self.factors
        gates = 2 * h * (2 * n_items + 2 * h + 4 * d + 2 * h + h + 2 * h)
        return (
            gates + 6 * d * h + (h + 2 * self.pseudo_users + 1) * n_items
        )  # incl. pseudo-users' noise
