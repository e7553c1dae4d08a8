"""Spectral EASE: B = I − P/diag(P), P = (Λ + G)⁻¹, with G from k singular values of XΛ^−½."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import PrivateAttr

from shoal.base import singular
from shoal.base.declared import Spec, per_item
from shoal.base.factored import FactoredRecommender
from shoal.base.hyper import hyper
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels.arrays import Float, Int, State
from shoal.run import Run


class SpectralEASE(FactoredRecommender):
    """EASE from the k largest singular values: n × k numbers, no n × n matrix, nothing trained.

    Λ = λ·C with C_j = (c_j/c̄)^γ, c_j the number of users of item j. σ and V are the singular values
    and right vectors of D_u^−β/2·X·C^−½ (d_u^−β is divided by its mean). Then
    P = C^−½(I − V diag(f) Vᵀ)C^−½/λ with f = σ²/(σ² + λ). γ = β = 0 with k = n is EASE.
    """

    name: ClassVar[str] = "spectral-ease"
    explains: ClassVar[bool] = True
    state_arrays: ClassVar[Spec] = per_item("into", "own")

    factors: int = hyper(256, "k: singular values kept", ge=1, search=(64, 1024), scale="log")
    l2: float = hyper(
        300.0, "ridge λ of a mean item", gt=0, search=(5, 2000), scale="log", allow_inf_nan=False
    )
    gamma: float = hyper(
        0.5, "γ: raises ridge of popular items", ge=0, le=2, search=(0, 1), allow_inf_nan=False
    )
    beta: float = hyper(
        0.4, "β of DAN: damp long histories by d^−β", ge=0, le=1, search=(0, 1), allow_inf_nan=False
    )

    _into: Float = PrivateAttr()  # (n,): a history has the vector Σ x_j·into_j·v_j
    _own: Float = PrivateAttr()  # (n,): into_j·‖v_j‖², the diagonal to subtract

    def _fit(self, interactions: Interactions, run: Run) -> None:
        counts = np.maximum(interactions.item_counts, 1.0)
        root = ((counts / counts.mean()) ** (self.gamma / 2)).astype(np.float32)  # C^½
        damping = np.maximum(np.diff(interactions.indptr), 1.0) ** -self.beta
        rows = np.sqrt(damping / damping.mean()).astype(np.float32)
        values, V = singular.top_singular(
            self.name, interactions, self.factors, run, rows=rows, columns=1 / root
        )
        V *= np.sqrt(values**2 / (values**2 + self.l2)).astype(np.float32)
        remainder = 1 - np.einsum("jk,jk->j", V, V)  # λ·C_j·P_jj
        V *= (root / remainder).astype(np.float32)[:, None]
        self._vectors, self._into = V, (remainder / root**2).astype(np.float32)
        self._own = (self._into * np.einsum("jk,jk->j", V, V)).astype(np.float32)

    def _user_vectors(self, histories: CSR) -> Float:
        weighted = CSR(histories, copy=True)
        weighted.data *= self._into[histories.indices]
        return self._sum_of_vectors(weighted)

    def _correction(self, histories: CSR) -> CSR:
        correction = CSR(histories, copy=True)
        correction.data *= -self._own[histories.indices]
        return correction

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """Return what each history item j adds to the score of `item`: x_j·B_ji."""
        B = self._into[history] * (self._rows(history) @ self._rows([item])[0])
        return np.where(history == item, 0, weights * B).astype(np.float32)

    def state(self) -> State:
        """Return V, `into` and `own`: B = diag(into)·VVᵀ − diag(own)."""
        return super().state() | {"into": self._into, "own": self._own}

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned."""
        super().restore(state)
        self._into, self._own = state["into"], state["own"]

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes that finding the singular vectors takes."""
        return singular.bytes_to_find(size, self.factors)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of finding the singular vectors."""
        return singular.work_to_find(size, self.factors)

    def bytes_of_model(self, size: Size) -> int:
        """Return the bytes of V (n × k) and two vectors of n numbers."""
        return 4 * size.n_items * (singular.rank_of(size, self.factors) + 2)
