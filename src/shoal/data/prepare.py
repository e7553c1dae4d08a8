"""Duplicates, one-pass filters and k-cores, each counted and reported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.report import PreparationStep
from shoal.errors import NoRowsError
from shoal.kernels import order
from shoal.kernels.arrays import Bool, Float, Int, Long

Duplicates = Literal["last", "first", "sum"]


@dataclass(frozen=True)
class Entries:
    """The rows of a log with numbers for ids, before duplicates are resolved.

    Parameters
    ----------
    user, item : (n,) int32
        Positions in `users` and `items`.
    users, items : Ids
    value : (n,) float32 or None
        Values of the rows; None where the log has no value column.
    time : (n,) int64 or float64, or None
        Times of the rows; None where the log has no time column.
    row : (n,) int64 or None
        Row numbers in the log, where they are to be kept.
    keep_value : bool
        Whether values go into the matrix; otherwise each interaction counts 1.
    logarithm : bool
        Whether log(1 + value) goes there in place of the value.
    name : str
        Name of the log, for error messages.
    """

    user: Int
    users: Ids
    item: Int
    items: Ids
    value: Float | None
    time: NDArray[Any] | None
    row: Long | None
    keep_value: bool
    name: str
    logarithm: bool = False

    def __len__(self) -> int:
        return len(self.user)

    def take(self, which: NDArray[Any]) -> Entries:
        """Choose rows by a mask or by positions."""
        return replace(
            self,
            user=self.user[which],
            item=self.item[which],
            value=None if self.value is None else self.value[which],
            time=None if self.time is None else self.time[which],
            row=None if self.row is None else self.row[which],
        )

    def item_counts(self) -> Long:
        """Rows of each item, (n_items,)."""
        return np.bincount(self.item, minlength=len(self.items))

    def without_duplicates(self, rule: Duplicates) -> tuple[Entries, bool]:
        """One row for each user and item, and whether there were several."""
        return _without_duplicates(self, rule)

    def without(self, items: Bool | None, least: int) -> Entries:
        """Leave out rows as `Rows.without` says."""
        drop = np.zeros(len(self), np.bool_) if items is None else items[self.item]
        if least > 1:
            drop |= (np.bincount(self.user, minlength=len(self.users)) < least)[self.user]
        return self.take(~drop) if drop.any() else self


def prepare_entries(
    entries: Entries,
    steps: list[PreparationStep],
    *,
    duplicates: Duplicates = "last",
    min_item_users: int = 0,
    min_user_items: int = 0,
    k_core: int = 0,
) -> Interactions:
    """Resolve duplicates, filter, and build the matrix.

    Parameters
    ----------
    entries : Entries
    steps : list of PreparationStep
        What was done before. The result's report has these steps, and then those done here.
    duplicates, min_item_users, min_user_items, k_core
        See `shoal.read`.

    Returns
    -------
    Interactions
        The matrix over the users and items that are left.

    Raises
    ------
    DataError
        No interaction is left.
    """
    steps = list(steps)
    entries = apply_rules(
        entries,
        steps,
        duplicates=duplicates,
        min_item_users=min_item_users,
        min_user_items=min_user_items,
        k_core=k_core,
    )
    return replace(matrix_of(entries).without_unused(), report=tuple(steps))


def matrix_of(entries: Entries) -> Interactions:
    """The matrix of rows without duplicates, over all users and items."""
    values = entries.value if entries.keep_value else None
    if values is not None and entries.logarithm:
        values = np.log1p(values)
    return Interactions.from_codes(
        entries.users,
        entries.items,
        entries.user,
        entries.item,
        values=values,
        times=entries.time,
        rows=entries.row,
    )


class Rows(Protocol):
    """What `apply_rules` asks of the rows of a log, which may be here or on many machines."""

    @property
    def name(self) -> str:
        """Name of the log, for error messages."""

    def __len__(self) -> int:
        """Number of rows."""

    def item_counts(self) -> Long:
        """Rows of each item."""

    def without_duplicates(self, rule: Duplicates) -> tuple[Self, bool]:
        """One row for each user and item, and whether there were several."""

    def without(self, items: Bool | None, least: int) -> Self:
        """Leave out the rows of some items, and those of users with fewer rows than `least`.

        A user's rows are counted before those of the items are left out.

        Parameters
        ----------
        items : (n_items,) bool or None
            True for items to leave out.
        least : int
        """


AnyRows = TypeVar("AnyRows", bound=Rows)


def apply_rules(
    rows: AnyRows,
    steps: list[PreparationStep],
    *,
    duplicates: Duplicates = "last",
    min_item_users: int = 0,
    min_user_items: int = 0,
    k_core: int = 0,
) -> AnyRows:
    """Resolve duplicates and filter; each step that is done is added to `steps`.

    Raises
    ------
    DataError
        No row is left.
    """
    n_before = len(rows)
    rows, several = rows.without_duplicates(duplicates)
    if several:
        added = duplicates == "sum"
        why = "values of the same user and item added" if added else f"all but the {duplicates}"
        steps.append(PreparationStep("duplicates", n_before, len(rows), why))
    if min_item_users > 1:
        n_before, few = len(rows), rows.item_counts() < min_item_users
        rows = rows.without(few, 0)
        why = f"of items with < {min_item_users} users"
        steps.append(PreparationStep("items", n_before, len(rows), why))
    if min_user_items > 1:
        n_before = len(rows)
        rows = rows.without(None, min_user_items)
        why = f"of users with < {min_user_items} items"
        steps.append(PreparationStep("users", n_before, len(rows), why))
    if k_core > 1:
        rows = _core(rows, k_core, steps)
    if len(rows) == 0:
        what = "; ".join(map(str, steps)) or "the log is empty"
        raise NoRowsError(f"{rows.name}: no interaction is left ({what}). Loosen the filters")
    return rows


def _core(rows: AnyRows, k: int, steps: list[PreparationStep]) -> AnyRows:
    """Leave out users and items with fewer than k rows, until there are none."""
    n_before, n_rounds = len(rows), 0
    while True:
        remaining = rows.without(rows.item_counts() < k, k)
        if len(remaining) == len(rows):
            break
        rows = remaining
        n_rounds += 1
    why = f"users or items with < {k}, in {n_rounds} round{'s' * (n_rounds != 1)}"
    steps.append(PreparationStep(f"{k}-core", n_before, len(rows), why))
    return rows


def _without_duplicates(entries: Entries, rule: Duplicates) -> tuple[Entries, bool]:
    """Keep one row per user and item, chosen by its time and value, never by its place."""
    by_pair = order.order_by_pair(
        entries.user, entries.item, len(entries.users), len(entries.items)
    )
    if by_pair is not None:
        entries = entries.take(by_pair)
    user, item = entries.user, entries.item
    same = np.zeros(len(entries), np.bool_)
    same[1:] = (user[1:] == user[:-1]) & (item[1:] == item[:-1])
    if not same.any():
        return entries, False
    group = np.cumsum(~same) - 1
    value = entries.value if entries.value is not None else np.zeros(len(entries), np.float32)
    time = entries.time if entries.time is not None else np.zeros(len(entries), np.int64)
    row = entries.row if entries.row is not None else np.zeros(len(entries), np.int64)
    # the last of each group by (time, value); "first" takes the other end
    ranked = np.lexsort((row, value, time, group))
    starts = np.flatnonzero(~same)
    ends = np.append(starts[1:], len(entries)) - 1
    remaining = entries.take(ranked[starts if rule == "first" else ends])
    if rule == "sum" and entries.value is not None:
        # summed in sorted order, so that the rounding is the same for any order of rows
        total = np.add.reduceat(entries.value[ranked].astype(np.float64), starts)
        remaining = replace(remaining, value=total.astype(np.float32))
    return remaining, True
