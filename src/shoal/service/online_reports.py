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
from shoal.service.settings import Settings

if TYPE_CHECKING:
    from shoal.events import EventStore
    from shoal.online.results import OnlineReport

KEPT_SECONDS = 5.0  # for which a report answers
_MOST = 8  # time windows whose reports are kept


class OnlineReports:
    """Makes reports, which read all lists of an experiment, one at a time.

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
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Any, Any], tuple[float, OnlineReport]] = OrderedDict()

    def report(self, since: Any = None, until: Any = None) -> OnlineReport:
        """The report of the lists that were shown with since ≤ time < until.

        Raises
        ------
        ShoalError
            A time that is none, or the database cannot be read.
        """
        from shoal.online.guards import training_users_of
        from shoal.online.report import report

        with self._lock:
            kept = self._kept.get((since, until))
            if kept is not None and self._clock() - kept[0] < KEPT_SECONDS:
                return kept[1]
            served = self._main.served
            users = None if served is None else served.cached("training users", training_users_of)
            made = report(
                self._events, self._experiment, training_users=users, since=since, until=until
            )
            self._kept[since, until] = self._clock(), made
            self._kept.move_to_end((since, until))
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
            return made

    def forget(self) -> None:
        """Make the next report anew."""
        with self._lock:
            self._kept.clear()


def store_of_main(settings: Settings) -> Store | None:
    """The store of versions that the main model comes from; None for a model folder."""
    return Store(settings.model) if is_store(settings.model) else None
