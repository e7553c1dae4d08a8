"""Low-pass RDLAE: B = W + ζ·D^−b·VVᵀ·D^b, W of RDLAE, V the k first right singular vectors of R̃."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import PrivateAttr

from shoal.base import singular
from shoal.base.costs import sum_of_work
from shoal.base.hyper import hyper
from shoal.base.low_pass import LowPass, Settings
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.kernels.arrays import Float
from shoal.models.rdlae import RDLAE
from shoal.run import Run


class LowPassRDLAE(RDLAE):
    """RDLAE with DAN, and GF-CF's ideal low-pass filter added to its weights.

    W is RDLAE's (Moon et al., SIGIR 2023; α and β: Park et al., SIGIR 2025). The filter (Shen et
    al., CIKM 2021) has R̃ = D_u^−½XD^−½, where D (D_u) holds the column (row) sums of X. ζ is its
    weight beside W as RDLAE has it: for a filter beside p/(1−p)·W, as graph filters are scaled,
    divide its weight by p/(1−p). One inverse, one SVD; the sum is a single matrix B, so scores and
    reasons cost what they cost with RDLAE. It is fitted again instead of updated.
    """

    name: ClassVar[str] = "low-pass-rdlae"
    contains: ClassVar[Mapping[str, Mapping[str, Any]]] = {"rdlae": {"zeta": 0}}

    zeta: float = hyper(
        0.1, "ζ: weight of the low-pass filter", ge=0, search=(0, 0.5), allow_inf_nan=False
    )
    b: float = hyper(0.5, "b: how strongly it favours popular items", ge=0, le=1, search=(0.2, 0.6))
    factors: int = hyper(512, "k: singular vectors", ge=1, search=(32, 512), scale="log")

    _filter: LowPass = PrivateAttr()  # while it is fitted

    @property
    def can_share_inverse(self) -> bool:
        """Return False: the filter is added to B of the formula."""
        return False

    @property
    def scores_from_inverse(self) -> bool:
        """Return True: the filter adds to the scores of B."""
        return True

    @property
    def low_pass(self) -> Settings | None:
        """Return ζ, b and k."""
        return Settings(self.zeta, self.b, self.factors) if self.zeta else None

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._filter = LowPass.of(
            self.name, interactions, rank=self.factors, exponent=self.b, weight=self.zeta, run=run
        )
        super()._fit(interactions, run)
        del self._filter

    def _finish(self, B: Float) -> dict[str, float]:
        facts = super()._finish(B)  # about W
        self._filter.add_to_weights(B)
        return facts

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of RDLAE's fit and of three matrices like V, or of making V."""
        if not self.zeta:
            return super().bytes_to_fit(size)
        beside = 12 * size.n_items * singular.rank_of(size, self.factors)
        return max(super().bytes_to_fit(size) + beside, singular.bytes_to_find(size, self.factors))

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of RDLAE's fit, of V, and of adding the filter to B."""
        work = super().work_to_fit(size, n_pairs)
        if not self.zeta:
            return work
        of_vectors = singular.work_to_find(size, self.factors)
        product = 2.0 * size.n_items**2 * singular.rank_of(size, self.factors)
        return sum_of_work(work, of_vectors, {"product": product})
