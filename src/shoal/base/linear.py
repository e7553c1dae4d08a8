"""Linear item-item models: score = x B, with B dense or sparse.

Orientation, once and for all: B[j, i] is the weight from history item j to candidate item i. A
user's score of item i uses *column* i; B is not symmetric.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from pydantic import PrivateAttr

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, csr
from shoal.data.size import Size
from shoal.errors import NotFittedError
from shoal.kernels import linear, ranking
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen, Sparse, State
from shoal.kernels.device import Ranker

FEW_SCORES = 2**24  # 64 MB of them


class LinearRecommender(Recommender):
    """Base of models whose score is a product with one item-item matrix.

    A subclass sets ``self._weights`` in ``_fit``: a C-ordered float32 array, or a CSR array.
    """

    explains: ClassVar[bool] = True

    # the matrix that was copied to an accelerator, which one, and what ranks there
    _ranker: tuple[object, str, Ranker] | None = PrivateAttr(None)
    _weights: Float | CSR | None = PrivateAttr(None)

    @property
    def weights(self) -> Float | CSR:
        """B, (n_items, n_items): B[j, i] from history item j to candidate item i."""
        if self._weights is None:
            raise NotFittedError(f"{self.name} has not been fitted: call fit(interactions) first")
        return self._weights

    @property
    def _fused(self) -> bool:
        """Whether scores and selection are one pass: for a dense B."""
        return self._weights is None or isinstance(self._weights, np.ndarray)

    def _score(self, histories: CSR) -> Float:
        x = csr_arrays(histories)
        B = self.weights
        if isinstance(B, np.ndarray):
            return linear.sparse_times_dense(*x, B)
        return linear.sparse_times_sparse(*x, *csr_arrays(B), B.shape[1])

    def _rank(
        self,
        histories: CSR,
        k: int,
        seen: Seen,
        allowed: Bool,
        device: str | None,
    ) -> Ranking:
        # the fused pass reads all of B once; a few histories touch less than that
        few = histories.nnz < 4 * self.n_items and histories.shape[0] * self.n_items < FEW_SCORES
        if few or not self._fused:
            return super()._rank(histories, k, seen, allowed, device)
        if device is not None:
            return self._on(device).best(csr_arrays(histories), k, *seen, allowed)
        return self._best(histories, k, seen, allowed)

    def _best(self, histories: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """Scores and selection in one pass."""
        B = self.weights
        assert isinstance(B, np.ndarray)
        return ranking.best_of_product(csr_arrays(histories), B, k, *seen, allowed)

    @property
    def _source(self) -> object:
        """What B is made of, to see whether a copy elsewhere is still good."""
        return self._weights

    def _on(self, device: str) -> Ranker:
        if self._ranker is None or self._ranker[0] is not self._source or self._ranker[1] != device:
            B = self.weights
            assert isinstance(B, np.ndarray)
            self._ranker = (self._source, device, Ranker(B, device))
        return self._ranker[2]

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """XᵀX; and a product of n × n matrices, where `bytes_to_fit` has room for a dense one.

        A guess for models that say nothing better.
        """
        work = {"entry": size.n_interactions, "update": n_pairs / 2}
        if self.bytes_to_fit(size) >= 4 * size.n_items**2:
            work |= {"product": 2 * size.n_items**3, "value": size.n_items**2}
        return work

    def bytes_of_model(self, size: Size) -> int:
        """What the whole fit takes, or a sparse B of all entries where that is less."""
        every = 8 * (size.n_items**2 + size.n_items + 1)
        return min(every, self.bytes_to_fit(size))

    def bytes_per_history(self, k: int) -> int:
        """Lists only, where scores and selection are fused."""
        return ranking.bytes_per_row(k) if self._fused else super().bytes_per_history(k)

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """x_j·B_ji for each history item j: what it adds to the score of `item`."""
        return np.asarray(weights * self.column(item)[history], np.float32)

    def column(self, item: int) -> Float:
        """B[:, item], (n_items,): what each item of a history adds to the score of one."""
        B = self.weights
        return B[:, item] if isinstance(B, np.ndarray) else B[:, [item]].toarray()[:, 0]

    def state(self) -> State:
        """B as one array, or as the three of its CSR form."""
        B = self.weights
        if isinstance(B, np.ndarray):
            return {"weights": B}
        indptr, indices, data = csr_arrays(B)
        return {"indptr": indptr, "indices": indices, "data": data}

    def restore(self, state: State) -> None:
        """Take B back."""
        if "weights" in state:
            self._weights = state["weights"]
        else:
            indptr = state["indptr"]
            self._weights = csr(state["data"], state["indices"], indptr, len(indptr) - 1)


def csr_arrays(
    matrix: CSR,
) -> Sparse:
    """The three arrays in the types that the kernels are compiled for."""
    matrix = sp.csr_array(matrix)
    return (
        matrix.indptr.astype(np.int64, copy=False),
        matrix.indices.astype(np.int32, copy=False),
        matrix.data.astype(np.float32, copy=False),
    )
