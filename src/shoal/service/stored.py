"""Reading what is stored of a user, without waiting again and again for a database that is down."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.errors import EventsUnavailable
from shoal.service.logs import log

if TYPE_CHECKING:
    from shoal.events import EventStore

PAUSE = 5.0  # seconds for which a database that could not be read is not asked


class StoredHistories:
    """The histories of users by their stored events.

    A thread that ranks would wait for each answer of a database that is down, and soon all of them
    would. So after one failure, the others are told at once, for some seconds.

    Parameters
    ----------
    events : EventStore
    clock : callable
        Returns seconds that never go back.
    """

    def __init__(self, events: EventStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._events, self._clock = events, clock
        self._again = 0.0  # when the database is asked again
        self._why = ""

    def history(self, user: str, limit: int) -> dict[str, float]:
        """The latest items of a user and their weights, the oldest first; at most so many.

        Raises
        ------
        EventsUnavailable
            The database cannot be read, or could not some seconds ago.
        """
        if self._clock() < self._again:
            raise EventsUnavailable(self._why)
        try:
            return self._events.history(user, limit=limit)
        except EventsUnavailable as error:
            self._again, self._why = self._clock() + PAUSE, str(error)
            log("error", "the stored events cannot be read", reason=self._why)
            raise
