"""One inverse P of the closed-form family, and the scores of many of its models from it.

For histories x, a model of the family with c^α and Λ + μ has the scores

    S = (x·diag(c^α))·P,    x·W = (x·diag(c^α) − S·diag(Λ + μ))·diag(c^−α)

S does not depend on μ, so all models with the same α share it: one product of sparse rows with P.
The first term counts for items of the history alone, which are never recommended; the scores of all
others are S times a number for each column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shoal.base.closed_form import ClosedForm
from shoal.base.dual import DualSystem
from shoal.base.system import System
from shoal.base.weights import csr_arrays
from shoal.data.interactions import CSR, Interactions
from shoal.kernels import linear
from shoal.kernels.arrays import Double, Float
from shoal.kernels.threads import use_threads
from shoal.run import Run

# what P depends on; all other hyper-parameters of the family are settings of one P
OUTER = ("l2", "dropout", "beta")


@dataclass(frozen=True, eq=False)
class Scaling:
    """What tells one model of an inverse from another: Λ + μ and c^α, (n_items,) float32 each."""

    scale: Float
    damping: Float

    @property
    def key(self) -> bytes:
        """The same for models that give the same scores."""
        return self.scale.tobytes() + self.damping.tobytes()


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
    """

    P: Float
    diagonal: Double
    system: System

    @staticmethod
    def of(model: ClosedForm, log: Interactions, run: Run) -> CommonInverse | None:
        """Make the inverse that a model needs, for all that have the same λ, p and β.

        Returns
        -------
        CommonInverse, or None where a fit solves for users, or changes the weights of the inverse
        """
        model.check_can_fit(log, run)
        with use_threads(run.threads, fit=True):
            system = model.system(log, run)
            if isinstance(system, DualSystem) or not model.can_share_inverse:
                return None
            P, _ = system.inverse(run)
            system.prepare_sharing(P)
        return CommonInverse(P, system.diagonal(P), system)

    def scaling(self, model: ClosedForm) -> Scaling:
        """The vectors of a model that has this λ, p and β."""
        scale, damping = model.scaling(
            self.diagonal, self.system.ridge, self.system.log.item_counts
        )
        return Scaling(scale.astype(np.float32), damping.astype(np.float32))

    def scores_of_unseen(self, x: CSR, scalings: Sequence[Scaling]) -> Iterator[tuple[int, Float]]:
        """Score the items that are not in the histories, for one model after the other.

        Parameters
        ----------
        x : CSR array (m, n_items)
        scalings : sequence of Scaling

        Yields
        ------
        index : int
            Position in `scalings`; models with the same α follow each other.
        scores : (m, n_items) float32
            The same buffer each time, which the caller may change. What stands at items of the
            history is no score.
        """
        indptr, indices, data = csr_arrays(x)
        by_damping: dict[bytes, list[int]] = {}
        for index, scaling in enumerate(scalings):
            by_damping.setdefault(scaling.damping.tobytes(), []).append(index)
        out = np.empty((x.shape[0], len(self.P)), np.float32)
        for members in by_damping.values():
            damping = scalings[members[0]].damping
            damped = data * damping[indices]
            products = linear.sparse_times_dense(indptr, indices, damped, self.P)
            for index in members:
                np.multiply(products, -scalings[index].scale / damping, out=out)
                yield index, out
