"""Compressed ELSA: ŷ = x(AAᵀ − I), the rows of A (n × k) of length 1 and with s non-zeros each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from shoal.base.hyper import hyper
from shoal.data.interactions import CSR
from shoal.data.size import Size
from shoal.models.elsa import ELSA

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Phase


class CompressedELSA(ELSA):
    """ELSA with sparse item vectors (Vančura, Spišák, Alves and Peška, WWW 2026).

    Begins with all k numbers of a row and keeps the largest |values|, fewer with each epoch, by the
    same factor, until `nonzeros` are left; what was dropped stays 0. Validation looks at rows with
    `nonzeros` from the first epoch on, so the best epoch is the best of what is stored: 8 bytes
    for each non-zero, half of them for its place.
    """

    name: ClassVar[str] = "compressed-elsa"
    sparse: ClassVar[bool] = True

    factors: int = hyper(1024, "k, the size of an item's vector", ge=1, search=(512, 4096))
    nonzeros: int = hyper(64, "s, values of an item's vector that are not 0", ge=1)
    pruning: int = hyper(10, "epochs over which rows are thinned, from k to s", ge=0)

    def _kept(self, epoch: int) -> int:
        """Values of a row in an epoch (from 0 on): k·(s/k)^(epoch/pruning), then s."""
        s, k = min(self.nonzeros, self.factors), self.factors
        return s if epoch >= self.pruning else round(k * (s / k) ** (epoch / self.pruning))

    def _phases(self, network: Any) -> list[Phase]:
        from shoal.training import lowrank

        (phase,) = super()._phases(network)

        def thin(epoch: int) -> None:
            lowrank.thin(phase.optimiser, network["A"], self._kept(epoch))

        return [replace(phase, begin=thin)]

    @property
    def _warm_up(self) -> int:
        return self.pruning

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        from shoal.training import lowrank

        return lowrank.scores(batch, lowrank.thinned(network["A"], self.nonzeros))

    def _learned(self, network: Any) -> CSR:
        from shoal.training import lowrank

        return CSR(lowrank.units(lowrank.thinned(network["A"].detach(), self.nonzeros)).cpu())

    def bytes_of_model(self, size: Size) -> int:
        """A value and its place for each non-zero."""
        return 8 * (size.n_items * min(self.nonzeros, self.factors) + size.n_items + 2)
