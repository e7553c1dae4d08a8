"""What is written: the rows of calls, the deletion of a user, the removal of old rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from shoal.errors import EventError
from shoal.events.checks import user_hash
from shoal.events.event import Receipt, Row
from shoal.events.schema import calls, deleted_users, events, lists, promotions
from shoal.events.writer import Job

PRUNED = 10_000  # rows that one transaction removes at most
_ASKED = 500  # values of one IN (…)
KEPT_KEYS = 30 * 86_400.0  # seconds for which the key of a call is kept at least


def store(connection: Connection, jobs: Sequence[Job]) -> None:
    """Write the rows of several calls, and put a receipt or an error into each."""
    plain: list[Row] = []
    for job in jobs:
        if job.key is not None and not _is_new(connection, job):
            continue
        rows, shown = _without_deleted(connection, job.events, job.lists)
        n_deleted_lists = len(job.lists) - len(shown)
        n_deleted = len(job.events) - len(rows) + n_deleted_lists
        if any(row["event_key"] is not None for row in rows):
            _insert(connection, plain)  # rows stay in the order in which they came
            accepted = _insert_new(connection, events, rows)
        else:
            plain += rows
            accepted = len(rows)
        n_lists = _insert_new(connection, lists, shown) if shown else 0
        accepted += n_lists
        n_rows = len(rows) + len(shown)
        job.result = Receipt(accepted, n_rows - accepted, n_deleted, n_lists, n_deleted_lists)
    _insert(connection, plain)


def _insert(connection: Connection, rows: list[Row]) -> None:
    """Insert events without ids of their own, and empty the list."""
    if rows:
        connection.execute(insert(events), rows)
        rows.clear()


def _is_new(connection: Connection, job: Job) -> bool:
    """Whether the key of a call was not seen before; if so it is now, and the job is answered."""
    row = {"key": job.key, "digest": job.digest, "time": time.time()}
    if _insert_new(connection, calls, [row]):
        return True
    known = connection.execute(select(calls.c.digest).where(calls.c.key == job.key)).scalar()
    if known == job.digest:
        job.result = Receipt(0, job.size)
    else:
        job.error = EventError(
            f"the key {job.key!r} was used before for other events: give each call a key of its own"
        )
    return False


def _insert_new(connection: Connection, table: Table, rows: list[Row]) -> int:
    """Insert rows unless a unique column has their value already; returns how many are new."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).on_conflict_do_nothing()
    done = connection.execute(statement, rows, execution_options={"preserve_rowcount": True})
    return int(done.rowcount)


def _without_deleted(
    connection: Connection, rows: list[Row], shown: list[Row]
) -> tuple[list[Row], list[Row]]:
    """Events and lists but those of deleted users from before their deletion.

    Only events that say an earlier time than that at which they come can be; of lists it is not
    kept when they came, so all that name their user are looked at.
    """
    users = {row["user_id"] for row in rows if row["time"] < row["received"]}
    users |= {row["user_id"] for row in shown if row["user_id"] is not None}
    times = deletion_times(connection, users) if users else {}
    if not times:
        return rows, shown

    def stays(row: Row) -> bool:
        return bool(row["time"] > times.get(row["user_id"], -1.0))

    return [row for row in rows if stays(row)], [row for row in shown if stays(row)]


def deletion_times(connection: Connection, users: Iterable[str]) -> dict[str, float]:
    """When users were deleted, for those that were."""
    if connection.execute(select(deleted_users.c.time).limit(1)).first() is None:
        return {}
    by_hash = {user_hash(user): user for user in users}
    found: dict[str, float] = {}
    for some in _in_parts(list(by_hash)):
        query = select(deleted_users).where(deleted_users.c.user_hash.in_(some))
        for hashed, moment in connection.execute(query):
            found[by_hash[hashed]] = moment
    return found


def _in_parts(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _ASKED):
        yield values[start : start + _ASKED]


def delete_user(connection: Connection, user: str) -> int:
    """Remove all rows of a user, and note by its hash that and when this was done.

    Returns
    -------
    int
        How many events were removed.
    """
    # the lists first, since those that were shown without a name are known by the events
    requests = select(events.c.request_id).where(
        events.c.user_id == user, events.c.request_id.is_not(None)
    )
    connection.execute(
        delete(lists).where(
            (lists.c.user_id == user)
            | (lists.c.user_id.is_(None) & lists.c.request_id.in_(requests))
        )
    )
    n_removed = connection.execute(delete(events).where(events.c.user_id == user)).rowcount
    hashed = user_hash(user)
    connection.execute(delete(deleted_users).where(deleted_users.c.user_hash == hashed))
    connection.execute(insert(deleted_users).values(user_hash=hashed, time=time.time()))
    return int(n_removed)


def promote(connection: Connection, experiment: str, variant: str | None) -> None:
    """Note which variant of an experiment everybody gets from now on, or none; once if repeated."""
    newest = select(promotions.c.variant).where(promotions.c.experiment == experiment)
    decided = connection.execute(newest.order_by(promotions.c.id.desc()).limit(1)).scalar()
    if decided != variant:
        row = {"experiment": experiment, "variant": variant, "time": time.time()}
        connection.execute(insert(promotions).values(**row))


def prune_some(connection: Connection, before: float) -> tuple[int, bool]:
    """Remove some of the rows that are older.

    Returns
    -------
    n_events : int
        How many events were removed.
    more : bool
        Whether more may be left.
    """
    keys_before = min(before, time.time() - KEPT_KEYS)
    n_events, more = 0, False
    for table, column, limit in (
        (events, events.c.id, before),
        (lists, lists.c.id, before),
        (calls, calls.c.key, keys_before),
    ):
        some = select(column).where(table.c.time < bindparam("limit")).limit(PRUNED)
        statement = delete(table).where(column.in_(some))
        n_rows = int(connection.execute(statement, {"limit": limit}).rowcount)
        more |= n_rows == PRUNED
        if table is events:
            n_events = n_rows
    return n_events, more
