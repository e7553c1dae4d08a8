"""What is known of items beside a log: a table of attributes, and vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal.data.interactions import Interactions
from shoal.data.items import read_items
from shoal.data.vectors import Vectors
from shoal.errors import DataError


@dataclass(frozen=True)
class KnownOfItems:
    """What a log is to be given beside its rows; the parameters are those of `shoal.read`."""

    items: Any = None
    item_id: str | None = None
    vectors: Any = None
    cold_items: bool = False

    def attached_to(self, interactions: Interactions, column: str) -> Interactions:
        """A log with these.

        Parameters
        ----------
        interactions : Interactions
        column : str
            The log's column of items.

        Raises
        ------
        DataError
            Something cannot be read, or goes only with something that is not given.
        """
        if self.vectors is not None:
            interactions = self._with_vectors(interactions)
        elif self.cold_items:
            raise DataError("cold items are known by their vectors: give them (--vectors FILE)")
        if self.items is not None:
            table = read_items(self.items, column, item_id=self.item_id)
            interactions = interactions.with_item_table(table)
        elif self.item_id is not None:
            raise DataError(
                f"item_id={self.item_id!r} names a column of an item table: give it (--items)"
            )
        return interactions

    def _with_vectors(self, interactions: Interactions) -> Interactions:
        """Attach the item vectors of a file; one without ids has the order of the item table."""
        has_no_ids = Path(self.vectors).suffix.lower() == ".npy"
        vectors = Vectors.read(self.vectors, self.items if has_no_ids else None)
        return interactions.with_vectors(
            vectors.ids, vectors.matrix, add_items=self.cold_items, space=vectors.space
        )
