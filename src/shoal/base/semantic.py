"""Models that read the items' vectors F (d × n) beside the log, and items that nobody has yet.

    h_j = f_jᵀ M f_j,  M = (F Fᵀ + λ_F I)⁻¹,  w_j = 1/(1 − h_j)
    C = FᵀM F·diag(w) − diag(w − 1)                          EASE on the vectors: diag(C) = 0

    P = (G' + diag Λ)⁻¹                                      the log's inverse, as in `closed_form`
    B = diag(c^α)·(A Rᵀ − P·diag(s))·diag(c^−α)              off the diagonal

C is I − P₁/diag(P₁) with P₁ = (FᵀF + λ_F I)⁻¹ = (I − FᵀM F)/λ_F, by Woodbury's identity, for any d.
A model says what R (n × d) and s (n,) are; A is P·Fᵀ or Fᵀ. So whatever the model, there is one
n × n buffer, one inverse and one product of rank d: n³ + 4·n²·d flops.

For an item without interactions, row and column of P are zero but for P_jj = 1/λ. So the P of a
catalogue with more such items is that of the smaller one, and `add_items` gives what a fit would.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import PrivateAttr

from shoal.base.factored import FactoredRecommender
from shoal.base.hyper import hyper
from shoal.base.linear import LinearRecommender
from shoal.base.recommender import Recommender
from shoal.base.system import System
from shoal.base.weights import DenseWeights, csr_arrays
from shoal.data.align import checked, placed
from shoal.data.ids import Ids
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.errors import DataError, ModelError, NotFittedError
from shoal.kernels import dense, linear
from shoal.kernels.arrays import Bool, Double, Float, Int, State
from shoal.kernels.spd import NotPositiveDefiniteError
from shoal.run import Run

NORMALISE = "scale the items' vectors to length 1"


def text_ease(V: Float, l2: float, name: str) -> tuple[Float, Double]:
    """EASE on vectors: C = V·Wᵀ − diag(w − 1), without the n × n matrix.

    Parameters
    ----------
    V : (n, d) float32
        Fᵀ: one row per item.
    l2 : float
        λ_F.
    name : str
        Of the model, for messages.

    Returns
    -------
    W : (n, d) float32
        w_j·M f_j.
    w : (n,) float64
        1/(1 − f_jᵀM f_j).
    """
    K = dense.cross(V, V)
    np.einsum("ii->i", K)[:] += l2
    try:
        W, h = dense.quadratic(V, dense.inverse(K))
    except NotPositiveDefiniteError:
        h = np.ones(1)
    if not (h < 1).all():
        raise ModelError(f"{name}: text_l2={l2:g} is too small for these vectors: raise it")
    w: Double = 1 / (1 - h)
    W *= w[:, None].astype(np.float32)
    return W, w


class VectorRecommender(Recommender):
    """Base of models that read item vectors: what they keep of them, and cold items."""

    reads_vectors: ClassVar[bool] = True
    explains: ClassVar[bool] = True

    _features: Float | None = PrivateAttr(None)  # Fᵀ
    _cold: Bool = PrivateAttr()

    @abstractmethod
    def _extend(self, smaller: Self, at: Int) -> None:
        """Take over what `smaller` has fitted: its items are at `at`, the others are new."""

    @property
    def item_vectors(self) -> Float:
        """Fᵀ, (n_items, d): the items' vectors as the model uses them."""
        if self._features is None:
            raise NotFittedError(f"{self.name} has not been fitted: call fit(interactions) first")
        return self._features

    @property
    def cold_items(self) -> Bool:
        """(n_items,) which items had no training user: they are known by their vectors alone."""
        return self._cold

    def _scaled(self, V: Float) -> Float:
        if not getattr(self, "normalise", True):
            return V
        lengths = np.sqrt(np.einsum("jd,jd->j", V, V, dtype=np.float64))
        factors: Double = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return V * factors[:, None].astype(np.float32)

    def _read(self, interactions: Interactions) -> None:
        assert interactions.item_vectors is not None
        self._features = self._scaled(interactions.item_vectors)
        self._cold = interactions.item_counts == 0
        self._facts["items_without_vector"] = float((~self._features.any(axis=1)).sum())
        self._facts["cold_items"] = float(self._cold.sum())

    def bytes_beside(self, data: Interactions) -> int:
        """Four matrices like that of the vectors."""
        d = 0 if data.item_vectors is None else data.item_vectors.shape[1]
        return 16 * data.n_items * d + 24 * d**2

    def add_items(
        self, ids: Sequence[Any], vectors: Any, item_table: pl.DataFrame | None = None
    ) -> Self:
        """A model that also knows new items, by their vectors, without a fit.

        It is the one that a fit to the same log gives if the catalogue holds these items without
        interactions, up to rounding.

        Parameters
        ----------
        ids : (m,) item ids
            That the model does not have.
        vectors : (m, d) of numbers
            From the embedder that made those of the training data.
        item_table : DataFrame, optional
            Attributes of the new items: column ``item`` and others.

        Raises
        ------
        DataError
            An id that is there already or twice, vectors of another length or with NaN.
        """
        named, rows = checked(ids, vectors)
        known = [i for i, code in zip(named, self.items.lookup(named), strict=True) if code >= 0]
        if known:
            raise DataError(f"item {known[0]!r} is in the model already: add new ones only")
        if rows.shape[1] != self.item_vectors.shape[1]:
            raise DataError(
                f"the new vectors have {rows.shape[1]} numbers, those of the model "
                f"{self.item_vectors.shape[1]}: embed both with the same embedder"
            )
        items = self.items.extended(named)
        at = items.match(self.items)
        larger = type(self)(**self.model_dump())
        larger._features = placed(self.item_vectors, at, len(items))
        larger._features += placed(self._scaled(rows), items.lookup(named), len(items))
        larger._cold = np.ones(len(items), np.bool_)
        larger._cold[at] = self._cold
        larger._extend(self, at)
        facts = self.facts | {"cold_items": float(larger._cold.sum())}
        table = _joint_table(items, self.item_table, item_table)
        larger.restore_catalogue(items, table, self.fingerprint, facts, self.preparation)
        return larger

    def state(self) -> State:
        """The vectors, 4·n·d bytes, and which items are cold."""
        return {"vectors": self.item_vectors, "cold": self._cold}

    def restore(self, state: State) -> None:
        """Take them back."""
        self._features, self._cold = state["vectors"], state["cold"]


class FactoredTextRecommender(VectorRecommender, FactoredRecommender):
    """Base of models by vectors alone: B = V·Wᵀ off the diagonal, zero on it, and never made."""

    _own: Float = PrivateAttr()  # (n,), v_j·w_j: the diagonal, which is left out

    @abstractmethod
    def _learn(self) -> Float:
        """W (n_items, d) from the vectors V."""

    def _take(self, right: Float) -> None:
        self._vectors = right
        self._own = np.einsum("jd,jd->j", self.item_vectors, right)

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._read(interactions)
        with run.progress.step(f"{self.name}: weights"):
            self._take(self._learn())

    def _extend(self, smaller: Self, at: Int) -> None:
        self._take(self._learn())

    def _user_vectors(self, histories: CSR) -> Float:
        return linear.sparse_times_dense(*csr_arrays(histories), self.item_vectors)

    def _correction(self, histories: CSR) -> CSR:
        own = CSR(histories, copy=True)
        own.data *= -self._own[histories.indices]  # an item says nothing of itself
        return own

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """x_j·B_ji for each history item j."""
        B = self.item_vectors[history] @ self._rows([item])[0]
        return np.asarray(weights * np.where(history == item, 0, B), np.float32)

    def bytes_to_fit(self, size: Size) -> int:
        """Beyond the vectors (`bytes_beside`), next to nothing."""
        return 64 * size.n_items

    def state(self) -> State:
        """The vectors, and W where it is something else."""
        same = self._vectors is self._features
        return VectorRecommender.state(self) | ({} if same else {"right": self.vectors()})

    def restore(self, state: State) -> None:
        """Take them back."""
        VectorRecommender.restore(self, state)
        self._take(state.get("right", state["vectors"]))


@dataclass(frozen=True)
class Composition:
    """What makes B of P and A: B_ij = a_i·r_j − P_ij·s_j for i ≠ j.

    Parameters
    ----------
    scale : (n,) float64
        s.
    right : (n, d) float32
        R.
    diagonal : (n,) float64
        B_jj.
    text_scale : (n,) float64 or None
        That of s which belongs to the text: its part of B_ij is a_i·r_j − P_ij·text_scale_j. None
        where B cannot be told apart.
    text_diagonal : (n,) float64 or None
        The text's part of B_jj.
    """

    scale: Double
    right: Float
    diagonal: Double
    text_scale: Double | None = None
    text_diagonal: Double | None = None


class SemanticRecommender(VectorRecommender, LinearRecommender):
    """Base of models with one B from the log and the vectors."""

    projects: ClassVar[bool] = True  # whether A is P·Fᵀ, else Fᵀ

    l2: float = hyper(
        500.0, "ridge λ on the weights", gt=0, search=(10, 10_000), scale="log", allow_inf_nan=False
    )
    normalise: bool = hyper(True, NORMALISE)

    _left: Float = PrivateAttr()  # A
    _diagonal: Double = PrivateAttr()  # of P
    _ridge: Double = PrivateAttr()  # Λ
    _damping: Double = PrivateAttr()  # c^α
    _known: Composition | None = PrivateAttr(None)

    @abstractmethod
    def _combine(self) -> Composition:
        """s, R and the diagonal, from `item_vectors`, `_left`, `_diagonal` and `_ridge`."""

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
            found, self._known = self._combine(), None
            left, right = self._damping.astype(np.float32), (1 / self._damping).astype(np.float32)
            linear.weights_from_inverse(P, found.scale.astype(np.float32), left, right)
            dense.add_product(P, *self._damped(found.right))
            self._finish(P, found)
        off_diagonal = P.shape[0] * (P.shape[0] - 1)
        self._facts["negative_weights"] = linear.signed_entries(P, -1) / off_diagonal
        self._facts["residual"] = residual
        self._weights = DenseWeights(P)

    def _damped(self, right: Float) -> tuple[Float, Float]:
        """diag(c^α)·A and diag(c^−α)·R."""
        if (self._damping == 1).all():
            return self._left, right
        c = self._damping[:, None].astype(np.float32)
        return self._left * c, right / c

    def _finish(self, B: Float, found: Composition) -> None:
        """The columns of cold items where they are the text's alone, and the diagonal."""
        cold = np.flatnonzero(self._cold)
        if cold.size and getattr(self, "cold", "") == "text":
            c = self._damping[:, None].astype(np.float32) / np.float32(self.l2)
            for begin in range(0, len(B), dense.ROWS):
                rows = slice(begin, begin + dense.ROWS)
                B[rows, cold] = (self.item_vectors[rows] * c[rows]) @ found.right[cold].T
        np.fill_diagonal(B, found.diagonal)

    def _extend(self, smaller: Self, at: Int) -> None:
        n, before, B = len(self.item_vectors), smaller._combine(), np.asarray(smaller.weights)
        new = np.setdiff1d(np.arange(n), at)
        for name, value in (("_diagonal", 1 / self.l2), ("_ridge", self.l2), ("_damping", 1.0)):
            whole = np.full(n, value)
            whole[at] = getattr(smaller, name)
            setattr(self, name, whole)
        self._left = self.item_vectors
        if self.projects:  # what is new stands apart in P
            self._left = placed(smaller._left, at, n)
            self._left[new] = self.item_vectors[new] / np.float32(self.l2)
        after = self._combine()
        # P is no more: P_ij·s_j = a_i·r_j − B_ij gives it back
        ratio = np.divide(
            after.scale[at], before.scale, out=np.ones(at.size), where=before.scale != 0
        ).astype(np.float32)
        change = after.right.copy()
        change[at] -= ratio[:, None] * before.right
        left, right = self._damped(after.right)
        weights: Float = np.zeros((n, n), np.float32)
        for j, row in zip(at, B, strict=True):
            weights[j, at] = row * ratio
        dense.add_product(weights, *self._damped(change))
        weights[new] = left[new] @ right.T
        self._finish(weights, after)
        self._weights = DenseWeights(weights)

    def evidence(self, history: Int, weights: Float, item: int) -> dict[str, float]:
        """What of a score comes from behaviour and what from text; empty if that is one thing."""
        if self._known is None:
            self._known = self._combine()
        found = self._known
        if found.text_scale is None or found.text_diagonal is None:
            return {}
        damping = self._damping[history] / self._damping[item]
        own = history == item
        product = self._left[history] @ found.right[item]
        B = self.column(item)[history]
        share = found.text_scale[item] / found.scale[item] if found.scale[item] else 0.0
        apart = damping * product * (1 - share) + share * B
        text = np.where(own, found.text_diagonal[item], B if self._cold[item] else apart)
        score, by_text = float(weights @ B.astype(np.float64)), float(weights @ text)
        return {"behaviour": score - by_text, "text": by_text}

    def bytes_to_fit(self, size: Size) -> int:
        """One n × n float32 matrix, worked on in place, and an index of X by column."""
        return (
            4 * size.n_items**2 + 12 * size.n_interactions + 96 * size.n_items + 24 * size.n_users
        )

    def state(self) -> State:
        """B, the vectors, A where it is something else (4·n·d bytes), and four (n,) arrays."""
        kept = {"diagonal": self._diagonal, "ridge": self._ridge, "damping": self._damping}
        more = {"left": self._left} if self.projects else {}
        return {"weights": np.asarray(self.weights)} | VectorRecommender.state(self) | kept | more

    def restore(self, state: State) -> None:
        """Take them back."""
        VectorRecommender.restore(self, state)
        self._weights, self._known = DenseWeights(state["weights"]), None
        self._diagonal, self._ridge = state["diagonal"], state["ridge"]
        self._damping, self._left = state["damping"], state.get("left", state["vectors"])


def _joint_table(items: Ids, old: pl.DataFrame, new: pl.DataFrame | None) -> pl.DataFrame:
    """Attributes of all items; those of the new ones, where there are any."""
    rows = old.with_columns(pl.col("item").cast(items.series.dtype))
    if new is not None:
        theirs = new.with_columns(pl.col("item").cast(items.series.dtype)).unique("item")
        theirs = theirs.join(rows, on="item", how="anti")
        rows = pl.concat([rows, theirs], how="diagonal_relaxed")
    return pl.DataFrame({"item": items.series}).join(
        rows, on="item", how="left", maintain_order="left"
    )
