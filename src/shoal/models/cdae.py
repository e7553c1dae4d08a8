"""CDAE: ŷ = f(W'ᵀ h(Wᵀỹ + V_u + b) + b'), ỹ the corrupted history, V_u the user's vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase

Activation = Literal["identity", "sigmoid"]


class CDAE(DeepRecommender):
    """Collaborative denoising autoencoder (Wu et al., WSDM 2016).

    The paper's M1 … M4 are (`hidden_activation`, `loss`) = (identity, square), (identity,
    logistic), (sigmoid, square) and (sigmoid, logistic); with the square loss M3 has no sigmoid at
    the output. For each observed item of a user, unobserved items count with a total weight of
    `negatives`: all of them with small weights, or with `sampling` that many, drawn anew for each
    batch, which has the same expectation. The vectors V_u are used in training only: scores are
    computed from histories, with V_u = 0.
    """

    name: ClassVar[str] = "cdae"
    training_only: ClassVar[tuple[str, ...]] = ("users",)

    factors: int = hyper(200, "units of the hidden layer", ge=1, search=(50, 400), scale="log")
    hidden_activation: Activation = hyper("sigmoid", "hidden activation h: identity or sigmoid")
    loss: Literal["square", "logistic"] = hyper("logistic", "loss function: square or logistic")
    corruption: float = hyper(0.5, "probability of hiding an item", ge=0, le=1, search=(0, 0.9))
    scaled: bool = hyper(False, "divide the items left in the history by 1 − corruption")
    negatives: float = hyper(5.0, "weight of unobserved items per observed item", gt=0)
    sampling: bool = hyper(False, "draw unobserved items instead of weighting all of them")
    l2: float = hyper(
        1e-2, "weight decay λ, divided by the users in a batch", ge=0, search=(1e-5, 1), scale="log"
    )
    optimiser: Literal["adam", "adagrad"] = hyper(
        "adam", "adam, or as in the paper adagrad (lr=0.1)"
    )

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        import torch
        from torch import nn

        from shoal.training.layers import SparseLinear, dense

        network = nn.ModuleDict(
            {"encode": SparseLinear(n_items, self.factors), "decode": dense(self.factors, n_items)}
        )
        network.register_parameter("users", nn.Parameter(torch.zeros(n_users, self.factors)))
        return network

    def _phases(self, network: Any) -> list[Phase]:
        import torch

        from shoal.training.learner import Phase

        if self.optimiser == "adam":
            return super()._phases(network)
        options = {"eps": 1.0, "initial_accumulator_value": 1e-4}  # step: lr·g/(1 + √Σg²)
        return [Phase(torch.optim.Adagrad(network.parameters(), self.lr, **options))]

    def _code(self, network: Any, batch: Batch) -> torch.Tensor:
        x = network["encode"](batch)
        if len(network.users):
            known = (batch.users >= 0).to(x.dtype)[:, None]
            x = x + network.users[batch.users.clamp_min(0)] * known
        return x.sigmoid() if self.hidden_activation == "sigmoid" else x

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        scores: torch.Tensor = network["decode"](self._code(network, batch))
        return scores

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training import layers

        code = self._code(network, batch.corrupted(self.corruption, generator, scaled=self.scaled))
        if self.sampling:
            losses = layers.sampled(
                code, network["decode"], batch, self.negatives, generator, self.loss
            )
        else:
            weight = self.negatives * batch.counts / (batch.n - batch.counts).clamp_min(1)
            dense = {"square": layers.weighted_squares, "logistic": layers.weighted_logistic}
            losses = dense[self.loss](network["decode"](code), batch, weight)
        decay = layers.squares(network["encode"], network["decode"])
        decay = decay + (network.users[batch.users] ** 2).sum()
        return losses.mean() + 0.5 * self.l2 * decay / len(batch)

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        return (2 * n_items + n_users + 1) * self.factors + n_items
