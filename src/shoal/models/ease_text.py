"""EASE_Text: B = I − P₁/diag(P₁) column by column, P₁ = (FᵀF + λ_F I)⁻¹, F the item vectors."""

from __future__ import annotations

from typing import ClassVar

from shoal.base.hyper import hyper
from shoal.base.semantic import NORMALISE, FactoredTextRecommender
from shoal.base.text_ease import text_ease
from shoal.kernels.arrays import Float


class EASEText(FactoredTextRecommender):
    """EASE on item vectors in place of interactions (a part of L3AE: Moon et al., CIKM 2025).

    F is d × n, one column per item. Interactions are not used in the fit. B is stored as two n × d
    factors, so memory grows only linearly with the catalogue.
    """

    name: ClassVar[str] = "ease-text"

    text_l2: float = hyper(
        10.0, "ridge λ_F on the weights", gt=0, search=(0.1, 100), scale="log", allow_inf_nan=False
    )
    normalise: bool = hyper(True, NORMALISE)

    def _learn(self) -> Float:
        return text_ease(self.item_vectors, self.text_l2, self.name)[0]
