"""Text similarity: B_ij = cos(f_i, f_j) for i ≠ j, f the item vectors; score = xFᵀF."""

from __future__ import annotations

from typing import ClassVar

from shoal.base.semantic import FactoredTextRecommender
from shoal.kernels.arrays import Float


class TextSimilarity(FactoredTextRecommender):
    """The sum of the cosines to the items of a history: the baseline of models with text."""

    name: ClassVar[str] = "text-similarity"

    def _learn(self) -> Float:
        return self.item_vectors
