"""Who was active lately."""

from __future__ import annotations

from sqlalchemy import func, select

from shoal.events.checks import checked_limit
from shoal.events.schema import events
from shoal.events.store import EventStore


def latest_users(store: EventStore, limit: int = 200, *, least_items: int = 1) -> list[str]:
    """The users with the newest events, of those with events on enough items.

    Parameters
    ----------
    store : EventStore
    limit : int
        How many users at most.
    least_items : int
        Different items that a user has events on.

    Raises
    ------
    EventsUnavailable
        The database cannot be read.
    """
    user = events.c.user_id
    query = (
        select(user)
        .group_by(user)
        .having(func.count(events.c.item_id.distinct()) >= checked_limit(least_items))
        .order_by(func.max(events.c.time).desc(), user)
        .limit(checked_limit(limit))
    )
    with store._opened().read() as connection:
        return [str(name) for name in connection.execute(query).scalars()]
