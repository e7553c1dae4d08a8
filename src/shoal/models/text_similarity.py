"""Text similarity: B_ij = cos(f_i, f_j) for i ≠ j, f the item vectors; score = xFᵀF."""

from __future__ import annotations

from typing import ClassVar

from shoal.base.semantic import FactoredTextRecommender
from shoal.kernels.arrays import Float


class TextSimilarity(FactoredTextRecommender):
    """Sum an item's cosines to the items of the history: a baseline for models with texts."""

    name: ClassVar[str] = "text-similarity"
    one_factor: ClassVar[bool] = True

    def _learn(self) -> Float:
        return self.item_vectors
