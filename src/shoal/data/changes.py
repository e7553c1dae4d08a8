"""What has changed between two states of a log: the rows of the users who differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shoal.data.align import table_of_items
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.prepare import Duplicates, Entries, prepare_entries
from shoal.kernels.arrays import Bool, Long


def changed_users(before: Interactions, after: Interactions) -> tuple[Interactions, Interactions]:
    """The rows of the users who differ between two states of a log.

    Parameters
    ----------
    before, after : Interactions
        The log as it was and as it is.

    Returns
    -------
    before : Interactions
        The users who have other rows in `after`, or none, with their rows as they were.
    after : Interactions
        The users who have other rows in `before`, or none, with their rows as they are. Both are
        over the items of both.
    """
    items = before.items
    if before.items != after.items:
        items = Ids.union(before.items, after.items)
        before, after = before.onto_items(items), after.onto_items(items)
    rows = before.users.match(after.users)  # of each user of `after` in `before`
    same = rows >= 0
    same[same] = _equal_rows(before, rows[same], after, np.flatnonzero(same))
    differs = np.ones(before.n_users, np.bool_)
    differs[rows[same]] = False
    return before.take_users(np.flatnonzero(differs)), after.take_users(np.flatnonzero(~same))


def _equal_rows(
    a: Interactions, a_rows: NDArray[np.integer], b: Interactions, b_rows: NDArray[np.integer]
) -> Bool:
    """Whether row a_rows[q] of `a` equals row b_rows[q] of `b`, for each q."""
    lengths = np.diff(a.indptr)[a_rows]
    equal: Bool = lengths == np.diff(b.indptr)[b_rows]
    chosen = np.flatnonzero(equal)
    lengths = lengths[chosen]
    places = [_entries(log, rows[chosen], lengths) for log, rows in ((a, a_rows), (b, b_rows))]
    differs = a.indices[places[0]] != b.indices[places[1]]
    if a.values is not None or b.values is not None:
        differs |= a.arrays[2][places[0]] != b.arrays[2][places[1]]
    row = np.repeat(np.arange(chosen.size), lengths)
    equal[chosen] = np.bincount(row[differs], minlength=chosen.size) == 0
    return equal


def _entries(log: Interactions, rows: NDArray[np.integer], lengths: Long) -> Long:
    """The positions of all entries of some rows, row after row."""
    ends = np.cumsum(lengths)
    begins = log.indptr[rows] - (ends - lengths)
    entries: Long = np.repeat(begins, lengths) + np.arange(int(lengths.sum()))
    return entries


def with_new_rows(
    before: Interactions, new: Interactions, duplicates: Duplicates = "last"
) -> Interactions:
    """The rows of some users after new ones were added to those that they had.

    It is the log that reading both together gives, for the users of `new`.

    Parameters
    ----------
    before : Interactions
        Rows that were there before; other users in it are left out.
    new : Interactions
    duplicates : {"last", "first", "sum"}
        What to do with an item that a user had already: see `shoal.read`.
    """
    users, items = new.users, Ids.union(before.items, new.items)
    rows = before.users.match(users)
    before = before.take_users(rows[rows >= 0])
    valued = before.values is not None or new.values is not None
    counts = valued and "log1p" in (p.get("values") for p in (before.preparation, new.preparation))
    logs = (before, new)
    values = np.concatenate([log.arrays[2] for log in logs])
    times = [log.times for log in logs if log.times is not None]
    entries = Entries(
        user=np.concatenate([users.match(log.users)[log.user_codes] for log in logs]),
        users=users,
        item=np.concatenate([items.match(log.items)[log.indices] for log in logs]),
        items=items,
        value=np.expm1(values) if counts else values,
        time=np.concatenate(times) if len(times) == len(logs) else None,
        row=None,
        keep_value=valued,
        name="the rows before and the new ones",
        logarithm=counts,
    )
    merged = prepare_entries(entries, [], duplicates=duplicates)
    table = new.item_table
    if table is not None:
        table = table_of_items(merged.items, table)[0]
    return replace(merged, preparation=new.preparation, item_table=table)
