"""The item-item matrix B of a linear model, and the forms in which a model can hold it.

B[j, i] is the weight from history item j to candidate item i, in all of shoal. The score of item i
uses *column* i, and B is not symmetric. `DenseWeights` is an array, `SparseWeights` a CSR array,
`SharedInverse` a matrix P that several models share; `shoal.base.blocked.BlockedWeights` holds
blocks of columns, and `shoal.base.dual.DualWeights` a matrix of the users instead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from shoal.data.interactions import CSR
from shoal.kernels import linear, ranking, ties, topk
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen, Sparse, State

_WHOLE_ROWS = 16  # a row of B is read in the time in which single entries are, 1 of so many
FEW_SCORES = 2**24  # scores (64 MB); from here on, ranking in one pass is faster


class Weights(ABC):
    """Abstract item-item matrix B, (n_items, n_items) float32."""

    # whether `matrix` gives a dense array, which an accelerator can rank with
    dense: ClassVar[bool] = True

    @property
    @abstractmethod
    def n_items(self) -> int:
        """Number of rows and columns of B."""

    @abstractmethod
    def matrix(self) -> Float | CSR:
        """B as an array; a new one, if B is held in another form."""

    @abstractmethod
    def score(self, x: CSR) -> Float:
        """x·B, (m, n_items), for a CSR block of m histories."""

    def score_items(self, x: CSR, items: Int) -> Float:
        """Entries of x·B, (m, c): in each row those of some items; any number where one is −1."""
        return np.take_along_axis(self.score(x), np.maximum(items, 0), 1)

    @abstractmethod
    def column(self, item: int) -> Float:
        """B[:, item], (n_items,)."""

    def part_of_column(self, rows: Int, item: int) -> Float:
        """B[rows, item], (len(rows),)."""
        return self.column(item)[rows]

    def among(self, items: Int) -> Float:
        """B[items][:, items], the weights among some items, as a new dense array."""
        return np.stack([self.column(int(item))[items] for item in items], axis=1)

    @abstractmethod
    def state(self) -> State:
        """The arrays to save in a model folder, by name."""

    def facts(self) -> dict[str, float]:
        """Numbers about B that a user may want to know, by name."""
        return {}

    def ranks_in_one_pass(self, x: CSR) -> bool:
        """Whether `best` is faster for these histories than `score` followed by a selection."""
        return False

    def best(self, x: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """The k best items of each row of x·B.

        Parameters
        ----------
        x : CSR array (m, n_items)
        k : int
        seen : (indptr, indices)
            Items of each row that may not be chosen, as a CSR array has them.
        allowed : (n_items,) bool
            Items that may be chosen at all.

        Returns
        -------
        items : (m, k) int32, best first, −1 where fewer could be chosen
        scores : (m, k) float32

        Raises
        ------
        FloatingPointError
            A score is NaN.
        """
        return best_of_scores(self.score(x), k, seen, allowed)

    def bytes_per_history(self, k: int) -> int:
        """Memory that ranking takes for each history: a row of scores, and the k best items."""
        return 4 * self.n_items + 8 * k


class OnePass(Weights):
    """Forms of B that compute products and select the best items in one pass over all of B."""

    def ranks_in_one_pass(self, x: CSR) -> bool:
        """Only for enough histories; a few of them use a part of B only."""
        return not (x.nnz < 4 * self.n_items and x.shape[0] * self.n_items < FEW_SCORES)

    def are_few(self, items: Int) -> bool:
        """Whether entries of B for so many items of each row are read faster than whole rows."""
        return items.shape[1] * _WHOLE_ROWS <= self.n_items

    def bytes_per_history(self, k: int) -> int:
        """Memory of the k best items; there is no row of all scores."""
        return ranking.bytes_per_row(k)


@dataclass(frozen=True, eq=False)
class DenseWeights(OnePass):
    """B as a dense array.

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

    def score_items(self, x: CSR, items: Int) -> Float:
        """Entries of x·B, of some items of each row, from as many entries of B if they are few."""
        if not self.are_few(items):
            return super().score_items(x, items)
        return linear.sparse_times_some(*csr_arrays(x), self.B, items)

    def best(self, x: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """The k best of each row of x·B, tile by tile of B."""
        return ranking.best_of_product(csr_arrays(x), self.B, k, *seen, allowed)

    def column(self, item: int) -> Float:
        """B[:, item]."""
        column: Float = self.B[:, item]
        return column

    def among(self, items: Int) -> Float:
        """B[items][:, items]."""
        return self.B[items[:, None], items]

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

    def part_of_column(self, rows: Int, item: int) -> Float:
        """B[rows, item], without looking at the other rows."""
        part: Float = self.B[rows][:, [item]].toarray()[:, 0]
        return part

    def among(self, items: Int) -> Float:
        """B[items][:, items]."""
        weights: Float = self.B[items][:, items].toarray()
        return weights

    def state(self) -> State:
        """The three arrays of B's CSR form."""
        return dict(zip(("indptr", "indices", "data"), csr_arrays(self.B), strict=True))


@dataclass(frozen=True, eq=False)
class SharedInverse(OnePass):
    """B = diag(left)·(I − P·diag(scale))·diag(right), where several models hold the same array P.

    Parameters
    ----------
    P : (n_items, n_items) float32
        Symmetric; both triangles are filled.
    scale : (n_items,) float32
        Λ + μ of `shoal.base.closed_form`.
    left, right : (n_items,) float32
        Factors of the rows and of the columns: c^α and c^−α.
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
        """B as a new array."""
        B = self.P.copy()
        linear.weights_from_inverse(B, self.scale, self.left, self.right)
        return B

    def column(self, item: int) -> Float:
        """B[:, item]."""
        column = np.empty((len(self.P), 1), np.float32)
        linear.pack_weights(self.P, self.scale, self.left, self.right, item, item + 1, column)
        return column[:, 0]

    def among(self, items: Int) -> Float:
        """B[items][:, items]: the entries of P, scaled; one more where i = j."""
        weights = -self.P[items[:, None], items] * self.scale[items]
        weights[np.diag_indices(items.size)] += 1
        return np.asarray(self.left[items, None] * weights * self.right[items], np.float32)

    def best(self, x: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """The k best of each row of x·B; B is computed from P, one tile of columns at a time."""

        def pack(begin: int, end: int, tile: Float) -> None:
            linear.pack_weights(self.P, self.scale, self.left, self.right, begin, end, tile)

        return ranking.best_of_tiles(csr_arrays(x), self.P.shape, pack, k, *seen, allowed)

    def score(self, x: CSR) -> Float:
        """x·B, computed from P without building B."""
        indptr, indices, data = csr_arrays(x)
        data = data * self.left[indices]
        scores = linear.sparse_times_dense(indptr, indices, data, self.P)
        scores *= -self.scale
        scores[np.repeat(np.arange(x.shape[0]), np.diff(indptr)), indices] += data
        scores *= self.right
        return scores

    def facts(self) -> dict[str, float]:
        """The share of weights off the diagonal that are negative: those where P is positive."""
        n = self.n_items
        return {"negative_weights": linear.signed_entries(self.P, 1) / (n * (n - 1))}

    def state(self) -> State:
        """B as one dense array, the same as of a model that was fitted alone."""
        return {"weights": self.matrix()}


def best_of_scores(scores: Float, k: int, seen: Seen, allowed: Bool) -> Ranking:
    """The k best items of each row of a matrix of scores; equal ones as `kernels.ties` deals them.

    Parameters
    ----------
    scores : (m, n_items) float32
    k : int
    seen : (indptr, indices)
        Items of each row that may not be chosen, as a CSR array has them.
    allowed : (n_items,) bool
        Items that may be chosen at all.

    Returns
    -------
    items : (m, k) int32, best first, −1 where fewer could be chosen
    scores : (m, k) float32

    Raises
    ------
    FloatingPointError
        A score is NaN.
    """
    if np.isnan(scores.max(initial=-np.inf)):
        raise FloatingPointError("a score is NaN")
    more = max(k, min(k + 1, scores.shape[1]))
    best = topk.best(scores, more, *seen, allowed)
    return ties.dealt(*best, k, lambda rows: scores[rows], seen, allowed)


def in_float32(matrix: CSR) -> CSR:
    """The same matrix as a CSR array of float32: itself, if it is one."""
    if isinstance(matrix, sp.csr_array) and matrix.dtype == np.float32:
        return matrix
    return CSR(matrix, dtype=np.float32)


def csr_arrays(matrix: CSR) -> Sparse:
    """The arrays indptr, indices and data of a CSR matrix, in the types that kernels take."""
    if not isinstance(matrix, sp.csr_array):
        matrix = CSR(matrix)
    return (
        matrix.indptr.astype(np.int64, copy=False),
        matrix.indices.astype(np.int32, copy=False),
        matrix.data.astype(np.float32, copy=False),
    )
