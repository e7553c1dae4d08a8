"""Models that use vectors of the items, F (d × n), together with the log of n items.

    h_j = f_jᵀ M f_j,  M = (F Fᵀ + λ_F I)⁻¹,  w_j = 1/(1 − h_j)
    C = FᵀM F·diag(w) − diag(w − 1)                          EASE on the vectors: diag(C) = 0

    P = (G' + diag Λ)⁻¹                                      P of the log, as in `closed_form`
    B = diag(c^α)·(A Rᵀ − P·diag(s))·diag(c^−α)              off the diagonal

C is I − P₁/diag(P₁) with P₁ = (FᵀF + λ_F I)⁻¹ = (I − FᵀM F)/λ_F, by Woodbury's identity, for any d.
A model defines R (n × d) and s (n,); A is P·Fᵀ or Fᵀ. So every model needs one n × n buffer, one
inverse and one product of rank d: n³ + 4·n²·d flops.

The row and column of P of an item without interactions are zero except for P_jj = 1/λ. So P of the
other items does not depend on it, and `add_items` gives the result of a fit without one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import PrivateAttr

from shoal.base.declared import ArraySpec, Spec
from shoal.base.factored import FactoredRecommender
from shoal.base.forms import DENSE
from shoal.base.hyper import hyper
from shoal.base.linear import LinearRecommender
from shoal.base.new_items import NewItems, find_new_items
from shoal.base.recommender import Recommender
from shoal.base.system import System, bytes_to_invert
from shoal.base.weights import DenseWeights, csr_arrays
from shoal.data.align import checked, joint_item_table, placed
from shoal.data.facts import LogFacts
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.data.vectors import Vectors
from shoal.errors import DataError, NotFittedError
from shoal.kernels import dense, linear
from shoal.kernels.arrays import Bool, Double, Float, Int, State
from shoal.run import Run

NORMALISE = "scale the items' vectors to length 1"


class VectorRecommender(Recommender):
    """Base class of models that use item vectors: it keeps the vectors and marks cold items."""

    reads_vectors: ClassVar[bool] = True
    explains: ClassVar[bool] = True

    _features: Float | None = PrivateAttr(None)  # Fᵀ
    _cold: Bool = PrivateAttr()  # (n_items,): items without a training user

    @abstractmethod
    def _extend(self, smaller: Self, positions: Int) -> None:
        """Fill the fitted arrays from those of `smaller`, whose items are at these positions."""

    @property
    def item_vectors(self) -> Float:
        """Fᵀ, (n_items, d): the items' vectors as the model uses them."""
        if self._features is None:
            raise NotFittedError(f"{self.name} has not been fitted: call fit(interactions) first")
        return self._features

    @property
    def cold_items(self) -> Bool:
        """Items without a training user, (n_items,) bool; the model has only their vectors."""
        return self._cold

    def _find_known_items(self) -> Bool:
        known: Bool = ~self._cold | self.item_vectors.any(axis=1)
        return known

    def _scaled(self, V: Float) -> Float:
        """Vectors of length 1 if the model has `normalise` on (zero stays zero), else as given."""
        if not getattr(self, "normalise", True):
            return V
        lengths = np.sqrt(np.einsum("jd,jd->j", V, V, dtype=np.float64))
        factors: Double = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return V * factors[:, None].astype(np.float32)

    def _read(self, interactions: Interactions) -> None:
        """Keep the vectors of the items, and which items are cold."""
        assert interactions.item_vectors is not None
        self._features = self._scaled(interactions.item_vectors)
        self._cold = interactions.item_counts == 0
        self._facts["items_without_vector"] = float((~self._features.any(axis=1)).sum())
        self._facts["cold_items"] = float(self._cold.sum())

    def bytes_beside(self, data: LogFacts) -> int:
        """Memory of four matrices like the vectors, of rows in float64, and of d × d matrices."""
        d = 0 if data.item_vectors is None else data.item_vectors.shape[1]
        return (16 * data.n_items + 24 * min(dense.ROWS, data.n_items) + 24 * d) * d

    def new_items(self, vectors: Vectors, where: str = "the file of vectors") -> NewItems:
        """Choose the items that the model does not have; for errors see `find_new_items`."""
        space = str(self.preparation.get("vector_space", ""))
        return find_new_items(self.items, self.item_vectors, self._scaled, space, vectors, where)

    def add_items(
        self, ids: Sequence[Any] | Vectors, vectors: Any = None, item_table: Any = None
    ) -> Self:
        """Make a new fitted model that also scores new items, by their vectors, without a fit.

        Up to rounding it is the model that a fit to the same log gives if the log's catalogue holds
        these items without interactions. This object is not changed.

        Parameters
        ----------
        ids : (m,) item ids, or Vectors
            Items that the model does not have. Of `Vectors`, such as a file of the whole catalogue,
            the new items are taken, once those that the model has show that the space is the same.
        vectors : (m, d) of numbers
            Their vectors, from the embedder that made those of the training data; nothing can
            check this for an array. Not with `Vectors`.
        item_table : DataFrame, optional
            Attributes of the new items: column ``item`` and others.

        Raises
        ------
        DataError
            An id is in the model already or given twice; vectors have another length, hold NaN or,
            as far as can be seen, come from another embedder.
        """
        if isinstance(ids, Vectors):
            new = self.new_items(ids)
            ids, vectors = new.ids, new.matrix
        new_ids, rows = checked(ids, vectors)
        codes = self.items.lookup(new_ids)
        known = [item for item, code in zip(new_ids, codes, strict=True) if code >= 0]
        if known:
            raise DataError(f"item {known[0]!r} is in the model already: add new ones only")
        if rows.shape[1] != self.item_vectors.shape[1]:
            raise DataError(
                f"the new vectors have {rows.shape[1]} numbers, those of the model "
                f"{self.item_vectors.shape[1]}: embed both with the same embedder"
            )
        items = self.items.extended(new_ids)
        positions = items.match(self.items)
        larger = type(self)(**self.model_dump())
        larger._features = placed(self.item_vectors, positions, len(items))
        larger._features += placed(self._scaled(rows), items.lookup(new_ids), len(items))
        larger._cold = np.ones(len(items), np.bool_)
        larger._cold[positions] = self._cold
        larger._extend(self, positions)
        facts = self.facts | {"cold_items": float(larger._cold.sum())}
        table = joint_item_table(items, self.item_table, item_table)
        counts = self.counts_over(items)
        larger.restore_catalogue(
            items, table, self.fingerprint, facts, self.preparation, item_counts=counts
        )
        return larger

    def state(self) -> State:
        """The vectors, 4·n·d bytes, and which items are cold."""
        return {"vectors": self.item_vectors, "cold": self._cold}

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """The vectors, which items are cold, and `state_arrays`."""
        cold = ArraySpec("cold", ("n_items",), "bool")
        return (ArraySpec("vectors", ("n_items", "d")), cold, *self.state_arrays)

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned."""
        self._features, self._cold = state["vectors"], state["cold"]


class FactoredTextRecommender(VectorRecommender, FactoredRecommender):
    """Base class of models of the item vectors V alone: B = V·Wᵀ, zero on the diagonal.

    V and W are (n, d); the n × n matrix B is never built.
    """

    one_factor: ClassVar[bool] = False  # whether W is V, and is not saved

    _own: Float = PrivateAttr()  # (n,), v_j·w_j: the diagonal of V·Wᵀ, which is subtracted

    @abstractmethod
    def _learn(self) -> Float:
        """Compute W, (n_items, d), from the item vectors V."""

    def _find_known_items(self) -> Bool:
        return np.asarray(self.item_vectors.any(axis=1))

    def _set_right(self, right: Float) -> None:
        """Set W, and the diagonal of V·Wᵀ."""
        self._vectors = right
        self._own = np.einsum("jd,jd->j", self.item_vectors, right)

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._read(interactions)
        with run.progress.step(f"{self.name}: weights"):
            self._set_right(self._learn())

    def _extend(self, smaller: Self, positions: Int) -> None:
        self._set_right(self._learn())

    def _user_vectors(self, histories: CSR) -> Float:
        return linear.sparse_times_dense(*csr_arrays(histories), self.item_vectors)

    def _correction(self, histories: CSR) -> CSR:
        diagonal = CSR(histories, copy=True)
        diagonal.data *= -self._own[histories.indices]  # cancels V·Wᵀ's diagonal
        return diagonal

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """x_j·B_ji for each history item j."""
        B = self.item_vectors[history] @ self._rows([item])[0]
        return np.asarray(weights * np.where(history == item, 0, B), np.float32)

    def bytes_to_fit(self, size: Size) -> int:
        """A few numbers per item; `bytes_beside` counts the vectors."""
        return 64 * size.n_items

    def state(self) -> State:
        """The vectors, and W if it is another array."""
        right = {} if self.one_factor else {"right": self.vectors()}
        return VectorRecommender.state(self) | right

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """The arrays of `state`, and `state_arrays`."""
        right = () if self.one_factor else (ArraySpec("right", ("n_items", "d")),)
        return VectorRecommender.state_spec(self, names, n_items) + right

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned."""
        VectorRecommender.restore(self, state)
        self._set_right(state["vectors" if self.one_factor else "right"])


@dataclass(frozen=True)
class Composition:
    """The vectors and matrices that compose B of P and A: B_ij = a_i·r_j − P_ij·s_j for i ≠ j.

    With α > 0, B is then multiplied by diag(c^α) from the left and diag(c^−α) from the right.

    Parameters
    ----------
    inverse_scale : (n,) float64
        s, the factors of the columns of P.
    right_factor : (n, d) float32
        R, the right factor of the product A·Rᵀ.
    diagonal : (n,) float64
        B_jj.
    text_inverse_scale : (n,) float64 or None
        t, the text's part of s: the text's part of B_ij is a_i·r_j − P_ij·t_j, the rest comes from
        behaviour. None if B has no such parts.
    text_diagonal : (n,) float64 or None
        The text's part of B_jj.
    """

    inverse_scale: Double
    right_factor: Float
    diagonal: Double
    text_inverse_scale: Double | None = None
    text_diagonal: Double | None = None


class SemanticRecommender(VectorRecommender, LinearRecommender):
    """Base class of models with one dense B computed from the log and the item vectors."""

    projects: ClassVar[bool] = True  # whether A is P·Fᵀ; else it is Fᵀ

    l2: float = hyper(
        500.0, "ridge λ on the weights", gt=0, search=(10, 10_000), scale="log", allow_inf_nan=False
    )
    normalise: bool = hyper(True, NORMALISE)

    _left: Float = PrivateAttr()  # A, (n, d)
    _diagonal: Double = PrivateAttr()  # the diagonal of P, (n,)
    _ridge: Double = PrivateAttr()  # Λ, (n,)
    _damping: Double = PrivateAttr()  # c^α, (n,)
    _composition: Composition | None = PrivateAttr(None)  # computed when `evidence` first needs it

    @abstractmethod
    def _combine(self) -> Composition:
        """Compute s, R and the diagonal from `item_vectors`, `_left`, `_diagonal` and `_ridge`."""

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._read(interactions)
        dropout, alpha, beta = (getattr(self, n, 0.0) for n in ("dropout", "alpha", "beta"))
        system = System.of(self.name, interactions, self.l2, dropout, beta)
        P, residual = system.inverse(run)
        with run.progress.step(f"{self.name}: weights"):
            self._diagonal = P.diagonal().astype(np.float64)
            self._ridge = system.ridge
            self._damping = np.maximum(interactions.item_counts, 1.0) ** alpha
            self._left = (
                dense.symmetric_product(P, self.item_vectors)
                if self.projects
                else self.item_vectors
            )
            composition, self._composition = self._combine(), None
            left, right = self._damping.astype(np.float32), (1 / self._damping).astype(np.float32)
            scale = composition.inverse_scale.astype(np.float32)
            linear.weights_from_inverse(P, scale, left, right)
            dense.add_product(P, *self._damped(composition.right_factor))
            self._finish(P, composition)
        off_diagonal = P.shape[0] * (P.shape[0] - 1)
        self._facts["negative_weights"] = linear.signed_entries(P, -1) / off_diagonal
        self._facts["residual"] = residual
        self._weights = DenseWeights(P)

    def _damped(self, right: Float) -> tuple[Float, Float]:
        """The factors diag(c^α)·A and diag(c^−α)·R, for a given R."""
        if (self._damping == 1).all():
            return self._left, right
        c = self._damping[:, None].astype(np.float32)
        return self._left * c, right / c

    def _finish(self, B: Float, composition: Composition) -> None:
        """Set the diagonal in place, and columns of cold items if they are of the text alone."""
        cold, right = np.flatnonzero(self._cold), composition.right_factor
        if cold.size and getattr(self, "cold", "") == "text":
            c = self._damping[:, None].astype(np.float32) / np.float32(self.l2)
            for begin in range(0, len(B), dense.ROWS):
                rows = slice(begin, begin + dense.ROWS)
                B[rows, cold] = (self.item_vectors[rows] * c[rows]) @ right[cold].T
        np.fill_diagonal(B, composition.diagonal)

    def _grow(self, smaller: Self, positions: Int) -> Int:
        """Fill what B is composed of from `smaller`; gives the positions of the new items."""
        n = len(self.item_vectors)
        new = np.setdiff1d(np.arange(n), positions)
        for name, value in (("_diagonal", 1 / self.l2), ("_ridge", self.l2), ("_damping", 1.0)):
            extended = np.full(n, value)
            extended[positions] = getattr(smaller, name)
            setattr(self, name, extended)
        self._left = self.item_vectors
        if self.projects:  # A = P·Fᵀ, and a new item's row of P is 1/λ on the diagonal, else 0
            self._left = placed(smaller._left, positions, n)
            self._left[new] = self.item_vectors[new] / np.float32(self.l2)
        return new

    def _extend(self, smaller: Self, positions: Int) -> None:
        n, before, B = len(self.item_vectors), smaller._combine(), np.asarray(smaller.weights)
        new = self._grow(smaller, positions)
        after = self._combine()
        # B has replaced P, but P_ij·s_j = a_i·r_j − B_ij: scale B's columns, and correct R for it
        old, scales = before.inverse_scale, after.inverse_scale[positions]
        ratio = np.divide(scales, old, out=np.ones(old.size), where=old != 0).astype(np.float32)
        change = after.right_factor.copy()
        change[positions] -= ratio[:, None] * before.right_factor
        left, right = self._damped(after.right_factor)
        weights: Float = np.zeros((n, n), np.float32)
        for j, row in zip(positions, B, strict=True):
            weights[j, positions] = row * ratio
        dense.add_product(weights, *self._damped(change))
        weights[new] = left[new] @ right.T
        self._finish(weights, after)
        self._weights = DenseWeights(weights)

    def evidence(self, history: Int, weights: Float, item: int) -> dict[str, float]:
        """The parts of a score from behaviour and from text; empty if B has no such parts."""
        if self._composition is None:
            self._composition = self._combine()
        parts = self._composition
        if parts.text_inverse_scale is None or parts.text_diagonal is None:
            return {}
        damping = self._damping[history] / self._damping[item]
        is_itself = history == item
        product = self._left[history] @ parts.right_factor[item]
        B = self.column(item)[history]
        scale, text_scale = parts.inverse_scale[item], parts.text_inverse_scale[item]
        share = text_scale / scale if scale else 0.0
        of_text = damping * product * (1 - share) + share * B
        text = np.where(is_itself, parts.text_diagonal[item], B if self._cold[item] else of_text)
        score, by_text = float(weights @ B.astype(np.float64)), float(weights @ text)
        return {"behaviour": score - by_text, "text": by_text}

    def bytes_to_fit(self, size: Size) -> int:
        """Memory of one n × n buffer and what making it takes; `bytes_beside` has the vectors."""
        return bytes_to_invert(size) + 32 * size.n_items

    def state(self) -> State:
        """B, the vectors, A if it is another array (4·n·d bytes), and four arrays (n,)."""
        arrays = {"weights": np.asarray(self.weights)} | VectorRecommender.state(self)
        arrays |= {"diagonal": self._diagonal, "ridge": self._ridge, "damping": self._damping}
        return arrays | ({"left": self._left} if self.projects else {})

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """The arrays of `state`, and `state_arrays`."""
        left = (ArraySpec("left", ("n_items", "d")),) if self.projects else ()
        vectors = (
            ArraySpec(name, ("n_items",), "float64", positive=True)
            for name in ("diagonal", "ridge", "damping")
        )
        return (DENSE, *VectorRecommender.state_spec(self, names, n_items), *vectors, *left)

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned."""
        VectorRecommender.restore(self, state)
        self._weights, self._composition = DenseWeights(state["weights"]), None
        self._diagonal, self._ridge = state["diagonal"], state["ridge"]
        self._damping, self._left = state["damping"], state.get("left", state["vectors"])
