"""Duplicates, one-pass filters and k-cores, each counted and reported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.report import PreparationStep
from shoal.errors import DataError
from shoal.kernels import order
from shoal.kernels.arrays import Bool, Float, Int, Long

Duplicates = Literal["last", "first", "sum"]


@dataclass(frozen=True)
class Entries:
    """Rows of a log after encoding, before duplicates are resolved; all arrays have (rows,)."""

    user: Int
    users: Ids
    item: Int
    items: Ids
    value: Float | None
    time: NDArray[Any] | None
    row: Long | None
    keep_value: bool
    name: str

    def __len__(self) -> int:
        return len(self.user)

    def at(self, which: NDArray[Any]) -> Entries:
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
        What was done before; the steps done here are appended.
    duplicates, min_item_users, min_user_items, k_core
        See `shoal.read`.

    Returns
    -------
    Interactions
        Over the users and items that are left.

    Raises
    ------
    DataError
        Nothing is left, or one user or one item only.
    """
    steps = list(steps)
    entries = _without_duplicates(entries, duplicates, steps)
    if min_item_users > 1:
        few = np.bincount(entries.item, minlength=len(entries.items)) < min_item_users
        entries = _drop(
            entries, few[entries.item], steps, "items", f"of items with < {min_item_users} users"
        )
    if min_user_items > 1:
        few = np.bincount(entries.user, minlength=len(entries.users)) < min_user_items
        entries = _drop(
            entries, few[entries.user], steps, "users", f"of users with < {min_user_items} items"
        )
    if k_core > 1:
        entries = _core(entries, k_core, steps)
    if len(entries) == 0:
        what = "; ".join(map(str, steps)) or "the log is empty"
        raise DataError(f"{entries.name}: no interaction is left ({what}). Loosen the filters")
    interactions = Interactions.from_codes(
        entries.users,
        entries.items,
        entries.user,
        entries.item,
        values=entries.value if entries.keep_value else None,
        times=entries.time,
        rows=entries.row,
    ).without_unused()
    for what, count in (("user", interactions.n_users), ("item", interactions.n_items)):
        if count == 1:
            raise DataError(
                f"{entries.name}: one {what} only is left; a recommender needs several. "
                f"Is column {what!r} the right one?"
            )
    return replace(interactions, report=tuple(steps))


def _drop(
    entries: Entries, drop: Bool, steps: list[PreparationStep], name: str, why: str
) -> Entries:
    kept = entries.at(~drop)
    steps.append(PreparationStep(name, len(entries), len(kept), why))
    return kept


def _core(entries: Entries, k: int, steps: list[PreparationStep]) -> Entries:
    before = len(entries)
    rounds = 0
    while True:
        few_users = np.bincount(entries.user, minlength=len(entries.users)) < k
        few_items = np.bincount(entries.item, minlength=len(entries.items)) < k
        drop = few_users[entries.user] | few_items[entries.item]
        if not drop.any():
            break
        entries = entries.at(~drop)
        rounds += 1
    why = f"users or items with < {k}, in {rounds} round{'s' * (rounds != 1)}"
    steps.append(PreparationStep(f"{k}-core", before, len(entries), why))
    return entries


def _without_duplicates(
    entries: Entries, rule: Duplicates, steps: list[PreparationStep]
) -> Entries:
    """One row per pair, chosen by what the rows say and never by where they stand."""
    at = order.order_by_pair(entries.user, entries.item, len(entries.users), len(entries.items))
    if at is not None:
        entries = entries.at(at)
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
    kept = entries.at(ranked[starts if rule == "first" else ends])
    if rule == "sum" and entries.value is not None:
        # summed in sorted order, so that the rounding is the same for any order of rows
        total = np.add.reduceat(entries.value[ranked].astype(np.float64), starts)
        kept = replace(kept, value=total.astype(np.float32))
    why = "values of the same user and item added" if rule == "sum" else f"all but the {rule}"
    steps.append(PreparationStep("duplicates", len(entries), len(kept), why))
    return kept
