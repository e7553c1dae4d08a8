"""What a closed-form model keeps beside its weights, so that it can be updated without a fit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shoal.base.declared import ArraySpec, Spec
from shoal.base.system import System
from shoal.kernels.arrays import Double, Float, Int, State


@dataclass(frozen=True)
class Kept:
    """Four vectors, 24 bytes per item, from which P and G' can be updated: `shoal.base.update`.

    Parameters
    ----------
    squares : (n_items,) float64
        G_jj: the number of users of item j, or the sum of its squared values.
    diagonal : (n_items,) float32
        P_jj.
    probe : (n_items,) float32
        A vector z of ±1.
    product : (n_items,) float64
        G'·z, by which an updated P is checked: P·(G'z + Λz) must be z.
    """

    spec: ClassVar[Spec] = (
        ArraySpec("squares", ("n_items",), "float64"),
        ArraySpec("inverse_diagonal", ("n_items",), positive=True),
        ArraySpec("probe", ("n_items",)),
        ArraySpec("probe_product", ("n_items",), "float64"),
    )

    squares: Double
    diagonal: Float
    probe: Float
    product: Double

    @staticmethod
    def of_fit(system: System, P: Float) -> Kept:
        """Take it from a fit: a system, and the inverse that it returned."""
        probe = _probe(len(system.ridge))
        product = system.gram_times(probe.astype(np.float64))
        return Kept(system.squares, P.diagonal().copy(), probe, product)

    @staticmethod
    def of_state(state: State) -> Kept | None:
        """Restore it from the arrays of a model; None if they lack it, as those of older models."""
        if "squares" not in state:
            return None
        return Kept(*(state[n] for n in ("squares", "inverse_diagonal", "probe", "probe_product")))

    @classmethod
    def is_in(cls, names: Collection[str]) -> bool:
        """Whether a model whose arrays have these names holds some of it."""
        return any(array.name in names for array in cls.spec if isinstance(array, ArraySpec))

    def state(self) -> State:
        """The arrays to save in a model folder."""
        return {
            "squares": self.squares,
            "inverse_diagonal": self.diagonal,
            "probe": self.probe,
            "probe_product": self.product,
        }

    def onto(self, positions: Int, n_items: int, l2: float) -> Kept:
        """The same for a larger catalogue, in which the items have these positions.

        New items are without users: their P_jj is 1/λ.
        """
        squares, product = np.zeros((2, n_items))
        diagonal, probe = np.full(n_items, 1 / l2, np.float32), _probe(n_items)
        squares[positions], product[positions] = self.squares, self.product
        diagonal[positions], probe[positions] = self.diagonal, self.probe
        return Kept(squares, diagonal, probe, product)


def _probe(n_items: int) -> Float:
    return np.random.default_rng(n_items).choice(np.array([-1, 1], np.float32), n_items)
