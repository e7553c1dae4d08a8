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

    Training begins with all k values of each row of A. Each epoch keeps fewer of them, those of
    largest magnitude, by a constant factor, until `nonzeros` are left; dropped values stay 0.
    Validation scores rows cut to `nonzeros` from the first epoch on, so the best epoch is the best
    one in the stored form, which takes 8 bytes per non-zero value: 4 for it, 4 for its column.
    """

    name: ClassVar[str] = "compressed-elsa"
    sparse: ClassVar[bool] = True

    factors: int = hyper(1024, "k: dimensions of an item vector", ge=1, search=(512, 4096))
    nonzeros: int = hyper(64, "s: values of an item vector that are not 0", ge=1)
    pruning: int = hyper(10, "epochs over which item vectors are cut from k to s", ge=0)

    def _kept(self, epoch: int) -> int:
        """Values kept of each row in `epoch` (counted from 0): k·(s/k)^(epoch/pruning), then s."""
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

        return lowrank.scores(batch, lowrank.thinned(network["A"], self.nonzeros), network.rows)

    def _learned(self, network: Any) -> CSR:
        from shoal.training import lowrank

        return CSR(lowrank.units(lowrank.thinned(network["A"].detach(), self.nonzeros)).cpu())

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of ELSA, and of the copy of A, with its gradient, that keeps zeros 0."""
        return super().bytes_to_fit(size) + 16 * size.n_items * self.factors

    def bytes_of_model(self, size: Size) -> int:
        """Return the bytes of each non-zero value and its column."""
        return 8 * (size.n_items * min(self.nonzeros, self.factors) + size.n_items + 2)
