"""GF-CF: ŷ = x(R̃ᵀR̃ + α·D^−½VVᵀD^½), R̃ = D_u^−½XD^−½, V its k first right singular vectors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import PrivateAttr

from shoal.base import graph
from shoal.base.declared import Spec, per_item
from shoal.base.hyper import hyper
from shoal.base.recommender import Recommender
from shoal.base.weights import csr_arrays
from shoal.data.interactions import CSR, Interactions, csr
from shoal.data.size import Size
from shoal.kernels import linear, svd
from shoal.kernels.arrays import Float, Int, State
from shoal.run import Run

SMALLEST = 1e-3  # singular values of R̃ (largest: 1) below this are rounding errors


class GFCF(Recommender):
    """Graph filter: the sum of a linear and an ideal low-pass filter (Shen et al., CIKM 2021).

    Nothing is trained. Defaults are the authors' for Gowalla and Yelp2018 (Amazon-book: alpha=0).
    D (D_u) holds the column (row) sums of X. R̃ᵀR̃ has an entry per pair of items with a common user.
    """

    name: ClassVar[str] = "gf-cf"
    explains: ClassVar[bool] = True
    state_arrays: ClassVar[Spec] = (*graph.FILTER, *per_item("left", "right"))

    alpha: float = hyper(
        0.3, "α: weight of the low-pass filter", ge=0, search=(0, 1), allow_inf_nan=False
    )
    factors: int = hyper(256, "k: singular vectors", ge=1, search=(32, 512), scale="log")

    _graph: CSR = PrivateAttr()
    _vectors: Float = PrivateAttr()  # V, (n_items, k)
    _left: Float = PrivateAttr()  # D^−½
    _right: Float = PrivateAttr()  # α·D^½

    def _fit(self, interactions: Interactions, run: Run) -> None:
        n, k = interactions.n_items, min(self.factors, interactions.n_users, interactions.n_items)
        users, items = graph.degrees(interactions)
        left, right = (graph.inverse_power(sums, 0.5) for sums in (users, items))
        self._vectors = np.zeros((n, 0), np.float32)
        if self.alpha:
            with run.progress.step(f"{self.name}: {k} singular vectors", svd.MAX_ROUNDS) as step:
                values, self._vectors = svd.top_singular(
                    *interactions.arrays, n, k,
                    rows=left, columns=right, seed=run.seed, done=step.advance,
                )  # fmt: skip
            self._vectors = np.ascontiguousarray(self._vectors[:, values > SMALLEST])
        self._left, self._right = right, (self.alpha * np.sqrt(items)).astype(np.float32)
        beside = self._vectors.nbytes
        self._graph = graph.normalised_gram(self.name, interactions, 0.5, 0.5, run, beside)

    def _score(self, histories: CSR) -> Float:
        indptr, indices, data = csr_arrays(histories)
        low = linear.sparse_times_dense(indptr, indices, data * self._left[indices], self._vectors)
        scores = low @ self._vectors.T
        scores *= self._right
        G = csr_arrays(self._graph)
        scores += linear.sparse_times_sparse(indptr, indices, data, *G, self.n_items)
        return scores

    def bytes_per_history(self, k: int) -> int:
        """Return the bytes of two rows of scores and a list of k."""
        return 4 * self.n_items + super().bytes_per_history(k)

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """Return x_j times entry (j, item) of the filter, for each history item j."""
        row = self._graph[[item]].toarray()[0]  # the matrix is symmetric
        low = self._left[history] * (self._vectors[history] @ self._vectors[item])
        return np.asarray(weights * (row[history] + low * self._right[item]), np.float32)

    def state(self) -> State:
        """Return R̃ᵀR̃ as CSR arrays, V, D^−½ and α·D^½."""
        low: State = {"vectors": self._vectors, "left": self._left, "right": self._right}
        return low | dict(zip(("indptr", "indices", "data"), csr_arrays(self._graph), strict=True))

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned."""
        self._vectors, self._left, self._right = (state[k] for k in ("vectors", "left", "right"))
        self._graph = csr(state["data"], state["indices"], state["indptr"], len(self._left))

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of R̃ᵀR̃ (an estimate; the fit counts them) and singular vectors."""
        k = min(self.factors, size.n_users, size.n_items)
        kept = 4 * size.n_items * k + graph.bytes_of_graph(size)
        return max(svd.bytes_needed(*size, k) if self.alpha else 0, kept)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of the singular vectors and of the graph R̃ᵀR̃."""
        graph_alone, (_, n, nnz) = graph.work_of_graph(size, n_pairs), size
        return graph_alone | (svd.work_needed(n, nnz, self.factors) if self.alpha else {})
