"""Reading what is stored of a user, without waiting again and again for a database that is down."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.errors import EventsUnavailable
from shoal.service.logs import log
from shoal.service.watch import Watch

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
    every : float
        Seconds between two looks whether the database can be read, once `start` was called.
    """

    def __init__(
        self,
        events: EventStore,
        clock: Callable[[], float] = time.monotonic,
        every: float = PAUSE,
    ) -> None:
        self._events, self._clock = events, clock
        self._again = 0.0  # when the database is asked again
        self._why = ""
        self.unreadable = ""  # why the database cannot be read; empty if it can
        self._watch = Watch("events-watch", self.look, every)

    def start(self) -> None:
        """Begin to look, every few seconds, whether the database can be read."""
        self._watch.start()

    def stop(self) -> None:
        """Look no more."""
        self._watch.stop(timeout=1.0)

    def look(self) -> None:
        """Look whether the database can be read; until the next look, requests need not find out.

        What cannot be read is told in `unreadable`.
        """
        try:
            self._events.history("-", limit=1)  # whoever that is: the table itself is read
        except EventsUnavailable as error:
            self._failed(error)
        else:
            self.unreadable = ""

    def _failed(self, error: EventsUnavailable) -> None:
        self._again, self._why = self._clock() + PAUSE, str(error)
        if not self.unreadable:
            log("error", "the stored events cannot be read", reason=self._why)
        self.unreadable = self._why

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
            history = self._events.history(user, limit=limit)
        except EventsUnavailable as error:
            self._failed(error)
            raise
        self.unreadable = ""
        return history
