"""One inverse P of the closed-form family, and the scores of many of its models from it.

For histories x, a model of the family with c^α and Λ + μ has the scores

    S = (x·diag(c^α))·P,    x·W = (x·diag(c^α) − S·diag(Λ + μ))·diag(c^−α)

S does not depend on μ, so all models with the same α share it: one product of sparse rows with P.
The first term counts for items of the history alone, which are never recommended; the scores of all
others are S times a number for each column.

A model with a low-pass filter (`shoal.base.low_pass`) adds to them

    T = (x·D^−b·V_k)·V_kᵀ,      x·ζΠ_b = T·diag(ζ·D^b)

T does not depend on ζ, and that of k vectors is that of fewer plus a product with the others. So
one P and one V give the scores for all α, ξ, ζ, b and k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from shoal.base.closed_form import ClosedForm
from shoal.base.dual import DualSystem
from shoal.base.low_pass import LeadingVectors, Settings
from shoal.base.system import System
from shoal.base.weights import csr_arrays
from shoal.data.interactions import CSR, Interactions
from shoal.kernels import dense, linear
from shoal.kernels.arrays import Double, Float
from shoal.kernels.threads import use_threads
from shoal.run import Run

# what P depends on; all other hyper-parameters of the family are settings of one P
OUTER = ("l2", "dropout", "beta")

_T = TypeVar("_T")
_Key = TypeVar("_Key")


@dataclass(frozen=True, eq=False)
class Scaling:
    """What tells one model of an inverse from another.

    Parameters
    ----------
    scale, damping : (n_items,) float32
        Λ + μ and c^α.
    low_pass : Settings or None
        Its low-pass filter.
    """

    scale: Float
    damping: Float
    low_pass: Settings | None = None

    @property
    def key(self) -> bytes:
        """The same for models that give the same scores."""
        return self.scale.tobytes() + self.damping.tobytes() + repr(self.low_pass).encode()


@dataclass(frozen=True, eq=False)
class CommonInverse:
    """P = (G' + diag Λ)⁻¹ for one λ, p and β.

    Parameters
    ----------
    P : (n_items, n_items) float32
        Both triangles are filled.
    diagonal : (n_items,) float64
        Of P.
    system : System
        The matrix that was inverted.
    vectors : LeadingVectors
        V, for low-pass filters.
    """

    P: Float
    diagonal: Double
    system: System
    vectors: LeadingVectors

    @staticmethod
    def of(
        model: ClosedForm, log: Interactions, run: Run, vectors: LeadingVectors | None = None
    ) -> CommonInverse | None:
        """Make the inverse that a model needs, for all that have the same λ, p and β.

        Parameters
        ----------
        model : ClosedForm
        log : Interactions
        run : Run
        vectors : LeadingVectors, optional
            Those of the log, where several inverses share them.

        Returns
        -------
        CommonInverse, or None where a fit solves for users, or changes the weights of the inverse
        """
        model.check_can_fit(log, run)
        with use_threads(run.threads, fit=True):
            system = model.system(log, run)
            if isinstance(system, DualSystem) or not model.scores_from_inverse:
                return None
            P, _ = system.inverse(run)
            system.prepare_sharing(P)
        vectors = vectors or LeadingVectors(log, run)
        return CommonInverse(P, system.diagonal(P), system, vectors)

    def scaling(self, model: ClosedForm) -> Scaling:
        """The vectors of a model that has this λ, p and β."""
        scale, damping = model.scaling(self.diagonal, self.system.ridge, self.system.item_counts)
        return Scaling(scale.astype(np.float32), damping.astype(np.float32), model.low_pass)

    def scores_of_unseen(self, x: CSR, scalings: Sequence[Scaling]) -> Iterator[tuple[int, Float]]:
        """Score the items that are not in the histories, for one model after the other.

        Parameters
        ----------
        x : CSR array (m, n_items)
        scalings : sequence of Scaling

        Yields
        ------
        index : int
            Position in `scalings`. Models with the same b follow each other, those with a lower
            rank first; among them, models with the same α.
        scores : (m, n_items) float32
            The same buffer each time, which the caller may change. What stands at items of the
            history is no score.
        """
        indptr, indices, data = csr_arrays(x)
        out = np.empty((x.shape[0], len(self.P)), np.float32)
        for members_of_filter, filtered, power in self._filters(x, scalings):
            by_damping = _grouped(members_of_filter, lambda i: scalings[i].damping.tobytes())
            for members in by_damping.values():
                damping = scalings[members[0]].damping
                damped = data * damping[indices]
                products = linear.sparse_times_dense(indptr, indices, damped, self.P)
                for index in members:
                    factors, settings = -scalings[index].scale / damping, scalings[index].low_pass
                    if settings is None:
                        np.multiply(products, factors, out=out)
                    else:
                        right = np.float32(settings.weight) * power
                        linear.sum_of_scaled_columns(products, factors, filtered, right, out)
                    yield index, out

    def _filters(
        self, x: CSR, scalings: Sequence[Scaling]
    ) -> Iterator[tuple[list[int], Float, Float]]:
        """Go over all b and k: the positions in `scalings` that have them, T and D^b.

        Those without a filter are first; there T and D^b are empty.
        """
        filters = [(i, s.low_pass) for i, s in enumerate(scalings) if s.low_pass is not None]
        plain = [i for i, s in enumerate(scalings) if s.low_pass is None]
        if plain:
            yield plain, np.empty((0, 0), np.float32), np.empty(0, np.float32)
        for exponent, members in _grouped(filters, lambda one: one[1].exponent).items():
            largest = max(settings.rank for _, settings in members)
            low = self.vectors.filter(Settings(1.0, exponent, largest))
            projected, begin = low.project(x), 0
            T = np.zeros((x.shape[0], len(self.P)), np.float32)
            for rank, same in sorted(_grouped(members, lambda one: one[1].rank).items()):
                A, R = (M[:, begin:rank] for M in (projected, low.vectors))
                if A.shape[1]:
                    dense.add_product(T, np.ascontiguousarray(A), np.ascontiguousarray(R))
                begin = rank
                yield [i for i, _ in same], T, low.right


def _grouped(all_of_them: Iterable[_T], key: Callable[[_T], _Key]) -> dict[_Key, list[_T]]:
    groups: dict[_Key, list[_T]] = {}
    for one in all_of_them:
        groups.setdefault(key(one), []).append(one)
    return groups
