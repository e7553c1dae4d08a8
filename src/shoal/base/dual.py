"""The closed forms solved for users: where users are fewer than items, no n × n matrix is built.

    P = Λ⁻¹ − Λ⁻¹Xᵀ M X Λ⁻¹        M = (diag(d_u^β) + X Λ⁻¹ Xᵀ)⁻¹, (m, m)
    P_jj = (1 − x_jᵀ M x_j / Λ_j) / Λ_j

This is Woodbury's identity for P = (Xᵀ diag(d_u^−β) X + diag Λ)⁻¹, so it holds for every member of
the family and is exact. With s = (Λ + μ)/Λ and scores = x·diag(c^α)·(I − P·diag(Λ + μ))·diag(c^−α),

    scores = x·diag(1 − s) + ((x·diag(c^α/Λ) Xᵀ) M X)·diag(s·c^−α)

For scores X and M are needed: such a model keeps the histories that it was fitted to, without the
ids of users. Rows are in an order that depends on nothing but what stands in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoal.base.system import Finish, System
from shoal.base.weights import Weights, best_of_scores
from shoal.data.interactions import CSR, Interactions, csr
from shoal.data.size import Size
from shoal.errors import MemoryBudgetError, ModelError
from shoal.kernels import dual, gram, linear
from shoal.kernels.arrays import Bool, Double, Float, Long, Ranking, Seen, Sparse, State
from shoal.run import Run, human_bytes

SMALL = 4_000  # items: up to here n × n takes 64 MB and a second, and no histories are kept

_ROUNDED = 0.1  # residual from which M in float32 is refused, whatever it was computed in

_BLOCK_BYTES = 64_000_000  # of scores at a time
_DENSE = 0.25  # of the entries of x Xᵀ there: from here on BLAS multiplies by M


def chosen(log: Interactions, primal_bytes: int, budget: int) -> bool:
    """Whether to solve for users: it is less work, or the only way that fits the budget."""
    if log.n_items <= SMALL or bytes_to_fit(log.size) > budget:
        return False
    pairs = float(np.square(log.item_counts).sum())
    return primal_bytes > budget or less_work(log.size, pairs)


def less_work(size: Size, pairs: float | None = None) -> bool:
    """Whether solving for users is less work than for items.

    The work is that of a fit and of scoring each training user once, in floating-point operations
    (scores in the dual form: no more than that). Catalogues of up to `SMALL` items are solved for
    items. `pairs` is Σ_j c_j² over the users c_j of the items; `user_pairs` if it is not given.
    """
    m, n, nnz = size
    by_users = 3 * m**3 + 2 * nnz * m + (user_pairs(n, nnz) if pairs is None else pairs)
    return n > SMALL and by_users < n**3 + 2 * nnz * n


def user_pairs(n_items: int, n_interactions: int) -> float:
    """Σ_j c_j² as it is where popularity falls as usual: ten times that of even popularity."""
    return 10.0 * n_interactions**2 / n_items


def bytes_to_fit(size: Size) -> int:
    """One m × m float32 matrix, worked on in place, X by user and by item, and vectors."""
    return 4 * size.n_users**2 + 40 * size.n_interactions + 100 * size.n_items + 200 * size.n_users


@dataclass(frozen=True)
class DualSystem(System):
    """diag(d_u^β) + X Λ⁻¹ Xᵀ, in place of Xᵀ diag(d_u^−β) X + diag Λ.

    Parameters
    ----------
    by_item : CSR arrays of Xᵀ (n_items, m)
        Users without items are left out; `user_weights` are in its order.
    """

    by_item: Sparse

    @staticmethod
    def of_primal(system: System) -> DualSystem:
        """The same system, to be solved for users."""
        log = system.log
        order = _by_content(log)
        X = log.matrix[order]
        x = X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data
        by_item = gram.by_column(*x, log.n_items)
        return DualSystem(system.name, log, system.ridge, system.user_weights[order], by_item)

    def inverse(self, run: Run) -> tuple[Float, float]:
        """M, both its triangles, and the residual as for `System`: of P, in float32 as it is used.

        Raises
        ------
        ModelError
            As for `System`; or M rounded to float32 is not enough.
        """
        M, _ = super().inverse(run)
        linear.mirror_upper(M)
        residual = self._residual(M)
        if not residual <= _ROUNDED:
            raise ModelError(
                f"{self.name}: λ is so small for these data that float32 leaves an error of "
                f"{residual:.1g}. Raise l2 (10 or more does)"
            )
        return M, residual

    def diagonal(self, P: Float) -> Double:
        """The diagonal of P, (n_items,) float64, from M."""
        return (1 - dual.quadratic_forms(*self.by_item, P) / self.ridge) / self.ridge

    def own_weights(
        self, P: Float, scale: Double, damping: Double, finish: Finish
    ) -> tuple[Weights, dict[str, float]]:
        """B in its dual form, which holds M; there is no dense B to finish."""
        weights = self.shared_weights(P, scale, damping)
        return weights, weights.facts()

    def prepare_sharing(self, P: Float) -> None:
        """M has both its triangles already."""

    def shared_weights(self, P: Float, scale: Double, damping: Double) -> Weights:
        """B in its dual form, which holds M."""
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


def _by_content(log: Interactions) -> Long:
    """Users that have items, ordered by how many and which, and by the values."""
    keys = []
    for user, begin, end in zip(range(log.n_users), log.indptr, log.indptr[1:], strict=False):
        values = b"" if log.values is None else log.values[begin:end].tobytes()
        keys.append((int(end - begin), log.indices[begin:end].tobytes(), values, user))
    return np.array([user for length, *_, user in sorted(keys) if length])


@dataclass(frozen=True, eq=False)
class DualWeights(Weights):
    """B = diag(own) + diag(into)·Xᵀ M X·diag(onto): what stands for an n × n matrix of weights.

    Parameters
    ----------
    M : (m, m) float32
        Symmetric, both triangles.
    by_item : CSR arrays of Xᵀ (n, m)
    own, into, onto : (n,) float32
    """

    dense: ClassVar[bool] = False

    M: Float
    by_item: Sparse
    own: Float
    into: Float
    onto: Float

    @staticmethod
    def of(M: Float, system: DualSystem, scale: Double, left: Double, right: Double) -> DualWeights:
        """B = diag(left)·(I − P·diag(scale))·diag(right), the P of a system; left·right = 1."""
        s = scale / system.ridge
        vectors = 1 - s, left / system.ridge, s * right
        return DualWeights(M, system.by_item, *(v.astype(np.float32) for v in vectors))

    @staticmethod
    def of_state(state: State) -> DualWeights:
        """From the arrays that `state` gave."""
        users = state["item_users"]
        data = state.get("item_values", np.ones(len(users), np.float32))
        vectors = (state[n] for n in ("own", "into", "onto"))
        return DualWeights(state["inverse"], (state["item_indptr"], users, data), *vectors)

    def state(self) -> State:
        """Arrays by name; the values of X where they are not all 1."""
        starts, users, data = self.by_item
        found: State = {"inverse": self.M, "item_indptr": starts, "item_users": users}
        if (data != 1).any():
            found["item_values"] = data
        return found | {"own": self.own, "into": self.into, "onto": self.onto}

    @property
    def n_items(self) -> int:
        """Number of rows and columns of B."""
        return len(self.own)

    def facts(self) -> dict[str, float]:
        """That this is the dual form."""
        return {"dual": 1.0}

    def ranks_in_one_pass(self, x: CSR) -> bool:
        """Always: `best` makes scores for a few rows at a time."""
        return True

    def matrix(self) -> Float:
        """B, in memory of its own.

        Raises
        ------
        MemoryBudgetError
            It does not fit what is free.
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
            at = np.arange(begin, min(n, begin + self._rows_at_once))
            eye = CSR(
                (np.ones(len(at), np.float32), at, np.arange(len(at) + 1)), shape=(len(at), n)
            )
            B[begin : begin + len(at)] = self.score(eye)
        return B

    def column(self, item: int) -> Float:
        """B[:, item]."""
        starts, users, data = self.by_item
        where = slice(int(starts[item]), int(starts[item + 1]))
        one = np.array([0, where.stop - where.start])
        y = linear.sparse_times_dense(one, users[where], data[where], self.M)
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
        found = [(np.empty((0, k), np.int32), np.empty((0, k), np.float32))]
        Z = self._over_users(x)
        for begin in range(0, x.shape[0], self._rows_at_once):
            end = min(x.shape[0], begin + self._rows_at_once)
            scores = self._over_items(x[begin:end], Z[begin:end])
            seen_here = seen[0][begin : end + 1], seen[1]
            found.append(best_of_scores(scores, k, seen_here, allowed))
        items, values = zip(*found, strict=True)
        return np.concatenate(items), np.concatenate(values)

    def bytes_per_history(self, k: int) -> int:
        """Of `best`: its rows of x·Xᵀ and of their product with M, and lists."""
        return 8 * len(self.M) + 24 * k

    @property
    def _rows_at_once(self) -> int:
        return max(1, _BLOCK_BYTES // (4 * 32 * len(self.own))) * 32  # kernels take 32 together

    def _over_users(self, x: CSR) -> Float:
        """x·diag(into)·Xᵀ·M, (b, m)."""
        m = len(self.M)
        starts, users, data = self.by_item
        weighted = x.data * self.into[x.indices]
        steps = int(np.diff(starts)[x.indices].sum())  # no fewer than there are entries in x·Xᵀ
        if steps > _DENSE * x.shape[0] * m:
            given = x.indptr.astype(np.int64), x.indices.astype(np.int32), weighted
            return linear.sparse_times_sparse(*given, *self.by_item, m) @ self.M
        Y = CSR((weighted, x.indices, x.indptr), shape=x.shape) @ csr(data, users, starts, m)
        Y.sort_indices()
        # rows of M are looked up, or all of it is read once: that is faster from about 4·m rows on
        product = linear.sparse_times_dense if Y.nnz < 4 * m else dual.sparse_times_symmetric
        return product(Y.indptr.astype(np.int64), Y.indices.astype(np.int32), Y.data, self.M)

    def _over_items(self, x: CSR, Z: Float) -> Float:
        """Scores, (b, n), from the rows of `_over_users`."""
        scores = dual.products_by_item(*self.by_item, Z, self.onto)
        rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
        scores[rows, x.indices] += x.data * self.own[x.indices]
        return scores
