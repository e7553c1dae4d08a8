"""SVAE: h_t = GRU(items 1 … t), z_t ~ N(μ(h_t), σ²(h_t)), softmax(f(z_t)) over the next k items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper
from shoal.data.size import Size

if TYPE_CHECKING:
    import torch
    from torch import nn

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase


class SVAE(DeepRecommender):
    """Sequential variational autoencoder (Sachdeva et al., WSDM 2019).

    min mean_u [Σ_t −Σ_{i among the k items after t} log softmax_i(f(z_t)) / (targets of t = 1)
    + β·mean_t KL(q(z_t) ‖ N(0, I))]. β grows by 1/`anneal` per user seen, up to `beta`. Scores
    are the logits at z = μ after the last item; an empty history has the state 0.
    """

    name: ClassVar[str] = "svae"
    ordered: ClassVar[bool] = True

    n_epochs: int = hyper(30, "largest number of passes over the data", ge=1)
    batch_size: int = hyper(16, "users per batch, over all processes", ge=1)
    lr: float = hyper(2e-3, "learning rate", gt=0, search=(5e-4, 1e-2), scale="log")
    patience: int = hyper(5, "epochs without a better validation until it stops; 0: never", ge=0)
    next_items: int = hyper(4, "k: how many of the following items to predict", ge=1)
    embedding: int = hyper(256, "dimensions of an item embedding", ge=1)
    state_size: int = hyper(200, "units of the GRU", ge=1, search=(50, 400), scale="log")
    hidden: int = hyper(150, "units of the layer on each side of the code", ge=1)
    factors: int = hyper(64, "dimensions of the code z", ge=1, search=(16, 256), scale="log")
    l2: float = hyper(5e-3, "weight decay of Adam, added to the gradient", ge=0)
    beta: float = hyper(0.2, "largest weight β of the KL term", ge=0, search=(0, 1))
    anneal: int = hyper(200_000, "users seen in which β would grow from 0 to 1", ge=1)

    def _build(self, n_users: int, n_items: int) -> nn.Module:
        from torch import nn

        def dense(n_in: int, n_out: int) -> nn.Linear:
            layer = nn.Linear(n_in, n_out)
            nn.init.xavier_normal_(layer.weight)
            return layer

        h, d, g = self.hidden, self.factors, self.state_size
        network = nn.ModuleDict()
        network["embed"] = nn.Embedding(n_items, self.embedding)
        network["gru"] = nn.GRU(self.embedding, g)
        network["moments"] = nn.Sequential(dense(g, h), nn.Tanh(), dense(h, 2 * d))
        network["widen"] = nn.Sequential(dense(d, h), nn.Tanh())
        network["decode"] = dense(h, n_items)
        return network

    def _phases(self, network: Any) -> list[Phase]:
        phase = self._phase(network.parameters())
        phase.optimiser.param_groups[0]["weight_decay"] = self.l2
        return [phase]

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training.layers import kl_to_normal, sample_normal
        from shoal.training.sequences import Steps, decoded_multinomial, in_order, states

        batch = in_order(batch)
        steps = Steps.of(batch, leave=1)  # the last item has no next item
        state = states(network["gru"], network["embed"](batch.columns[steps.at]), steps.sizes)
        mean, log_variance = network["moments"](state).chunk(2, 1)
        code = network["widen"](sample_normal(mean, log_variance, generator))  # (S, hidden)
        counts = steps.counts[steps.rows].float()  # (S,): number of steps of the same user
        share = 1 / counts.clamp_max(self.next_items)
        targets = steps.following(batch, self.next_items)
        loss = decoded_multinomial(code, network["decode"], targets, share)
        weight = min(self.beta, clock.rows / self.anneal)
        return (loss + weight * (kl_to_normal(mean, log_variance) / counts).sum()) / len(batch)

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        from shoal.training.sequences import last_states

        state = last_states(network["gru"], network["embed"], batch)
        return network["decode"](network["widen"](network["moments"](state).chunk(2, 1)[0]))

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        e, g, h, d = self.embedding, self.state_size, self.hidden, self.factors
        return n_items * (e + h + 1) + 3 * g * (e + g + 2) + h * (g + d + 2) + 2 * d * (h + 1)

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of weights (as the base class), a batch of long histories, logits."""
        m, n, nnz = size
        steps = max(2 * self.batch_size * -(-nnz // max(m, 1)), 2**12)
        kept = 3 * self.embedding + 22 * self.state_size + 6 * self.hidden + 12 * self.factors
        rest = 12 * max(2**20, n) + 8 * n * self.hidden + 16 * nnz
        return 20 * self.n_parameters(m, n) + 4 * steps * kept + rest
