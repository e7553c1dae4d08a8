"""CEASE: EASE on interactions and texts: P = (XᵀX + α²FᵀF + λI)⁻¹, B = I − P/diag(P)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from shoal.base.hyper import hyper
from shoal.base.semantic import Composition, SemanticRecommender
from shoal.errors import ModelError
from shoal.kernels import dense


class CEASE(SemanticRecommender):
    """Collective EASE (Jeunen, Van Balen and Goethals, RecSys 2020).

    F (d × n) holds the item vectors: each of their d dimensions counts as one more user, of weight
    α. With G = XᵀX, the inverse P of the interactions is corrected by Woodbury's
    identity: (G + λI + α²FᵀF)⁻¹ = P − α²·PFᵀ·K·FP with K = (I + α²FPFᵀ)⁻¹.
    """

    name: ClassVar[str] = "cease"
    contains: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ease": {"text": 0}}

    text: float = hyper(
        3.0,
        "α: weight of the item vectors",
        ge=0,
        search=(0.1, 100),
        scale="log",
        allow_inf_nan=False,
    )

    def _combine(self) -> Composition:
        K = self.text**2 * dense.cross(self.item_vectors, self._left)
        np.einsum("ii->i", K)[:] += 1
        R, form = dense.quadratic(self._left, dense.inverse(K))
        p = self._diagonal - self.text**2 * form
        if not (p > 0).all():
            raise ModelError(f"{self.name}: text={self.text:g} is too large for λ={self.l2:g}")
        R *= (self.text**2 / p)[:, None].astype(np.float32)
        return Composition(1 / p, R, np.zeros_like(p))
