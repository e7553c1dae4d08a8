"""Duplicates, one-pass filters and k-cores, each counted and reported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

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
    entries = _without_duplicates(entries, duplicates, steps)
    if min_item_users > 1:
        why = f"of items with < {min_item_users} users"
        few = _fewer_than(min_item_users, entries.item, len(entries.items))
        entries = _drop(entries, few, steps, "items", why)
    if min_user_items > 1:
        why = f"of users with < {min_user_items} items"
        few = _fewer_than(min_user_items, entries.user, len(entries.users))
        entries = _drop(entries, few, steps, "users", why)
    if k_core > 1:
        entries = _core(entries, k_core, steps)
    return replace(_matrix(entries, steps), report=tuple(steps))


def _matrix(entries: Entries, steps: list[PreparationStep]) -> Interactions:
    """The matrix of what is left, if anything is."""
    if len(entries) == 0:
        what = "; ".join(map(str, steps)) or "the log is empty"
        raise NoRowsError(f"{entries.name}: no interaction is left ({what}). Loosen the filters")
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
    ).without_unused()


def _fewer_than(least: int, codes: Int, n: int) -> Bool:
    """Whether the user (or item) of each row, of which there are n, has fewer rows than `least`."""
    return (np.bincount(codes, minlength=n) < least)[codes]


def _drop(
    entries: Entries, drop: Bool, steps: list[PreparationStep], name: str, why: str
) -> Entries:
    """Leave out the rows where `drop` holds, and report it."""
    remaining = entries.take(~drop)
    steps.append(PreparationStep(name, len(entries), len(remaining), why))
    return remaining


def _core(entries: Entries, k: int, steps: list[PreparationStep]) -> Entries:
    """Leave out users and items with fewer than k rows, until there are none."""
    n_before, n_rounds = len(entries), 0
    while True:
        drop = _fewer_than(k, entries.user, len(entries.users))
        drop |= _fewer_than(k, entries.item, len(entries.items))
        if not drop.any():
            break
        entries = entries.take(~drop)
        n_rounds += 1
    why = f"users or items with < {k}, in {n_rounds} round{'s' * (n_rounds != 1)}"
    steps.append(PreparationStep(f"{k}-core", n_before, len(entries), why))
    return entries


def _without_duplicates(
    entries: Entries, rule: Duplicates, steps: list[PreparationStep]
) -> Entries:
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
        return entries
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
    why = "values of the same user and item added" if rule == "sum" else f"all but the {rule}"
    steps.append(PreparationStep("duplicates", len(entries), len(remaining), why))
    return remaining
