"""RVAE: z_ui ~ N(μ(h_ui), σ²(h_ui)), h_ui = ReLU(A p_u + B q_i + b); log σ(f(z_ui) − f(z_uj))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper
from shoal.data.size import Size

if TYPE_CHECKING:
    import torch
    from torch import nn

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock

AT_ONCE = 2**22  # numbers of the hidden layer that are computed at once for scores


class RVAE(DeepRecommender):
    """Ranking variational autoencoder, a baseline of SVAE's paper (Sachdeva et al., WSDM 2019).

    min mean_u Σ_{i of u} Σ_j [−log σ(f(z_ui) − f(z_uj)) + β KL(z_ui) + β KL(z_uj)], f linear, j
    drawn from the items that u lacks; each KL is to N(0, I). Scores are f(μ_ui), up to a constant.
    The paper learns a vector p_u for each user, so nobody else can be served. Here p_u is the mean
    of vectors of the history's items (but for i itself in training), 0 for an empty history.
    """

    name: ClassVar[str] = "rvae"

    batch_size: int = hyper(16, "users per batch, over all processes", ge=1)
    embedding: int = hyper(128, "dimensions of the vectors p and q", ge=1)
    hidden: int = hyper(100, "units of the hidden layer h", ge=1)
    factors: int = hyper(64, "dimensions of the code z", ge=1, search=(16, 256), scale="log")
    negatives: int = hyper(1, "items j drawn for each item of a history, in each epoch", ge=1)
    beta: float = hyper(0.0, "weight β of the KL terms", ge=0, search=(0, 0.1))

    def _build(self, n_users: int, n_items: int) -> nn.Module:
        from torch import nn

        from shoal.training.layers import dense

        network = nn.ModuleDict()
        for role in ("user", "item"):
            network[role] = nn.Embedding(n_items, self.embedding)
            nn.init.normal_(network[role].weight, std=0.01)
        network["encode"] = dense(2 * self.embedding, self.hidden)  # A and B side by side, b
        network["moments"] = dense(self.hidden, 2 * self.factors)
        network["score"] = nn.Linear(self.factors, 1, bias=False)  # f
        return network

    def _parts(self, network: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """A times the vectors of items in histories, B q + b: (n, hidden) each."""
        A, B = network["encode"].weight.split(self.embedding, 1)
        return network["user"].weight @ A.T, network["item"].weight @ B.T + network["encode"].bias

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        import torch
        from torch.nn import functional

        from shoal.training import layers
        from shoal.training.batches import wide

        of_user, of_item = self._parts(network)
        rows, columns, x, k = batch.rows, batch.columns, batch.values[:, None], self.negatives
        total = layers.sparse_product(batch, of_user)  # (B, hidden)
        user = (total[rows] - x * of_user[columns]) / (batch.counts[rows, None] - 1).clamp_min(1)
        drawn = layers.unobserved(rows.repeat(k), batch, generator)
        hidden = user.repeat(k + 1, 1) + of_item[torch.cat([columns, drawn])]
        mean, log_variance = network["moments"](hidden.relu()).chunk(2, 1)
        z = layers.sample_normal(mean, log_variance, generator)
        scores = wide(network["score"](z)).view(k + 1, -1)  # of i, then of each j
        kl = layers.kl_to_normal(mean, log_variance).view(k + 1, -1)
        losses = functional.softplus(scores[1:] - scores[0]) + self.beta * (kl[1:] + kl[0])
        return losses.sum() / len(batch)

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        from torch import cat

        from shoal.training.layers import sparse_product

        of_user, of_item = self._parts(network)
        user = sparse_product(batch, of_user) / batch.counts.clamp_min(1)[:, None]
        direction = network["score"].weight[0] @ network["moments"].weight[: self.factors]
        size = max(1, AT_ONCE // of_item.numel())
        return cat([(part[:, None] + of_item).relu() @ direction for part in user.split(size)])

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""
        e, h, d = self.embedding, self.hidden, self.factors
        return 2 * n_items * e + h * (2 * e + 1) + 2 * d * (h + 1) + d

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of the base class, and those of a batch's pairs."""
        length = 2 * -(-size.n_interactions // max(size.n_users, 1))  # a batch of long histories
        numbers = length * (self.negatives + 1) * (5 * self.hidden + 10 * self.factors)
        return super().bytes_to_fit(size) + 4 * (self.batch_size * numbers + AT_ONCE)
