"""One inverse, a whole family.

    P = (G' + diag Λ)⁻¹          G' = Xᵀ diag(d_u^−β) X     (β = 0: G = XᵀX)
    B = I − P · diag(Λ + μ)
    W = diag(c^α) · B · diag(c^−α)                          (α = 0: W = B)

    Λ_j = λ + p/(1−p) · G_jj     ridge, plus what dropout with probability p amounts to
    μ_j                          Lagrange multiplier of the model's constraint on B_jj

c_j are the users of item j (= G_jj in binary data), d_u the items of user u. Members differ in Λ
and μ only (shared derivation: Steck, NeurIPS 2020; Moon et al., SIGIR 2023). α and β are DAN's
normalisation (Park et al., SIGIR 2025, arXiv:2504.05805): α damps popular targets, β long
histories. A new member is a class with its fields and, where it has a constraint, `_multiplier`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.data.interactions import Interactions
from shoal.data.split import HeldOut
from shoal.errors import ModelError
from shoal.kernels import gram, linear, spd
from shoal.models.contract import hyper
from shoal.models.linear import LinearRecommender
from shoal.run import Run

Vector = NDArray[Any]  # float64, (n_items,)

_LARGEST = 1e30  # on the diagonal of G' + diag Λ; float32 ends at 3e38, and its inverse at 1e-38


def zero_diagonal(p_diagonal: Vector, ridge: Vector) -> Vector:
    """μ for diag(B) = 0: B_jj = 1 − (Λ_j + μ_j)·P_jj vanishes (EASE, eq. 6-8)."""
    return 1 / p_diagonal - ridge


def bounded_diagonal(p_diagonal: Vector, ridge: Vector, xi: float) -> Vector:
    """μ for diag(B) ≤ ξ, by the KKT conditions: zero wherever the bound is not reached."""
    return np.where(1 - ridge * p_diagonal > xi, (1 - xi) / p_diagonal - ridge, 0)


class ClosedForm(LinearRecommender):
    """Base of the closed-form family; by itself it has no constraint."""

    l2: float = hyper(
        500.0, "ridge λ on the weights", gt=0, search=(10, 10_000), scale="log", allow_inf_nan=False
    )
    alpha: float = hyper(
        0.0, "DAN: damp popular targets by c^−α", ge=0, le=1, search=(0, 0.5), allow_inf_nan=False
    )
    beta: float = hyper(
        0.0, "DAN: damp long histories by d^−β", ge=0, le=1, search=(0, 1), allow_inf_nan=False
    )

    @property
    def _dropout(self) -> float:
        return float(getattr(self, "dropout", 0.0))

    def _multiplier(self, p_diagonal: Vector, ridge: Vector) -> Vector:
        """μ, (n_items,), from diag(P) and Λ."""
        return np.zeros_like(ridge)

    def _fit(self, interactions: Interactions, validation: HeldOut | None, run: Run) -> None:
        (indptr, indices, data), n = interactions.arrays, interactions.n_items
        # for binary data G_jj and c_j are the same number
        g = np.bincount(indices, weights=data.astype(np.float64) ** 2, minlength=n)
        ridge: Vector = self.l2 + self._dropout / (1 - self._dropout) * g
        if (g + ridge).max() > _LARGEST:
            raise ModelError(
                f"{self.name}: values up to {data.max():g}, squared and added up, are too large "
                "for float32: divide them by a constant"
            )
        P = np.empty((n, n), np.float32)
        with run.progress.step(f"{self.name}: Gram matrix"):
            user_weights = np.maximum(np.diff(indptr), 1.0) ** -self.beta
            gram.gram_upper(indptr, indices, data, user_weights.astype(np.float32), P)
        diagonal = np.einsum("ii->i", P)
        diagonal += ridge.astype(np.float32)
        with run.progress.step(f"{self.name}: inverse of {n:,} × {n:,}", float(n) ** 3) as step:
            try:
                spd.invert_upper(P, step.advance)
            except spd.NotPositiveDefiniteError:
                raise ModelError(
                    f"{self.name}: l2={self.l2:g} is too small for float32 on these data: the "
                    "matrix cannot be inverted. Try 10 or more"
                ) from None
        with run.progress.step(f"{self.name}: weights"):
            p_diagonal: Vector = diagonal.astype(np.float64)
            scale = ridge + self._multiplier(p_diagonal, ridge)
            damping = np.maximum(interactions.item_counts, 1.0) ** self.alpha
            linear.weights_from_inverse(
                P,
                scale.astype(np.float32),
                damping.astype(np.float32),
                (1 / damping).astype(np.float32),
            )
            self._finish(P)
        self._weights = P

    def _finish(self, B: NDArray[np.float32]) -> None:
        """Facts about B, and what a member does to it in the end."""
        off_diagonal = B.shape[0] * (B.shape[0] - 1)
        self._facts = {"negative_weights": linear.negative_entries(B) / off_diagonal}

    def bytes_to_fit(self, n_users: int, n_items: int, n_interactions: int) -> int:
        """One n × n float32 matrix, worked on in place, and an index of X by column."""
        return 4 * n_items**2 + 12 * n_interactions + 64 * n_items + 24 * n_users
