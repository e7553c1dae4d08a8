"""Closed-form models solved for users: with fewer users than items, no n × n matrix is needed.

    P = Λ⁻¹ − Λ⁻¹Xᵀ M X Λ⁻¹        M = (diag(d_u^β) + X Λ⁻¹ Xᵀ)⁻¹, (m, m)
    P_jj = (1 − x_jᵀ M x_j / Λ_j) / Λ_j

This is Woodbury's identity for P = (Xᵀ diag(d_u^−β) X + diag Λ)⁻¹ with n items and m users. It is
exact, and holds for every model of `shoal.base.closed_form`. For a history x (a row of weights) and
s = (Λ + μ)/Λ, the scores x·diag(c^α)·(I − P·diag(Λ + μ))·diag(c^−α) are then

    scores = x·diag(1 − s) + ((x·diag(c^α/Λ) Xᵀ) M X)·diag(s·c^−α)

Scores need X and M, so such a model keeps the histories that it was fitted to, without the ids of
the users. They are ordered by their content alone, so that their order tells nothing about users.

`DualSystem` is the matrix to invert, M⁻¹; `DualWeights` is the fitted item-item matrix, which holds
M and X in place of an n × n array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoal.base.declared import ArraySpec, CsrSpec, Spec
from shoal.base.system import Finish, System
from shoal.base.weights import Weights, best_of_scores, csr_arrays
from shoal.data.interactions import CSR, Interactions, csr
from shoal.data.size import Size
from shoal.errors import MemoryBudgetError, ModelError
from shoal.kernels import dual, gram, linear
from shoal.kernels.arrays import Bool, Double, Float, Long, Ranking, Seen, Sparse, State
from shoal.run import Run, human_bytes

# Up to this number of items fits always solve for items: n × n takes 64 MB and a second, and no
# histories have to be kept.
SMALL = 4_000

_LARGEST_RESIDUAL = 0.1  # above it M, rounded to float32, is refused

_BLOCK_BYTES = 64_000_000  # memory of the scores that are computed at a time
_DENSE = 0.25  # share of nonzero entries of x·Xᵀ from which it is treated as a dense matrix


def chosen(size: Size, item_counts: Long, primal_bytes: int, budget: int) -> bool:
    """Whether a fit should solve for users: it is less work, or the only way that fits the budget.

    Parameters
    ----------
    size : Size
    item_counts : (n_items,) int64
        Users per item.
    primal_bytes : int
        Memory of a fit that solves for items.
    budget : int
        Bytes that a fit may take.
    """
    if size.n_items <= SMALL or bytes_to_fit(size) > budget:
        return False
    pairs = float(np.square(item_counts).sum())
    return primal_bytes > budget or less_work(size, pairs)


def less_work(size: Size, pairs: float | None = None) -> bool:
    """Whether solving for users is less work than solving for items.

    The work is the floating-point operations of a fit and of scoring each training user once; for
    scores in the dual form that is an upper bound. It is always False for up to `SMALL` items.

    Parameters
    ----------
    size : Size
    pairs : float, optional
        Σ_j c_j², where c_j is the number of users of item j; if not given, that of `user_pairs`.
    """
    m, n, nnz = size
    by_users = 3 * m**3 + 2 * nnz * m + (user_pairs(n, nnz) if pairs is None else pairs)
    return n > SMALL and by_users < n**3 + 2 * nnz * n


def user_pairs(n_items: int, n_interactions: int) -> float:
    """Estimate Σ_j c_j², c_j users of item j: ten times the value of equally popular items."""
    return 10.0 * n_interactions**2 / n_items


def bytes_to_fit(size: Size) -> int:
    """Memory of a fit for users: first X twice and the places of its entries, then m × m and Xᵀ.

    X by rows and by columns has 8 bytes per interaction each, and the places have 12. When the
    m × m matrix is made, X by rows is gone; when it is checked, Xᵀ is there in float64 as well, and
    16 sums of m numbers. Ordering the users takes a key for each.
    """
    m, n, nnz = size
    return max(28 * nnz + 300 * m, 4 * m**2 + 20 * nnz + 160 * m) + 100 * n


@dataclass(frozen=True)
class DualSystem(System):
    """The m × m matrix diag(d_u^β) + X Λ⁻¹ Xᵀ, to invert in place of a `System` of the items.

    Parameters
    ----------
    name, log, ridge, user_weights, squares
        As of `System`, but `user_weights` are in the order of the columns of `by_item`.
    by_item : (indptr, indices, data)
        CSR arrays of Xᵀ, (n_items, m). Users without items are left out.
    """

    by_item: Sparse

    @staticmethod
    def of_primal(system: System) -> DualSystem:
        """Make the system of the users that is equivalent to one of the items."""
        log = system.log
        order = by_content(log)
        X = log.matrix[order]
        by_item = gram.by_column(*csr_arrays(X), log.n_items)
        weights = system.user_weights[order]
        return DualSystem(system.name, log, system.ridge, weights, system.squares, by_item)

    def inverse(self, run: Run) -> tuple[Float, float]:
        """Invert the matrix, and check the inverse on a random vector.

        Returns
        -------
        M : (m, m) float32
            The inverse; both triangles are filled.
        residual : float
            That of `System.inverse`: max |(G' + diag Λ)·P·v − v|, with the P that follows from the
            returned M.

        Raises
        ------
        ModelError
            For the reasons of `System.inverse`, or because M in float32 is not accurate enough.
        """
        M, _ = super().inverse(run)
        linear.mirror_upper(M)
        residual = self._residual(M)
        if not residual <= _LARGEST_RESIDUAL:
            raise ModelError(
                f"{self.name}: λ is so small for these data that float32 leaves an error of "
                f"{residual:.1g}. Raise l2 (10 or more does)"
            )
        return M, residual

    def diagonal(self, P: Float) -> Double:
        """The diagonal of P, (n_items,) float64; the argument is M, which `inverse` returned."""
        return (1 - dual.quadratic_forms(*self.by_item, P) / self.ridge) / self.ridge

    def own_weights(
        self, P: Float, scale: Double, damping: Double, finish: Finish
    ) -> tuple[Weights, dict[str, float]]:
        """Weights in dual form, which hold M; `finish` is not called, as there is no dense B."""
        weights = self.shared_weights(P, scale, damping)
        return weights, weights.facts()

    def prepare_sharing(self, P: Float) -> None:
        """Do nothing: both triangles of M are filled already."""

    def shared_weights(self, P: Float, scale: Double, damping: Double) -> Weights:
        """Weights in dual form, which hold M; other models can hold the same M."""
        return DualWeights.of(P, self, scale, damping, 1 / damping)

    @property
    def _matrix(self) -> tuple[Sparse, Double, Double]:
        return self.by_item, 1 / self.ridge, 1 / self.user_weights.astype(np.float64)

    @property
    def _size(self) -> int:
        return len(self.user_weights)

    @property
    def _label(self) -> str:
        return f"{super()._label} users (fewer than items)"

    def _residual(self, P: NDArray[Any]) -> float:
        starts, users, data = self.by_item
        X_t = csr(data.astype(np.float64), users, starts, self._size)
        v = np.random.default_rng(0).choice([-1.0, 1.0], len(self.ridge))
        y = v / self.ridge  # P·v from here on
        y -= (X_t @ linear.symmetric_times(P, X_t.T @ y)) / self.ridge
        back = X_t @ (self.user_weights * (X_t.T @ y)) + self.ridge * y
        return float(np.abs(back - v).max())


def by_content(log: Interactions) -> Long:
    """Row numbers of users that have items, ordered by their number of items, items and values."""
    keys = []
    for user, begin, end in zip(range(log.n_users), log.indptr, log.indptr[1:], strict=False):
        values = b"" if log.values is None else log.values[begin:end].tobytes()
        keys.append((int(end - begin), log.indices[begin:end].tobytes(), values, user))
    return np.array([user for length, *_, user in sorted(keys) if length])


@dataclass(frozen=True, eq=False)
class DualWeights(Weights):
    """B = diag(own) + diag(into)·Xᵀ M X·diag(onto), held as its factors and never as n × n.

    Parameters
    ----------
    M : (m, m) float32
        Symmetric; both triangles are filled.
    by_item : (indptr, indices, data)
        CSR arrays of Xᵀ, (n, m).
    own : (n,) float32
        1 − s: what an item of the history adds to its own score.
    into : (n,) float32
        c^α/Λ, factors of the items of a history.
    onto : (n,) float32
        s·c^−α, factors of the candidate items.
    """

    dense: ClassVar[bool] = False
    # what `state` returns
    spec: ClassVar[Spec] = (
        ArraySpec("inverse", ("users", "users")),
        CsrSpec("n_items", "users", "item_indptr", "item_users", "item_values", data_optional=True),
        ArraySpec("own", ("n_items",)),
        ArraySpec("into", ("n_items",)),
        ArraySpec("onto", ("n_items",)),
    )

    M: Float
    by_item: Sparse
    own: Float
    into: Float
    onto: Float

    @staticmethod
    def of(M: Float, system: DualSystem, scale: Double, left: Double, right: Double) -> DualWeights:
        """Make the weights diag(left)·(I − P·diag(scale))·diag(right), where left·right = 1.

        Parameters
        ----------
        M : (m, m) float32
            What ``system.inverse`` returned.
        system : DualSystem
        scale, left, right : (n,) float64
            Λ + μ, c^α and c^−α.
        """
        s = scale / system.ridge
        vectors = 1 - s, left / system.ridge, s * right
        return DualWeights(M, system.by_item, *(v.astype(np.float32) for v in vectors))

    @staticmethod
    def of_state(state: State) -> DualWeights:
        """Restore weights from the arrays that `state` returned."""
        users = state["item_users"]
        data = state.get("item_values", np.ones(len(users), np.float32))
        vectors = (state[n] for n in ("own", "into", "onto"))
        return DualWeights(state["inverse"], (state["item_indptr"], users, data), *vectors)

    def state(self) -> State:
        """The arrays to save in a model folder; values of X only if they are not all 1."""
        starts, users, data = self.by_item
        arrays: State = {"inverse": self.M, "item_indptr": starts, "item_users": users}
        if (data != 1).any():
            arrays["item_values"] = data
        return arrays | {"own": self.own, "into": self.into, "onto": self.onto}

    @property
    def n_items(self) -> int:
        """Number of rows and columns of B."""
        return len(self.own)

    def facts(self) -> dict[str, float]:
        """The fact ``dual``, which says that the weights are in dual form."""
        return {"dual": 1.0}

    def ranks_in_one_pass(self, x: CSR) -> bool:
        """Always True: `best` needs memory for the scores of a few rows only."""
        return True

    def matrix(self) -> Float:
        """B as a new dense array.

        Raises
        ------
        MemoryBudgetError
            It does not fit the free memory.
        """
        n = len(self.own)
        free = Run().memory_budget
        if 4 * n**2 + _BLOCK_BYTES > free:
            raise MemoryBudgetError(
                f"B of {n:,} × {n:,} items needs {human_bytes(4 * n**2)} of {human_bytes(free)}. "
                f"The model is in its dual form, which has no B: ask for scores, or for single "
                "columns (column)"
            )
        B = np.empty((n, n), np.float32)
        for begin in range(0, n, self._rows_at_once):
            items = np.arange(begin, min(n, begin + self._rows_at_once))
            rows = len(items)
            eye = CSR((np.ones(rows, np.float32), items, np.arange(rows + 1)), shape=(rows, n))
            B[begin : begin + rows] = self.score(eye)
        return B

    def column(self, item: int) -> Float:
        """B[:, item]."""
        starts, users, data = self.by_item
        entries = slice(int(starts[item]), int(starts[item + 1]))  # of column `item` of X
        indptr = np.array([0, entries.stop - entries.start])
        y = linear.sparse_times_dense(indptr, users[entries], data[entries], self.M)
        column: Float = dual.products_by_item(*self.by_item, y, self.into)[0] * self.onto[item]
        column[item] += self.own[item]
        return column

    def score(self, x: CSR) -> Float:
        """x·B."""
        return self._over_items(x, self._over_users(x))

    def best(self, x: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """The k best of each row of x·B, a block of rows at a time.

        Raises
        ------
        FloatingPointError
            A score is NaN.
        """
        blocks = [(np.empty((0, k), np.int32), np.empty((0, k), np.float32))]
        Z = self._over_users(x)
        for begin in range(0, x.shape[0], self._rows_at_once):
            end = min(x.shape[0], begin + self._rows_at_once)
            scores = self._over_items(x[begin:end], Z[begin:end])
            seen_here = seen[0][begin : end + 1], seen[1]
            blocks.append(best_of_scores(scores, k, seen_here, allowed))
        items, values = zip(*blocks, strict=True)
        return np.concatenate(items), np.concatenate(values)

    def bytes_per_history(self, k: int) -> int:
        """Memory of `best` per history: a row of x·Xᵀ, its product with M, and the k best items."""
        return 8 * len(self.M) + 24 * k

    @property
    def _rows_at_once(self) -> int:
        """Number of histories that are scored at a time, a multiple of the kernels' 32 rows."""
        return max(1, _BLOCK_BYTES // (4 * 32 * len(self.own))) * 32

    def _over_users(self, x: CSR) -> Float:
        """x·diag(into)·Xᵀ·M, (b, m), for b histories."""
        m = len(self.M)
        starts, users, data = self.by_item
        weighted = x.data * self.into[x.indices]
        most_entries = int(np.diff(starts)[x.indices].sum())  # an upper bound for x·Xᵀ
        if most_entries > _DENSE * x.shape[0] * m:
            left = x.indptr.astype(np.int64), x.indices.astype(np.int32), weighted
            return linear.sparse_times_sparse(*left, *self.by_item, m) @ self.M
        Y = CSR((weighted, x.indices, x.indptr), shape=x.shape) @ csr(data, users, starts, m)
        Y.sort_indices()
        # few entries: look up single rows of M; from about 4·m entries on, reading M once is faster
        product = linear.sparse_times_dense if Y.nnz < 4 * m else dual.sparse_times_symmetric
        return product(Y.indptr.astype(np.int64), Y.indices.astype(np.int32), Y.data, self.M)

    def _over_items(self, x: CSR, Z: Float) -> Float:
        """The scores x·B, (b, n), from Z, the result of `_over_users`."""
        scores = dual.products_by_item(*self.by_item, Z, self.onto)
        rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
        scores[rows, x.indices] += x.data * self.own[x.indices]
        return scores
