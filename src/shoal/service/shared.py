"""`Service`: what all routes share: settings, keys, threads, the live model, events and metrics."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING

from shoal.service import logs, siblings
from shoal.service.live import LiveModel, Served, Trouble
from shoal.service.metrics import Metrics
from shoal.service.pool import Pool
from shoal.service.rates import RateLimit
from shoal.service.recent import RecentHour
from shoal.service.refreshing import Refreshing
from shoal.service.security import check_address, keys_of
from shoal.service.settings import Settings
from shoal.service.stored import StoredHistories
from shoal.service.texts import NewItemTexts

if TYPE_CHECKING:
    from shoal.events import EventStore

_WAITING_THREADS = 16  # that wait for disks and databases, and do not compute
_SWITCH_SECONDS = 0.0001  # for which a thread may hold Python's lock while others wait for it


class Service:
    """What all routes share.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = keys_of(settings)
        check_address(settings, self.keys)
        self.metrics = Metrics()
        self.recent = RecentHour(self.metrics, siblings.shared_folder())
        self.pool = Pool(settings.threads_of_worker, settings.queue)
        self.waiting_pool = Pool(_WAITING_THREADS, settings.queue, "wait")
        self.live = LiveModel(
            settings.model,
            settings.poll_seconds,
            settings.memory,
            self._swapped,
            self._troubled,
        )
        self.models = {"main": self.live}
        rate = settings.rate_limit
        self.rate_limit = None if rate is None else RateLimit(rate, settings.rate_burst)
        self.open_paths: set[tuple[str, str]] = set()
        self._salt = os.urandom(16)
        self._events = open_events(settings)
        # of users whose events are stored
        self.histories = None if self._events is None else StoredHistories(self._events)
        vectors = settings.texts
        self.texts = None if vectors is None else NewItemTexts(vectors, settings.embedder)
        config = settings.refresh
        self.refreshing = None if config is None else Refreshing(config, self.live.look_now)

    @property
    def events(self) -> EventStore | None:
        """The store of events, or None without one."""
        return self._events

    def name_of_key(self, key: bytes) -> str:
        """A name for a key that tells keys apart and says nothing about them."""
        return hashlib.sha256(self._salt + key).hexdigest()[:16]

    def start(self) -> None:
        """Start threads, open the store of events and begin to load the model."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        logs.set_level(self.settings.log_level)
        self.recent.start()
        self.pool.start()
        self.waiting_pool.start()
        self.live.start()

    def stop(self) -> None:
        """Stop what `start` has started."""
        self.live.stop()
        self.recent.stop()
        self.pool.stop()
        self.waiting_pool.stop()
        if self.refreshing is not None:
            self.refreshing.close()
        if self._events is not None:
            self._events.close()

    def _swapped(self, served: Served) -> None:
        self.metrics.serves(served.name, served.version, served.loaded)
        self.recent.note_load("main", served.name, served.version, served.loaded)
        siblings.tell(served.version)

    def _troubled(self, trouble: Trouble | None) -> None:
        self.metrics.degraded.set(trouble is not None)
        if trouble is not None:
            self.metrics.failures.inc()


def open_events(settings: Settings) -> EventStore | None:
    """The store of events that is configured; the database may be down at this moment.

    Raises
    ------
    ShoalError
        A setting of it is wrong, or the driver of the database is not installed.
    """
    if settings.events is None:
        return None
    from shoal.events import EventStore

    return EventStore(
        settings.events,
        weights=settings.event_weights,
        retention_days=settings.retention_days,
        connect=False,
    )
