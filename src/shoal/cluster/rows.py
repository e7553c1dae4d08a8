"""Rows of a log on many machines, to which the rules of `shoal.data.prepare` are applied.

All rows of a user are on one machine, so duplicates and the items of a user are counted there. How
many rows an item has is added up over all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from shoal.cluster.reducing import added, reduced
from shoal.cluster.sharded import Shard, ShardSize
from shoal.data.ids import Ids, text_to_numbers
from shoal.data.prepare import Duplicates, Entries, matrix_of
from shoal.executor import Executor, Handle
from shoal.kernels.arrays import Bool, Int, Long


@dataclass(frozen=True)
class Agreed:
    """What the parts of a log have agreed on about the types of their columns.

    Parameters
    ----------
    user_numbers, item_numbers : bool
        Whether ids that were read as text are whole numbers throughout.
    whole_times : bool
        Whether all times are whole numbers.
    """

    user_numbers: bool
    item_numbers: bool
    whole_times: bool


@dataclass(frozen=True)
class RowsElsewhere:
    """Rows behind handles, as `shoal.data.prepare.Rows` has them.

    Parameters
    ----------
    executor : Executor
    parts : sequence of Handle
        Each stands for `Entries` whose items are numbers of the whole log.
    n_rows : int
        Of all parts.
    counts : (n_items,) int64
        Rows of each item.
    name : str
        Of the log, for error messages.
    """

    executor: Executor
    parts: Sequence[Handle]
    n_rows: int
    counts: Long
    name: str

    def __len__(self) -> int:
        return self.n_rows

    def item_counts(self) -> Long:
        """Rows of each item, (n_items,)."""
        return self.counts

    def without_duplicates(self, rule: Duplicates) -> tuple[RowsElsewhere, bool]:
        """One row for each user and item, and whether there were several."""
        remaining = self._changed(_without_duplicates, rule)
        return remaining, len(remaining) < len(self)

    def without(self, items: Bool | None, least: int) -> RowsElsewhere:
        """Leave out rows as `Rows.without` says."""
        if (items is None or not items.any()) and least < 2:
            return self
        return self._changed(_without, self.executor.put(items), least)

    def _changed(self, function: Any, *arguments: Any) -> RowsElsewhere:
        """The rows that a function leaves of each part."""
        tasks = [
            self.executor.submit(function, part, *arguments, n_results=3) for part in self.parts
        ]
        return collected(self.executor, tasks, self.name)


def collected(executor: Executor, tasks: Sequence[Sequence[Handle]], name: str) -> RowsElsewhere:
    """The rows that tasks leave; each gives `Entries`, the number of rows, and rows per item."""
    counts = executor.get(reduced(executor, added, [task[2] for task in tasks]))
    n_rows = sum(executor.get(task[1]) for task in tasks)
    return RowsElsewhere(executor, [task[0] for task in tasks], n_rows, counts, name)


def settled(entries: Entries, agreed: Agreed, items: Ids) -> tuple[Entries, int, Long]:
    """Give the rows of a part the types that all parts have, and its items their final numbers.

    Parameters
    ----------
    entries : Entries
        With ids and times as they were found in the part.
    agreed : Agreed
    items : Ids
        Of the whole log.

    Returns
    -------
    entries : Entries
        Its items stand for positions in `items`.
    n_rows : int
    counts : (n_items,) int64
    """
    user, users, item, own = entries.user, entries.users, entries.item, entries.items
    if agreed.user_numbers:
        user, users = _as_numbers(user, users)
    if agreed.item_numbers:
        item, own = _as_numbers(item, own)
    time = entries.time
    if time is not None and not agreed.whole_times:
        time = time.astype(np.float64)
    positions = items.match(own)
    return _measured(
        replace(
            entries,
            user=user,
            users=users,
            item=positions[item],
            items=_positions(len(items)),
            time=time,
        )
    )


class AboutShard(NamedTuple):
    """What is known of a shard where its rows are not.

    Parameters
    ----------
    size : ShardSize
    values : bool
        Whether interactions have values.
    latest_time : float or None
        The newest of its times, if it has any.
    digest : str
        sha256 of what a model is fitted to.
    """

    size: ShardSize
    values: bool
    latest_time: float | None
    digest: str


def as_shard(entries: Entries, places: Int) -> tuple[Shard, AboutShard]:
    """The matrix of the rows that are left, without users that have none.

    Parameters
    ----------
    entries : Entries
    places : (number of items before,) int32
        The place of each item among those that are left, in the same order.
    """
    log = matrix_of(entries)
    log = log.take_users(np.flatnonzero(np.diff(log.indptr)))
    shard = Shard(log.indptr, places[log.indices], log.values, log.times, log.users)
    digest = hashlib.sha256()
    for begin in range(0, log.n_users, 100_000):
        some = log.users.series.slice(begin, 100_000).to_list()
        digest.update("".join(f"{user}\n" for user in some).encode())
    for array in (shard.indptr, shard.indices, shard.values):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    about = AboutShard(
        ShardSize.of(shard), shard.values is not None, log.latest_time, digest.hexdigest()
    )
    return shard, about


def _without_duplicates(entries: Entries, rule: Duplicates) -> tuple[Entries, int, Long]:
    return _measured(entries.without_duplicates(rule)[0])


def _without(entries: Entries, items: Bool | None, least: int) -> tuple[Entries, int, Long]:
    return _measured(entries.without(items, least))


def _measured(entries: Entries) -> tuple[Entries, int, Long]:
    return entries, len(entries), entries.item_counts()


def _as_numbers(codes: Int, ids: Ids) -> tuple[Int, Ids]:
    """Text ids as the numbers that they are."""
    numbers = text_to_numbers(ids)
    if numbers is None:  # a part without rows
        return codes, Ids(pl.Series([], dtype=pl.Int64), "int")
    places, ids = numbers
    return places[codes], ids


def _positions(n: int) -> Ids:
    """The numbers below n in place of ids that are not needed."""
    return Ids(pl.int_range(n, eager=True), "int")
