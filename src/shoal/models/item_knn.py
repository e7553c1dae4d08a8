"""Item-kNN: B[j, i] = x_jᵀx_i / (‖x_j‖‖x_i‖ + shrink) for j among the k nearest of i, else 0."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from shoal.base.by_columns import ColumnwiseRecommender, Known, Pass
from shoal.base.cosines import Cosines, IndexedLog
from shoal.base.hyper import hyper
from shoal.base.weights import SparseWeights
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.run import Run


class ItemKNN(ColumnwiseRecommender):
    """Neighbourhood model with shrunk cosine similarity (Deshpande and Karypis, TOIS 2004).

    Each candidate item i has weights from its k most similar items only, so B is sparse and memory
    grows only linearly with the catalogue.
    """

    name: ClassVar[str] = "item-knn"

    k: int = hyper(100, "k: neighbours per item", ge=1, search=(10, 500), scale="log")
    shrink: float = hyper(
        10.0, "added to the cosine's denominator", ge=0, search=(0, 200), allow_inf_nan=False
    )

    def _shared(self, log: Interactions, run: Run) -> IndexedLog:
        return IndexedLog.of(log)

    def _passes(self, n_items: int) -> tuple[Pass, ...]:
        return (Cosines(min(self.k, n_items - 1), self.shrink),)

    def _learn(self, known: Known) -> None:
        neighbours, similarity = known[-1]
        n, present = len(neighbours), neighbours >= 0  # −1 fills lists that are shorter than k
        targets = np.repeat(np.arange(n, dtype=np.int32), present.sum(axis=1))
        B = CSR((similarity[present], (neighbours[present], targets)), shape=(n, n))
        B.sort_indices()
        self._weights = SparseWeights(B)

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of the lists with X by row and column, or of the lists made into B."""
        entries = size.n_items * min(self.k, size.n_items)
        return max(8 * entries + 16 * size.n_interactions, 32 * entries) + 64 * size.n_items

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of all rows of XᵀX and of the selection in each."""
        return {
            "entry": size.n_interactions,
            "update": n_pairs,
            "value": min(size.n_items**2, n_pairs),
        }

    def bytes_of_model(self, size: Size) -> int:
        """Return the bytes of at most k weights per item, with their rows."""
        return 8 * size.n_items * min(self.k, size.n_items - 1) + 8 * (size.n_items + 1)
