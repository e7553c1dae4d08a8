"""What users did, in a database: events, the lists that were shown, deletion, retention."""

from __future__ import annotations

from importlib.util import find_spec

from shoal.errors import EventError, EventsUnavailable, MissingExtraError

if find_spec("sqlalchemy") is None:
    raise MissingExtraError("events need a library that is not there: pip install 'shoal[serve]'")

from shoal.events.event import Clicks, Event, Receipt, ShownList, StoreFacts
from shoal.events.store import EventStore

__all__ = (
    "Clicks",
    "Event",
    "EventError",
    "EventStore",
    "EventsUnavailable",
    "Receipt",
    "ShownList",
    "StoreFacts",
)
