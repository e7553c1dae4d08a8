"""Popularity: score_i = number of training users of item i, the same for everyone."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import PrivateAttr

from shoal.base.declared import Spec, per_item
from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels import column_sums
from shoal.kernels.arrays import Float, State
from shoal.run import Run


class Popularity(Recommender):
    """Rank by popularity: the baseline that every other model has to beat."""

    name: ClassVar[str] = "popularity"
    state_arrays: ClassVar[Spec] = per_item("counts")
    personal: ClassVar[bool] = False

    _counts: Float = PrivateAttr()

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._counts = interactions.item_counts.astype(np.float32)

    def _score(self, histories: CSR) -> Float:
        return np.tile(self._counts, (histories.shape[0], 1))

    def state(self) -> State:
        """Return the number of training users of each item, (n_items,)."""
        return {"counts": self._counts}

    def restore(self, state: State) -> None:
        """Restore the counts that `state` returned."""
        self._counts = state["counts"]

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of the counts, and of a piece of the log that is counted at a time."""
        return 24 * (size.n_items + size.n_users) + 16 * max(column_sums.PIECE, size.n_items)

    def bytes_of_model(self, size: Size) -> int:
        """Return the bytes of one count per item."""
        return 4 * size.n_items
