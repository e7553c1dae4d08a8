"""AutoRec: r̂ = W·g(V·r + μ) + b, g the sigmoid, r the ratings of an item or of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from shoal.base.hyper import hyper
from shoal.base.rating import RatingRecommender
from shoal.data.size import Size

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase

Optimiser = Literal["rprop", "adam"]


class _AutoRec(RatingRecommender):
    """What both AutoRecs share; a row is a user's or, if `by_item`, an item's ratings."""

    dense_rows: ClassVar[int] = 0
    weight_bytes: ClassVar[int] = 28  # a second gradient, of the decay, and Rprop's temporaries
    factors: int = hyper(500, "k: units of the hidden layer", ge=1, search=(50, 500), scale="log")
    l2: float = hyper(
        250.0, "weight decay λ: Σ(r − r̂)² + λ/2·(‖V‖² + ‖W‖²)", ge=0, search=(1, 1000), scale="log"
    )
    optimiser: Optimiser = hyper("rprop", "rprop: all rows per update; adam: batch_size rows")
    lr: float = hyper(0.03, "rprop: first step size; adam: learning rate, such as 0.001", gt=0)
    n_epochs: int = hyper(150, "largest number of passes over the data", ge=1)
    batch_size: int = hyper(512, "rows per batch, for adam", ge=1)

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from torch import nn

        from shoal.training.layers import SparseLinear

        rows, columns = (n_items, n_users) if self.by_item else (n_users, n_items)
        encode, decode = SparseLinear(columns, self.factors), nn.Linear(self.factors, columns)
        network = nn.ModuleDict({"encode": encode, "decode": decode})
        for name, parameter in network.named_parameters():
            nn.init.normal_(parameter, 0.0, 0.01 if name.endswith("weight") else 0.001)
        network.n_rows = rows
        return network

    def rows_per_batch(self, n_rows: int) -> int:
        return n_rows if self.optimiser == "rprop" else self.batch_size

    def _phases(self, network: Any) -> list[Phase]:
        import torch

        from shoal.training.learner import Phase

        if self.optimiser == "adam":
            return super()._phases(network)
        return [Phase(torch.optim.Rprop(network.parameters(), self.lr))]

    def _code(self, network: Any, batch: Batch, generator: Any = None) -> torch.Tensor:
        code: torch.Tensor = network["encode"](batch).sigmoid()
        return code

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training import layers, ratings

        predicted = ratings.at_entries(self._code(network, batch), network["decode"], batch)
        # both terms are divided by rows: a batch of B of the m rows has the share B/m of the decay
        decay = 0.5 * self.l2 / network.n_rows * layers.squares(*network.values())
        return ratings.squared_errors(predicted, batch) / len(batch) + decay

    def n_parameters(self, n_users: int, n_items: int) -> int:
        return (n_users if self.by_item else n_items) * (2 * self.factors + 1) + self.factors

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of the base class, of a batch's codes, and of its ratings."""
        rows, _ = self.rows_and_columns(size.n_users, size.n_items)
        codes = 16 * self.factors * min(self.rows_per_batch(rows), rows)
        return super().bytes_to_fit(size) + codes + 56 * size.n_interactions


class IAutoRec(_AutoRec):
    """Item-based AutoRec (Sedhain et al., WWW 2015): it rebuilds an item's ratings.

    Missing ratings are 0 in the input and not part of the loss; nothing is centred. It predicts
    ratings only for the users it was trained on.
    """

    name: ClassVar[str] = "i-autorec"
    by_item: ClassVar[bool] = True


class UAutoRec(_AutoRec):
    """User-based AutoRec (Sedhain et al., WWW 2015): it rebuilds a user's ratings."""

    name: ClassVar[str] = "u-autorec"
    l2: float = hyper(100.0, "weight decay λ, as of i-autorec", ge=0, search=(1, 1000), scale="log")
    optimiser: Optimiser = hyper("adam", "rprop: all rows per update; adam: batch_size rows")
    lr: float = hyper(1e-3, "rprop: first step size, such as 0.03; adam: learning rate", gt=0)
