"""Graph filters that are polynomials: scores x·D^−b·h(S)·D^b + ζ·x·Π_c·f(S), S never made.

S = R̃ᵀR̃ with R̃ = D_u^−½ X D^−½; D_u and D hold the row and column sums of X. Π_c is the ideal
low-pass filter of `shoal.base.low_pass`. h and f are polynomials, kept as Chebyshev series on
[0, 1], where the eigenvalues of S lie.

Scores need products with X, so such a model keeps the histories that it was fitted to, without the
ids of the users, and ordered by their content alone. That is 8 bytes for each interaction, where S
would have an entry for each two items that share a user. A pass over X serves 32 histories.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.polynomial import Chebyshev
from pydantic import PrivateAttr

from shoal.base import dual, graph, singular
from shoal.base.costs import sum_of_work
from shoal.base.declared import ArraySpec, CsrSpec, Spec, per_item
from shoal.base.hyper import hyper
from shoal.base.low_pass import LowPass
from shoal.base.recommender import Recommender
from shoal.base.weights import csr_arrays
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels import gram
from shoal.kernels.arrays import Double, Float, Int, Sparse, State
from shoal.kernels.polynomial import Scaled, add_filtered
from shoal.run import Run

UNIT = (0.0, 1.0)  # the interval that holds the eigenvalues of S
ONE = Chebyshev([1.0], domain=UNIT)


def series(target: Callable[[Any], Any], degree: int) -> Chebyshev:
    """The polynomial of a degree that equals a function at the Chebyshev nodes of [0, 1]."""
    return Chebyshev.interpolate(target, degree, domain=UNIT)


def _without_constant(h: Chebyshev) -> Double:
    """The coefficients of (h(s) − h(0))/s as a Chebyshev series on [0, 1]."""
    start = h(0.0)
    # exact: a polynomial of a lower degree, whose nodes are all above 0
    return np.asarray(series(lambda s: (h(s) - start) / s, max(h.degree() - 1, 0)).coef)


class PolynomialFilter(Recommender):
    """Base class of polynomial filters of the item graph, with an ideal low-pass filter beside."""

    explains: ClassVar[bool] = True
    keeps_histories: ClassVar[bool] = True
    state_arrays: ClassVar[Spec] = (
        CsrSpec("n_items", "users", "item_indptr", "item_users", "item_values", data_optional=True),
        ArraySpec("user_scale", ("users",)),
        *per_item("item_scale"),
        *LowPass.spec,
    )

    factors: int = hyper(
        512, "k: singular vectors of the low-pass filter", ge=1, search=(64, 1024), scale="log"
    )
    zeta: float = hyper(
        0.2, "ζ: weight of the low-pass filter", ge=0, search=(0, 1), allow_inf_nan=False
    )

    _scaled: Scaled = PrivateAttr()
    _low_pass: LowPass = PrivateAttr()

    @abstractmethod
    def _polynomials(self) -> tuple[Chebyshev, Chebyshev]:
        """Return h and f on [0, 1]; b is 0 unless f is constant."""

    @property
    @abstractmethod
    def _exponents(self) -> tuple[float, float]:
        """The exponents of D: b around h(S), and c in Π_c."""

    def _fit(self, interactions: Interactions, run: Run) -> None:
        users, items = graph.degrees(interactions)
        order = dual.by_content(interactions)
        by_item = gram.by_column(*csr_arrays(interactions.matrix[order]), interactions.n_items)
        self._facts["kept_histories"] = float(order.size)
        self._set(by_item, graph.inverse_power(users[order], 1), graph.inverse_power(items, 0.5))
        self._low_pass = LowPass.of(
            self.name, interactions,
            rank=self.factors, exponent=self._exponents[1], weight=self.zeta, run=run,
        )  # fmt: skip

    def _set(self, by_item: Sparse, users: Float, items: Float) -> None:
        """Take Xᵀ with the factors of users, D_u^−1, and of items, D^−½."""
        self._scaled = Scaled(gram.by_column(*by_item, users.size), by_item, users, items)

    def _powers(self) -> tuple[Float, Float]:
        """D^−b and D^b, 0 for items without users."""
        root, b = self._scaled.items, self._exponents[0]  # root: D^−½
        return graph.inverse_power(root, -2 * b), graph.inverse_power(root, 2 * b)

    def _filtered(
        self, h: Chebyshev, x: Sparse, out: Float, f: Chebyshev = ONE, z: Float | None = None
    ) -> None:
        """Add x·h(S) to `out`, and z·(f(S) − f(0)) for dense rows z if there are any.

        h(S) is taken to be 0 for items without users.
        """
        add_filtered(self._scaled, x, _without_constant(h), z, _without_constant(f), out)
        indptr, indices, data = x
        rows = np.repeat(np.arange(len(out)), np.diff(indptr))
        out[rows, indices] += np.float32(h(0.0)) * data * (self._scaled.items[indices] > 0)

    def _score(self, histories: CSR) -> Float:
        (h, f), (left, right) = self._polynomials(), self._powers()
        indptr, indices, data = csr_arrays(histories)
        x = indptr, indices, data * left[indices]
        after = f.degree() > 0 and self._low_pass.vectors.shape[1] > 0
        z = self._low_pass.score(histories) if after else None
        out = np.zeros((len(indptr) - 1, self.n_items), np.float32)
        if z is not None:
            np.multiply(z, np.float32(f(0.0)), out=out)
        self._filtered(h, x, out, f, z)
        out *= right
        if z is None:
            self._low_pass.add_to(out, histories)
        return out

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """Return x_j times entry (j, item) of the filter, from one filtered unit vector.

        h(S) and f(S) are symmetric, so a column of the filter is a row of these between diagonal
        matrices, and Π_c is a product of three factors.
        """
        (h, f), (left, right) = self._polynomials(), self._powers()
        unit = np.array([0, 1]), np.array([item], np.int32), np.ones(1, np.float32)
        column = np.zeros((1, self.n_items), np.float32)
        self._filtered(h, unit, column)
        entries = left[history] * column[0, history] * right[item]
        low = self._low_pass
        if f.degree() > 0 and low.vectors.shape[1]:
            column[:] = 0
            self._filtered(f, unit, column)
            vector = low.vectors.T @ (low.right * column[0])
            entries += low.left[history] * (low.vectors[history] @ vector)
        else:
            entries += low.part_of_column(history, item)
        return np.asarray(weights * entries, np.float32)

    def bytes_per_history(self, k: int) -> int:
        """Return the bytes of two rows of scores and a list of k."""
        return 4 * self.n_items + super().bytes_per_history(k)

    def state(self) -> State:
        """Return Xᵀ as CSR arrays, D_u^−1, D^−½, and the factors of the low-pass filter."""
        starts, users, data = self._scaled.Xt
        arrays: State = {"item_indptr": starts, "item_users": users}
        if (data != 1).any():
            arrays["item_values"] = data
        scales: State = {"user_scale": self._scaled.users, "item_scale": self._scaled.items}
        return arrays | scales | self._low_pass.state()

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned."""
        users = state["item_users"]
        data = state.get("item_values", np.ones(len(users), np.float32))
        by_item = state["item_indptr"], users, data
        self._set(by_item, state["user_scale"], state["item_scale"])
        self._low_pass = LowPass.of_state(state)

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of X, of Xᵀ, and of finding the singular vectors."""
        kept = 28 * size.n_interactions + 300 * size.n_users + 16 * size.n_items
        return kept + (singular.bytes_to_find(size, self.factors) if self.zeta else 0)

    def bytes_of_model(self, size: Size) -> int:
        """Return the bytes of Xᵀ and V."""
        rank = singular.rank_of(size, self.factors) if self.zeta else 0
        vectors = 4 * size.n_items * (rank + 5)
        return 8 * size.n_interactions + 4 * size.n_users + vectors + 8

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of ordering X and of finding the singular vectors."""
        vectors = singular.work_to_find(size, self.factors) if self.zeta else {}
        return sum_of_work({"entry": 2 * size.n_interactions}, vectors)
