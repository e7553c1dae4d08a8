"""The item-item matrix B of a linear model, in the forms in which it is kept.

Orientation, once and for all: B[j, i] is the weight from history item j to candidate item i. A
user's score of item i uses *column* i; B is not symmetric.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from shoal.data.interactions import CSR, csr
from shoal.kernels import linear, ranking, topk
from shoal.kernels.arrays import Bool, Float, Ranking, Seen, Sparse, State

FEW_SCORES = 2**24  # 64 MB of them


class Weights(ABC):
    """B, (n_items, n_items) float32, whatever it is made of."""

    dense: ClassVar[bool] = True  # whether `matrix` is a dense array that a device can rank with

    @property
    @abstractmethod
    def n_items(self) -> int:
        """Number of rows and columns of B."""

    @abstractmethod
    def matrix(self) -> Float | CSR:
        """B itself; made now, in memory of its own, where it is kept in another form."""

    @abstractmethod
    def score(self, x: CSR) -> Float:
        """x·B, (m, n_items), for a CSR block of m histories."""

    @abstractmethod
    def column(self, item: int) -> Float:
        """B[:, item], (n_items,)."""

    @abstractmethod
    def state(self) -> State:
        """The arrays of a model folder, by name."""

    def facts(self) -> dict[str, float]:
        """What is worth knowing of B, by name."""
        return {}

    def ranks_in_one_pass(self, x: CSR) -> bool:
        """Whether `best` is quicker for these histories than all scores and then a selection."""
        return False

    def best(self, x: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """The k best items of each row of x·B.

        Raises
        ------
        FloatingPointError
            A score is NaN.
        """
        return best_of_scores(self.score(x), k, seen, allowed)

    def bytes_per_history(self, k: int) -> int:
        """Memory that ranking takes for each history: its scores and its list."""
        return 4 * self.n_items + 8 * k


class _OnePass(Weights):
    """Forms whose products and selection are one pass over all of B."""

    def ranks_in_one_pass(self, x: CSR) -> bool:
        """Not for a few histories: they touch less than all of B."""
        return not (x.nnz < 4 * self.n_items and x.shape[0] * self.n_items < FEW_SCORES)

    def bytes_per_history(self, k: int) -> int:
        """Its list only."""
        return ranking.bytes_per_row(k)


@dataclass(frozen=True, eq=False)
class DenseWeights(_OnePass):
    """B as an array.

    Parameters
    ----------
    B : (n_items, n_items) float32, C-ordered
    """

    B: Float

    @property
    def n_items(self) -> int:
        """Number of rows and columns of B."""
        return len(self.B)

    def matrix(self) -> Float:
        """B."""
        return self.B

    def score(self, x: CSR) -> Float:
        """x·B."""
        return linear.sparse_times_dense(*csr_arrays(x), self.B)

    def best(self, x: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """The k best of each row of x·B, tile by tile of B."""
        return ranking.best_of_product(csr_arrays(x), self.B, k, *seen, allowed)

    def column(self, item: int) -> Float:
        """B[:, item]."""
        column: Float = self.B[:, item]
        return column

    def facts(self) -> dict[str, float]:
        """The share of weights off the diagonal that are negative."""
        n = self.n_items
        return {"negative_weights": linear.signed_entries(self.B, -1) / (n * (n - 1))}

    def state(self) -> State:
        """B as one array."""
        return {"weights": self.B}


@dataclass(frozen=True, eq=False)
class SparseWeights(Weights):
    """B as a CSR array.

    Parameters
    ----------
    B : CSR array (n_items, n_items), float32
    """

    dense: ClassVar[bool] = False

    B: CSR

    @property
    def n_items(self) -> int:
        """Number of rows and columns of B."""
        return int(self.B.shape[0])

    def matrix(self) -> CSR:
        """B."""
        return self.B

    def score(self, x: CSR) -> Float:
        """x·B."""
        return linear.sparse_times_sparse(*csr_arrays(x), *csr_arrays(self.B), self.n_items)

    def column(self, item: int) -> Float:
        """B[:, item]."""
        column: Float = self.B[:, [item]].toarray()[:, 0]
        return column

    def state(self) -> State:
        """The three arrays of B's CSR form."""
        return dict(zip(("indptr", "indices", "data"), csr_arrays(self.B), strict=True))


@dataclass(frozen=True, eq=False)
class SharedInverse(_OnePass):
    """B = diag(left)·(I − P·diag(scale))·diag(right), with a P that other models hold too.

    Parameters
    ----------
    P : (n_items, n_items) float32
        Symmetric, both triangles.
    scale, left, right : (n_items,) float32
    """

    P: Float
    scale: Float
    left: Float
    right: Float

    @property
    def n_items(self) -> int:
        """Number of rows and columns of B."""
        return len(self.P)

    def matrix(self) -> Float:
        """B, in memory of its own."""
        B = self.P.copy()
        linear.weights_from_inverse(B, self.scale, self.left, self.right)
        return B

    def column(self, item: int) -> Float:
        """B[:, item]."""
        column = np.empty((len(self.P), 1), np.float32)
        linear.pack_weights(self.P, self.scale, self.left, self.right, item, item + 1, column)
        return column[:, 0]

    def best(self, x: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """The k best of each row of x·B; tiles of B are made of P as they are needed."""

        def pack(begin: int, end: int, tile: Float) -> None:
            linear.pack_weights(self.P, self.scale, self.left, self.right, begin, end, tile)

        return ranking.best_of_tiles(csr_arrays(x), self.P.shape, pack, k, *seen, allowed)

    def score(self, x: CSR) -> Float:
        """x·B, without making B."""
        indptr, indices, data = csr_arrays(x)
        data = data * self.left[indices]
        scores = linear.sparse_times_dense(indptr, indices, data, self.P)
        scores *= -self.scale
        scores[np.repeat(np.arange(x.shape[0]), np.diff(indptr)), indices] += data
        scores *= self.right
        return scores

    def facts(self) -> dict[str, float]:
        """The share of weights off the diagonal that are negative: B is where P is positive."""
        n = self.n_items
        return {"negative_weights": linear.signed_entries(self.P, 1) / (n * (n - 1))}

    def state(self) -> State:
        """B as one array: a model folder holds what a fit of its own would have given."""
        return {"weights": self.matrix()}


def best_of_scores(scores: Float, k: int, seen: Seen, allowed: Bool) -> Ranking:
    """The k best of each row of scores, (m, n_items).

    Raises
    ------
    FloatingPointError
        A score is NaN.
    """
    if np.isnan(scores.max(initial=-np.inf)):
        raise FloatingPointError("a score is NaN")
    return topk.best(scores, k, *seen, allowed)


def from_state(state: State) -> Weights:
    """Dense or sparse weights from the arrays that `Weights.state` gave."""
    if "weights" in state:
        return DenseWeights(state["weights"])
    indptr = state["indptr"]
    return SparseWeights(csr(state["data"], state["indices"], indptr, len(indptr) - 1))


def csr_arrays(matrix: CSR) -> Sparse:
    """The three arrays of a CSR matrix in the types that the kernels are compiled for."""
    matrix = sp.csr_array(matrix)
    return (
        matrix.indptr.astype(np.int64, copy=False),
        matrix.indices.astype(np.int32, copy=False),
        matrix.data.astype(np.float32, copy=False),
    )
