"""Who was active lately."""

from __future__ import annotations

from itertools import islice

from sqlalchemy import Connection, func, select

from shoal.events.checks import checked_limit
from shoal.events.schema import events
from shoal.events.store import EventStore

NEWEST_EVENTS = 20_000  # whose users are looked at, however many events there are


def latest_users(store: EventStore, limit: int = 200, *, least_items: int = 1) -> list[str]:
    """The users with the newest events, of those with events on enough items.

    Only the users of the newest 20,000 events are looked at.

    Parameters
    ----------
    store : EventStore
    limit : int
        How many users at most.
    least_items : int
        Different items that a user has events on, whenever they came.

    Raises
    ------
    EventsUnavailable
        The database cannot be read.
    """
    limit, least_items = checked_limit(limit), checked_limit(least_items)
    newest = (
        select(events.c.user_id, events.c.time)
        .order_by(events.c.time.desc())
        .limit(NEWEST_EVENTS)
        .subquery()
    )
    user = newest.c.user_id
    query = select(user).group_by(user).order_by(func.max(newest.c.time).desc(), user)
    with store._opened().read() as connection:
        names = [str(name) for name in connection.execute(query).scalars()]
        with_enough = (name for name in names if _has_items(connection, name, least_items))
        return list(islice(with_enough, limit))


def _has_items(connection: Connection, user: str, n: int) -> bool:
    """Whether a user has events on n different items; no more of them are read."""
    query = select(events.c.item_id).where(events.c.user_id == user).distinct().limit(n)
    return len(connection.execute(query).all()) == n
