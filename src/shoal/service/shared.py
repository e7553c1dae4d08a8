"""`Service`: what all routes share: settings, keys, threads, the live model, events and metrics."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.service import logs, siblings
from shoal.service.experiment import RunningExperiment, configured_experiment
from shoal.service.item_maps import ItemMaps
from shoal.service.live import LiveModel, Served, Trouble
from shoal.service.metrics import Metrics
from shoal.service.online_reports import OnlineReports
from shoal.service.pool import Pool
from shoal.service.rates import RateLimit
from shoal.service.recent import RecentHour
from shoal.service.refreshing import Refreshing
from shoal.service.security import check_address, keys_of
from shoal.service.settings import MAIN, Settings
from shoal.service.steering import Steering
from shoal.service.stored import StoredHistories
from shoal.service.texts import NewItemTexts

if TYPE_CHECKING:
    from shoal.events import EventStore
    from shoal.online import Variant

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
        self._loading: set[str] = set()  # names of models of which no first look has ended
        # those that requests can name, the main one first
        self.models = {MAIN: self._watch(MAIN, settings.model)}
        for name, path in settings.also.items():
            self.models[name] = self._watch(name, path)
        self.live = self.models[MAIN]
        self._versions: dict[str, LiveModel] = {}  # those that variants of an experiment name
        self.item_maps = ItemMaps(settings.memory)
        rate = settings.rate_limit
        self.rate_limit = None if rate is None else RateLimit(rate, settings.rate_burst)
        self.open_paths: set[tuple[str, str]] = set()
        self._salt = os.urandom(16)
        self._events = open_events(settings)
        # of users whose events are stored
        self.histories = None if self._events is None else StoredHistories(self._events)
        self.steering = Steering(self._events)
        definition = configured_experiment(settings)
        self.experiment = (
            None
            if definition is None
            else RunningExperiment(definition, self._live_of_variant, self._events, self.steering)
        )
        self.reports = (  # of that experiment
            None
            if definition is None or self._events is None
            else OnlineReports(definition, self._events, self.live)
        )
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
        for live in self.all_models():
            live.start()
        if self.histories is not None:
            self.histories.start()
        if self.experiment is not None:
            self.experiment.start()

    def wait_for_models(self) -> None:
        """Wait until each model is loaded or could not be, and what was promoted is known."""
        for live in self.all_models():
            live.first_look.wait()
        if self.experiment is not None:
            self.experiment.first_look.wait()

    def stop(self) -> None:
        """Stop what `start` has started."""
        if self.experiment is not None:
            self.experiment.stop()
        for live in self.all_models():
            live.stop()
        self.recent.stop()
        self.pool.stop()
        self.waiting_pool.stop()
        self.item_maps.stop()
        self.steering.stop()
        if self.histories is not None:
            self.histories.stop()
        if self.refreshing is not None:
            self.refreshing.close()
        if self._events is not None:
            self._events.close()

    def all_models(self) -> list[LiveModel]:
        """All that can answer: those that requests can name, and versions of variants."""
        return [*self.models.values(), *self._versions.values()]

    def _live_of_variant(self, variant: Variant) -> LiveModel:
        """The live model of a variant; a version of the store is watched like one."""
        version = variant.version
        if version is None:
            return self.models[variant.model or MAIN]
        if version not in self._versions:
            watched = self._watch(f"version:{version}", self.settings.model, version)
            self._versions[version] = watched
        return self._versions[version]

    def _watch(self, name: str, path: Path, version: str | None = None) -> LiveModel:
        """A live model of this service, which is started later."""
        self._loading.add(name)
        self.metrics.watches(name)
        return LiveModel(
            path,
            self.settings.poll_seconds,
            self.settings.memory,
            self._swapped,
            self._troubled,
            self._check_variants,
            name=name,
            version=version,
        )

    def _check_variants(self, live: LiveModel, served: Served) -> None:
        """Find out whether a version can answer for its variants, before requests would."""
        if self.experiment is not None:
            self.experiment.check(live, served)

    def _swapped(self, live: LiveModel, served: Served) -> None:
        self.metrics.serves(live.name, served.name, served.version, served.loaded)
        self.recent.note_load(live.name, served.name, served.version, served.loaded)
        self._has_looked(live.name)

    def _troubled(self, live: LiveModel, trouble: Trouble | None) -> None:
        self.metrics.degraded.labels(live.name).set(trouble is not None)
        if trouble is not None:
            self.metrics.failures.labels(live.name).inc()
            self._has_looked(live.name)

    def _has_looked(self, name: str) -> None:
        """Tell the other workers which version of the main model answers, once all are loaded."""
        self._loading.discard(name)
        main = self.live.served
        if main is not None and not self._loading:
            siblings.tell(main.version)


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
