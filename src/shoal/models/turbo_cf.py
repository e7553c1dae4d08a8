"""Turbo-CF: ŷ = xP or x(2P − P²), P = (R̃ᵀR̃)^∘s, R̃ = D_u^−a·X·D_i^(a−1)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from shoal.base import graph
from shoal.base.hyper import hyper
from shoal.base.linear import LinearRecommender
from shoal.base.weights import SparseWeights, csr_arrays
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels import linear
from shoal.kernels.arrays import Float, Int
from shoal.run import Run

TOGETHER = 64  # histories that are multiplied with P in one pass over it


class TurboCF(LinearRecommender):
    """Polynomial graph filter without decomposition (Park, Shin and Shin, SIGIR 2024).

    Nothing is trained. ∘s raises each entry to the power s; D_u (D_i) holds the row (column) sums
    of X. The authors' (a, s, filter): Gowalla 0.6, 0.7, 1 (the defaults); Yelp2018 0.6, 1, 2;
    Amazon-book 0.5, 1.4, 1. P is sparse, with an entry for each pair of items with a common user.
    Filter 2 multiplies twice with P, and each history then takes time proportional to all entries.
    """

    name: ClassVar[str] = "turbo-cf"

    a: float = hyper(
        0.6, "scales users by d^−a and items by d^(a−1)", ge=0, le=1, search=(0.3, 0.8)
    )
    s: float = hyper(0.7, "power of each entry of P", gt=0, search=(0.5, 1.5), allow_inf_nan=False)
    filter: int = hyper(1, "the filter: 1 is P (linear), 2 is 2P − P²", ge=1, le=2)

    def _fit(self, interactions: Interactions, run: Run) -> None:
        P = graph.normalised_gram(self.name, interactions, self.a, 1 - self.a, run)
        if self.s != 1:
            np.power(P.data, np.float32(self.s), out=P.data)
        self._weights = SparseWeights(P)

    def _score(self, histories: CSR) -> Float:
        once = super()._score(histories)  # xP
        if self.filter == 1:
            return once
        P = csr_arrays(self.weights)
        for begin in range(0, len(once), TOGETHER):
            block = once[begin : begin + TOGETHER]
            # P is symmetric, so (xP)P = (P(xP)ᵀ)ᵀ: several histories share a pass over P
            twice = linear.sparse_times_dense(*P, np.ascontiguousarray(block.T))
            block *= 2
            block -= twice.T
        return once

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """Return x_j times entry (j, item) of the filter, for each history item j."""
        P = self.weights
        assert not isinstance(P, np.ndarray)
        row = P[[item]].toarray()[0]  # P is symmetric
        entries = row[history]
        if self.filter == 2:
            entries = 2 * entries - P[history] @ row
        return np.asarray(weights * entries, np.float32)

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of P (an estimate; the fit counts them) and of X by column."""
        return graph.bytes_of_graph(size)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of making P."""
        return graph.work_of_graph(size, n_pairs)
