"""The ideal low-pass filter of a log, ζ·Π_b = D^−b · V Vᵀ · ζ·D^b, of rank k.

V holds the k first right singular vectors of R̃ = D_u^−½ X D^−½, where the diagonal matrices D_u and
D hold the row and column sums of X; D^±b is 0 where a sum is 0. GF-CF (Shen et al., CIKM 2021) adds
it with b = ½ to a linear filter. V does not depend on ζ and b, and the first columns of V are those
of a filter of lower rank, so one V serves many filters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from shoal.base import graph, singular
from shoal.base.declared import ArraySpec, Spec, per_item
from shoal.base.weights import Weights, csr_arrays
from shoal.data.interactions import CSR, Interactions
from shoal.kernels import dense, linear
from shoal.kernels.arrays import Double, Float, Int, State
from shoal.kernels.threads import use_threads
from shoal.run import Run

SMALLEST = 1e-3  # singular values of R̃ (largest: 1) below this are rounding errors
_TILE = 1024  # items whose scores are computed at a time, to be added to others in cache


class Settings(NamedTuple):
    """What tells one low-pass filter of a log from another: ζ, b and k."""

    weight: float
    exponent: float
    rank: int


def singular_vectors(name: str, log: Interactions, rank: int, run: Run) -> Float:
    """Compute V, (n_items, k), most important column first.

    Parameters
    ----------
    name : str
        Model name, for progress.
    log : Interactions
        X.
    rank : int
        Number of singular vectors. There are fewer in V if R̃ has fewer values above rounding.
    run : Run
    """
    rows, columns = (graph.inverse_power(sums, 0.5) for sums in graph.degrees(log))
    values, vectors = singular.top_singular(name, log, rank, run, rows=rows, columns=columns)
    return np.ascontiguousarray(vectors[:, values > SMALLEST])


@dataclass(frozen=True, eq=False)
class LowPass:
    """ζ·Π_b in its three factors.

    Parameters
    ----------
    vectors : (n_items, k) float32
        V.
    left, right : (n_items,) float32
        D^−b and ζ·D^b.
    """

    spec: ClassVar[Spec] = (ArraySpec("vectors", ("n_items", "k")), *per_item("left", "right"))

    vectors: Float
    left: Float
    right: Float

    @classmethod
    def of(
        cls, name: str, log: Interactions, *, rank: int, exponent: float, weight: float, run: Run
    ) -> LowPass:
        """Make the filter of a log.

        Parameters
        ----------
        name : str
            Model name, for progress.
        log : Interactions
            X.
        rank : int
            k.
        exponent : float
            b.
        weight : float
            ζ. Without weight there are no vectors, and none are computed.
        run : Run
        """
        none = np.zeros((log.n_items, 0), np.float32)
        V = singular_vectors(name, log, rank, run) if weight else none
        return cls.of_vectors(V, graph.degrees(log)[1], exponent, weight)

    @classmethod
    def of_vectors(cls, V: Float, sums: Double, exponent: float, weight: float) -> LowPass:
        """Make the filter from V and the column sums of X, (n_items,), with exponent b and ζ."""
        power = np.where(sums > 0, sums**exponent, 0)
        return cls(V, graph.inverse_power(sums, exponent), (weight * power).astype(np.float32))

    def project(self, x: CSR) -> Float:
        """x·D^−b·V, (m, k), for a CSR block of m histories."""
        indptr, indices, data = csr_arrays(x)
        return linear.sparse_times_dense(indptr, indices, data * self.left[indices], self.vectors)

    def score(self, x: CSR) -> Float:
        """x·ζΠ_b, (m, n_items), for a CSR block of m histories: one product by BLAS."""
        scores: Float = self.project(x) @ self.vectors.T
        scores *= self.right
        return scores

    def add_to(self, scores: Float, x: CSR) -> None:
        """Add x·ζΠ_b to the scores (m, n_items) of a block of histories, in place."""
        if not self.vectors.shape[1]:
            return
        low = self.project(x)
        for begin in range(0, len(self.vectors), _TILE):
            items = slice(begin, begin + _TILE)
            part = low @ self.vectors[items].T
            part *= self.right[items]
            scores[:, items] += part

    def part_of_column(self, rows: Int, item: int) -> Float:
        """ζΠ_b[rows, item], (len(rows),): what history items add to the score of an item."""
        low = self.left[rows] * (self.vectors[rows] @ self.vectors[item])
        return np.asarray(low * self.right[item], np.float32)

    def add_to_weights(self, B: Float) -> None:
        """Add ζΠ_b to a dense item-item matrix B (n_items, n_items) float32, in place."""
        if self.vectors.shape[1]:
            right = self.vectors * self.right[:, None]
            dense.add_product(B, self.vectors * self.left[:, None], right)

    def state(self) -> State:
        """V, D^−b and ζ·D^b by name."""
        return {"vectors": self.vectors, "left": self.left, "right": self.right}

    @classmethod
    def of_state(cls, state: State) -> LowPass:
        """The filter whose `state` this is."""
        return cls(state["vectors"], state["left"], state["right"])


class LeadingVectors:
    """V of a log for filters of several ranks: computed when one is first asked for.

    Parameters
    ----------
    log : Interactions
        X.
    run : Run
    at_least : int
        Number of vectors to compute at once, for filters of higher rank that will follow.
    """

    def __init__(self, log: Interactions, run: Run, at_least: int = 0) -> None:
        self.sums: Double = graph.degrees(log)[1]
        self._log, self._run, self._rank = log, run, at_least
        self._computed: Float | None = None

    def of_rank(self, rank: int) -> Float:
        """V, (n_items, k) with k = `rank` or as many as there are; a view of a larger array."""
        if self._computed is None or rank > self._rank:
            self._rank = max(rank, self._rank)
            with use_threads(self._run.threads, fit=True):
                self._computed = singular_vectors("low-pass", self._log, self._rank, self._run)
        return self._computed[:, :rank]

    def filter(self, settings: Settings) -> LowPass:
        """The low-pass filter with these settings."""
        V = np.ascontiguousarray(self.of_rank(settings.rank))
        return LowPass.of_vectors(V, self.sums, settings.exponent, settings.weight)


@dataclass(frozen=True, eq=False)
class WithLowPass(Weights):
    """B + ζΠ_b, where several models hold the same B, or what it is computed from.

    A single model adds ζΠ_b to its own B instead, with `LowPass.add_to_weights`.

    Parameters
    ----------
    linear : Weights
        B.
    low_pass : LowPass
    """

    linear: Weights
    low_pass: LowPass

    @property
    def n_items(self) -> int:
        """Number of rows and columns of B."""
        return self.linear.n_items

    def matrix(self) -> Float:
        """B + ζΠ_b as a new array."""
        B = np.array(self.linear.matrix(), np.float32)
        self.low_pass.add_to_weights(B)
        return B

    def score(self, x: CSR) -> Float:
        """x·B + x·ζΠ_b."""
        scores = self.linear.score(x)
        self.low_pass.add_to(scores, x)
        return scores

    def column(self, item: int) -> Float:
        """(B + ζΠ_b)[:, item]."""
        rows = np.arange(self.n_items, dtype=np.int32)
        return self.linear.column(item) + self.low_pass.part_of_column(rows, item)

    def state(self) -> State:
        """B + ζΠ_b as one dense array, the same as of a model that was fitted alone."""
        return {"weights": self.matrix()}
