"""A fitted model as plain data, for another process that ranks with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from shoal.base.blocked import is_distant
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.kernels.arrays import Long, State, not_locked


@dataclass(frozen=True)
class PackedModel:
    """All that a fitted model is but how it was fitted, and but an index that it searches.

    Parameters
    ----------
    kind : type
        Its class.
    settings : dict
    arrays : State
    items : Ids
    item_table : polars DataFrame
    item_counts : (n_items,) int64 or None
    users : Ids or None
    """

    kind: type[Recommender]
    settings: dict[str, Any]
    arrays: State
    items: Ids
    item_table: pl.DataFrame
    item_counts: Long | None
    users: Ids | None

    @staticmethod
    def can_hold(model: Recommender) -> bool:
        """Whether a packed model ranks like this one: its arrays are here, and it has no index."""
        if model._search is not None or model.vector_model._search is not None:
            return False
        return not any(is_distant(array) for array in model.state().values())

    @staticmethod
    def of(model: Recommender) -> PackedModel:
        """Pack a model; arrays are not copied where the model holds them as they are."""
        return PackedModel(
            type(model),
            model.model_dump(),
            model.state(),
            model.items,
            model.item_table,
            model.item_counts,
            model.users,
        )

    @property
    def n_bytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def unpacked(self) -> Recommender:
        """A model that ranks like the one that was packed, over the same arrays."""
        model = self.kind(**self.settings)
        model.restore(not_locked(self.arrays))
        model.restore_catalogue(
            self.items, self.item_table, "", {}, users=self.users, item_counts=self.item_counts
        )
        return model
