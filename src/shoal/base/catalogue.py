"""What a fitted model keeps of its training data beside the fitted arrays: above all its items."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, PrivateAttr

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.items import item_frame
from shoal.errors import ModelError, NotFittedError
from shoal.kernels.arrays import Bool, Long

COUNTS = "shoal:training_users"  # column of the item table in a model folder


class Catalogue(BaseModel):
    """The part of a model that knows ids, attributes and training users of its items."""

    _items: Ids | None = PrivateAttr(None)
    _item_table: pl.DataFrame | None = PrivateAttr(None)
    _item_counts: Long | None = PrivateAttr(None)
    _known_items: Bool | None = PrivateAttr(None)  # computed when `known_items` first needs it
    _users: Ids | None = PrivateAttr(None)
    _fingerprint: str = PrivateAttr("")
    _facts: dict[str, float] = PrivateAttr(default_factory=dict)
    _preparation: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def _class_name(self) -> str:
        """The model's name on the command line, for error messages."""
        return str(getattr(self, "name", type(self).__name__))

    @property
    def fitted(self) -> bool:
        """Whether `fit` or `restore` has been called."""
        return self._items is not None

    @property
    def items(self) -> Ids:
        """The ids of the items that the model scores."""
        items = self._items  # read once: pydantic takes microseconds for it
        if items is None:
            raise NotFittedError(
                f"{self._class_name} has not been fitted: call fit(interactions) first"
            )
        return items

    @property
    def n_items(self) -> int:
        """Number of items scored."""
        return len(self.items)

    @property
    def item_table(self) -> pl.DataFrame:
        """A table with one row per item: its id, and attributes such as a title."""
        table = self._item_table
        if table is None:
            raise NotFittedError(f"{self._class_name} has not been fitted")
        return table

    @property
    def item_counts(self) -> Long | None:
        """Training users per item, (n_items,); None for models saved before shoal kept them."""
        return self._item_counts

    @property
    def cold_items(self) -> Bool | None:
        """Items without a training user, (n_items,) bool; None unless the model reads vectors."""
        return None

    @property
    def known_items(self) -> Bool:
        """Items of which the model knows something, (n_items,) bool; only these are recommended.

        They are the items with a training user and, for a model that reads item vectors, those
        with a vector. A model that was saved before shoal kept counts says yes to all of them.
        """
        known = self._known_items
        if known is None:
            known = self._find_known_items()
            known.flags.writeable = False
            self._known_items = known
        return known

    def _find_known_items(self) -> Bool:
        """Compute `known_items`."""
        if self._item_counts is None:
            return np.ones(self.n_items, np.bool_)
        known: Bool = self._item_counts > 0
        return known

    @property
    def users(self) -> Ids | None:
        """The ids of the training users, if the model predicts ratings; else None."""
        return self._users

    @property
    def fingerprint(self) -> str:
        """sha256 of the training data."""
        return self._fingerprint

    @property
    def facts(self) -> dict[str, float]:
        """Numbers about the fit by name, such as ``negative_weights``, a share of all weights."""
        return dict(self._facts)

    @property
    def preparation(self) -> dict[str, Any]:
        """How the training log was read (``min_value``, ``values``), to read others likewise."""
        return dict(self._preparation)

    def take_catalogue(self, interactions: Interactions) -> None:
        """Keep the ids, attributes and counts of the training items, and how the log was read."""
        self._items = interactions.items
        self._item_table = item_frame(interactions)
        self._item_counts, self._known_items = interactions.item_counts, None
        self._fingerprint = interactions.fingerprint()
        self._preparation = dict(interactions.preparation)

    def restore_catalogue(
        self,
        items: Ids,
        item_table: pl.DataFrame,
        fingerprint: str,
        facts: dict[str, float],
        preparation: dict[str, Any] | None = None,
        users: Ids | None = None,
        item_counts: Long | None = None,
    ) -> None:
        """Restore the data of a model folder other than the fitted arrays.

        The counts of training users come from `item_counts`, or from the column of the table in
        which `catalogue_table` puts them.
        """
        if COUNTS in item_table.columns:
            item_counts = _checked_counts(item_table[COUNTS])
            item_table = item_table.drop(COUNTS)
        self._items, self._item_table, self._users = items, item_table, users
        self._item_counts, self._known_items = item_counts, None
        self._fingerprint, self._facts = fingerprint, dict(facts)
        self._preparation = dict(preparation or {})

    def counts_over(self, items: Ids) -> Long | None:
        """The training users of a larger list of items: 0 for those that the model lacks."""
        if self._item_counts is None:
            return None
        counts = np.zeros(len(items), np.int64)
        counts[items.match(self.items)] = self._item_counts
        return counts

    def catalogue_table(self) -> pl.DataFrame:
        """The item table as a model folder keeps it, with a column of the training users."""
        if self._item_counts is None:
            return self.item_table
        return self.item_table.with_columns(pl.Series(COUNTS, self._item_counts, pl.Int64))


def _checked_counts(column: pl.Series) -> Long:
    """The counts of training users that a model folder holds."""
    lowest = column.min() if column.dtype.is_integer() and not column.null_count() else None
    if len(column) and (not isinstance(lowest, int) or lowest < 0):
        raise ModelError(
            f"the column {COUNTS!r} of items.parquet holds other values than counts: copy the "
            "model folder again"
        )
    return column.cast(pl.Int64).to_numpy().copy()
