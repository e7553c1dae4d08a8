"""GF-CF: ŷ = x(D^−b·S·D^b + α·D^−½VVᵀD^½), S = D^−½XᵀD_u^−βXD^−½, V its k vectors at β = 1."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import PrivateAttr

from shoal.base import graph, singular
from shoal.base.declared import CsrSpec, Spec
from shoal.base.forms import from_state
from shoal.base.hyper import hyper
from shoal.base.low_pass import LowPass
from shoal.base.recommender import Recommender
from shoal.base.weights import SparseWeights, Weights
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels.arrays import Float, Int, State
from shoal.run import Run


class GFCF(Recommender):
    """Graph filter: the sum of a linear and an ideal low-pass filter (Shen et al., CIKM 2021).

    Nothing is trained. Defaults are the authors' for Gowalla and Yelp2018 (Amazon-book: alpha=0).
    D (D_u) holds the column (row) sums of X. S has an entry per pair of items with a common user;
    V has the k first right singular vectors of D_u^−½XD^−½. The paper has b = 0 and β = 1. With b
    above 0, popular candidates gain, and rare items of the history count more; with β below 1,
    users with many items count more.
    """

    name: ClassVar[str] = "gf-cf"
    explains: ClassVar[bool] = True
    state_arrays: ClassVar[Spec] = (CsrSpec("n_items", "n_items"), *LowPass.spec)

    alpha: float = hyper(
        0.3, "α: weight of the low-pass filter", ge=0, search=(0, 1), allow_inf_nan=False
    )
    factors: int = hyper(256, "k: singular vectors", ge=1, search=(32, 512), scale="log")
    b: float = hyper(0.0, "b: exponent of D around the linear filter", ge=0, le=1, search=(0, 0.5))
    beta: float = hyper(
        1.0, "β: damps long histories in the linear filter by d^−β", ge=0, le=2, search=(0.3, 1)
    )

    _linear: Weights = PrivateAttr()  # D^−b·S·D^b
    _low: LowPass = PrivateAttr()

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._low = LowPass.of(
            self.name, interactions, rank=self.factors, exponent=0.5, weight=self.alpha, run=run
        )
        beside, powers = self._low.vectors.nbytes, (self.beta / 2, 0.5)
        self._linear = SparseWeights(
            graph.normalised_gram(self.name, interactions, *powers, run, beside, tilt=self.b)
        )

    def _score(self, histories: CSR) -> Float:
        scores = self._low.score(histories)
        scores += self._linear.score(histories)
        return scores

    def bytes_per_history(self, k: int) -> int:
        """Return the bytes of two rows of scores and a list of k."""
        return 4 * self.n_items + super().bytes_per_history(k)

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """Return x_j times entry (j, item) of the filter, for each history item j."""
        linear = self._linear.part_of_column(history, item)
        low = self._low.part_of_column(history, item)
        return np.asarray(weights * (linear + low), np.float32)

    def state(self) -> State:
        """Return the linear filter as CSR arrays, V, D^−½ and α·D^½."""
        return self._low.state() | self._linear.state()

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned."""
        self._low = LowPass.of_state(state)
        self._linear = from_state(state)

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of the graph (an estimate; the fit counts them) and singular vectors."""
        k = singular.rank_of(size, self.factors)
        kept = 4 * size.n_items * k + graph.bytes_of_graph(size)
        return max(singular.bytes_to_find(size, k) if self.alpha else 0, kept)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of the singular vectors and of the graph."""
        alone = graph.work_of_graph(size, n_pairs)
        return alone | (singular.work_to_find(size, self.factors) if self.alpha else {})
