"""Reports of the experiment that runs, each made once for all who ask within some seconds."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shoal.artifact import Store, is_store
from shoal.online import Experiment
from shoal.service.live import LiveModel
from shoal.service.problems import Problem
from shoal.service.settings import Settings

if TYPE_CHECKING:
    from shoal.events import EventStore
    from shoal.online.results import OnlineReport

KEPT_SECONDS = 5.0  # for which a report answers at least
KEPT_FOR_EACH = 10.0  # seconds more for each second that it took to make
LONGEST_KEPT = 600.0
WAIT_SECONDS = 10.0  # for which a request waits for the report that is being made for another
MOST_WAITING = 4  # requests that wait for it; the threads are needed for others, too
_MOST = 8  # time windows whose reports are kept


class OnlineReports:
    """Makes reports, which read all lists of an experiment, one at a time.

    Who asks meanwhile gets the last report of the same time window, waits, or is told to ask again.

    Parameters
    ----------
    experiment : Experiment
    events : EventStore
    main : LiveModel
        The model whose training users tell how popular items are.
    clock : callable
        Returns seconds that never go back.
    """

    def __init__(
        self,
        experiment: Experiment,
        events: EventStore,
        main: LiveModel,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._experiment, self._events, self._main, self._clock = experiment, events, main, clock
        self._lock = threading.Lock()  # of what is kept; never held for long
        self._making = threading.Lock()  # by the thread that makes a report
        self._waiting = threading.Semaphore(MOST_WAITING)
        self._n_forgotten = 0
        # time window: until when the report answers, and the report
        self._kept: OrderedDict[tuple[Any, Any], tuple[float, OnlineReport]] = OrderedDict()

    def report(self, since: Any = None, until: Any = None) -> OnlineReport:
        """The report of the lists that were shown with since ≤ time < until.

        Raises
        ------
        ShoalError
            A time that is none, or the database cannot be read.
        Problem
            503: another report is being made, and none of this time window is there.
        """
        window = (since, until)
        fresh = self._fresh(window)
        if fresh is not None:
            return fresh
        if not self._making.acquire(blocking=False):
            with self._lock:
                old = self._kept.get(window)
            if old is not None:
                return old[1]
            self._wait_for_the_other()
        try:
            return self._fresh(window) or self._made(window)
        finally:
            self._making.release()

    def forget(self) -> None:
        """Make the next report anew."""
        with self._lock:
            self._n_forgotten += 1
            self._kept.clear()

    def _fresh(self, window: tuple[Any, Any]) -> OnlineReport | None:
        """The report of a time window, if it is new enough."""
        with self._lock:
            kept = self._kept.get(window)
            return kept[1] if kept is not None and self._clock() < kept[0] else None

    def _wait_for_the_other(self) -> None:
        """Wait until the report that is being made is there, and take its turn.

        Raises
        ------
        Problem
            503: others wait already, or it takes too long.
        """
        if self._waiting.acquire(blocking=False):
            try:
                if self._making.acquire(timeout=WAIT_SECONDS):
                    return
            finally:
                self._waiting.release()
        raise Problem(
            503,
            "another report of the experiment is being made: ask again in some seconds",
            headers={"Retry-After": "5"},
        )

    def _made(self, window: tuple[Any, Any]) -> OnlineReport:
        """Make a report, and keep it for the longer the longer that took."""
        from shoal.online.guards import training_users_of
        from shoal.online.report import report

        begin, n_forgotten = self._clock(), self._n_forgotten
        served = self._main.served
        users = None if served is None else served.cached("training users", training_users_of)
        since, until = window
        made = report(
            self._events, self._experiment, training_users=users, since=since, until=until
        )
        end = self._clock()
        kept_until = end + min(LONGEST_KEPT, KEPT_SECONDS + KEPT_FOR_EACH * (end - begin))
        with self._lock:
            if n_forgotten == self._n_forgotten:  # nothing was decided meanwhile
                self._kept[window] = kept_until, made
                self._kept.move_to_end(window)
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
        return made


def store_of_main(settings: Settings) -> Store | None:
    """The store of versions that the main model comes from; None for a model folder."""
    return Store(settings.model) if is_store(settings.model) else None
