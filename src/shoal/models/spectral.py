"""Spectral EASE: B = I − P/diag(P), P = (Λ + G)⁻¹, with G from k singular values of XΛ^−½."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import PrivateAttr

from shoal.base.factored import FactoredRecommender
from shoal.base.hyper import hyper
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels import svd
from shoal.kernels.arrays import Float, Int, State
from shoal.run import Run


class SpectralEASE(FactoredRecommender):
    """EASE from the k largest singular values: n × k weights, no n × n matrix, nothing trained.

    Λ = λ·C, C_j = (c_j/c̄)^γ with c_j the users of item j. With ΣVᵀ that of D_u^−β/2·X·C^−½ (d_u^−β
    is divided by its mean), P = (C^−½)(I − V diag(f) Vᵀ)(C^−½)/λ, f = σ²/(σ² + λ): the singular
    values kept are those that rise most above the ridge. γ = β = 0 with k = n is EASE.
    """

    name: ClassVar[str] = "spectral-ease"
    explains: ClassVar[bool] = True

    factors: int = hyper(256, "k, singular values kept", ge=1, search=(64, 1024), scale="log")
    l2: float = hyper(
        300.0, "ridge λ of a mean item", gt=0, search=(5, 2000), scale="log", allow_inf_nan=False
    )
    gamma: float = hyper(
        0.5, "γ: popular items get more ridge", ge=0, le=2, search=(0, 1), allow_inf_nan=False
    )
    beta: float = hyper(
        0.4, "DAN: damp long histories by d^−β", ge=0, le=1, search=(0, 1), allow_inf_nan=False
    )

    _into: Float = PrivateAttr()  # (n,), a history's vector is Σ x_j·into_j·v_j
    _own: Float = PrivateAttr()  # (n,), into_j·‖v_j‖²: the diagonal, which is left out

    def _fit(self, interactions: Interactions, run: Run) -> None:
        n, k = interactions.n_items, min(self.factors, interactions.n_users, interactions.n_items)
        counts = np.maximum(interactions.item_counts, 1.0)
        root = ((counts / counts.mean()) ** (self.gamma / 2)).astype(np.float32)  # C^½
        damping = np.maximum(np.diff(interactions.indptr), 1.0) ** -self.beta
        rows = np.sqrt(damping / damping.mean()).astype(np.float32)
        with run.progress.step(f"{self.name}: {k} singular vectors", svd.MAX_ROUNDS) as step:
            values, V = svd.top_singular(
                *interactions.arrays, n, k,
                rows=rows, columns=1 / root, seed=run.seed, done=step.advance,
            )  # fmt: skip
        V *= np.sqrt(values**2 / (values**2 + self.l2)).astype(np.float32)
        rest = 1 - np.einsum("jk,jk->j", V, V)  # λ·C_j·P_jj
        V *= (root / rest).astype(np.float32)[:, None]
        self._vectors, self._into = V, (rest / root**2).astype(np.float32)
        self._own = (self._into * np.einsum("jk,jk->j", V, V)).astype(np.float32)

    def _user_vectors(self, histories: CSR) -> Float:
        weighted = CSR(histories, copy=True)
        weighted.data *= self._into[histories.indices]
        return self._sum_of_vectors(weighted)

    def _correction(self, histories: CSR) -> CSR:
        own = CSR(histories, copy=True)
        own.data *= -self._own[histories.indices]
        return own

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """What each history item adds to the score of `item`: x_j·B_ji."""
        B = self._into[history] * (self._rows(history) @ self._rows([item])[0])
        return np.where(history == item, 0, weights * B).astype(np.float32)

    def state(self) -> State:
        """V, and two vectors: B = diag(into)·VVᵀ less its diagonal."""
        return super().state() | {"into": self._into, "own": self._own}

    def restore(self, state: State) -> None:
        """Take them back."""
        super().restore(state)
        self._into, self._own = state["into"], state["own"]

    def bytes_to_fit(self, size: Size) -> int:
        """What the search for the singular vectors takes."""
        k = min(self.factors, size.n_users, size.n_items)
        return svd.bytes_needed(*size, k)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """That search."""
        return svd.work_needed(
            size.n_items, size.n_interactions, min(self.factors, size.n_users, size.n_items)
        )

    def bytes_of_model(self, size: Size) -> int:
        """V and two vectors."""
        return 4 * size.n_items * (min(self.factors, size.n_users, size.n_items) + 2)
