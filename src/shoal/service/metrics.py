"""Numbers for Prometheus, of one process or of all workers together.

With several workers, prometheus_client keeps its numbers in files of a folder that the supervisor
names in PROMETHEUS_MULTIPROC_DIR; whichever worker is asked adds them up, also those of workers
that have ended.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
SEVERAL = "PROMETHEUS_MULTIPROC_DIR"
# what stands for the route of requests without a key, or to addresses that there are none of, so
# that strangers cannot invent names in metrics and logs
NO_ROUTE = "(no route)"
BOUNDS = (  # of the buckets of latencies, in seconds
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class Metrics:
    """All numbers of a service."""

    def __init__(self) -> None:
        # a time beside each counter would double the series, and nothing here is made from them
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = self._counter(
            "shoal_requests", "Requests by route and status.", ("route", "status")
        )
        self._seconds = Histogram(
            "shoal_request_seconds",
            "Seconds from the first byte of a request to the last of its answer, by route.",
            ("route",),
            buckets=BOUNDS,
            registry=self.registry,
        )
        self.fallbacks = self._counter(
            "shoal_fallbacks",
            "Lists that the model could not answer itself, by reason.",
            ("reason",),
        )
        self.empty = self._counter("shoal_empty_answers", "Lists without an item.", ("route",))
        self.shed = self._counter("shoal_shed_requests", "Requests refused in overload (503).")
        self.limited = self._counter("shoal_limited_requests", "Requests refused by rate (429).")
        self.unknown = self._counter("shoal_unknown_items", "Ids in requests that no model knows.")
        self.events = self._counter("shoal_events_written", "Events stored, by type.", ("type",))
        self.swaps = self._counter(
            "shoal_model_swaps", "Versions that began to answer, by live model.", ("live",)
        )
        self.failures = self._counter(
            "shoal_model_failures", "Versions that could not be loaded, by live model.", ("live",)
        )
        self.in_flight = Gauge(
            "shoal_requests_in_flight", "Requests that are being answered.",
            registry=self.registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self._model = Gauge(
            "shoal_model_info", "1 for the version that answers, by worker.",
            ("live", "model", "version", "worker"),
            registry=self.registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._loaded = Gauge(
            "shoal_model_loaded_timestamp_seconds",
            "When the version that answers was loaded; with several workers, the oldest of them.",
            ("live",),
            registry=self.registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self.degraded = Gauge(
            "shoal_model_degraded", "1 while the version that should answer cannot be loaded.",
            ("live",),
            registry=self.registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._children: dict[Any, Any] = {}
        self._info: dict[str, tuple[str, ...]] = {}  # what is told of each live model
        self._lock = threading.Lock()

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        key = route, status
        children = self._children.get(key)
        if children is None:
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def watches(self, live: str) -> None:
        """Begin to tell of a live model."""
        self.degraded.labels(live).set(0)
        self.failures.labels(live)
        self.swaps.labels(live)

    def serves(self, live: str, model: str, version: str, loaded: float) -> None:
        """Tell which version of a live model answers in this process from now on."""
        info = live, model, version, str(os.getpid())
        with self._lock:
            before = self._info.get(live, info)
            if before != info:
                self._model.labels(*before).set(0)
            self._model.labels(*info).set(1)
            self._info[live] = info
        self._loaded.labels(live).set(loaded)
        self.degraded.labels(live).set(0)
        self.swaps.labels(live).inc()

    def text(self) -> bytes:
        """All numbers, in the text format of Prometheus."""
        if not os.environ.get(SEVERAL):
            return generate_latest(self.registry)
        from prometheus_client.multiprocess import MultiProcessCollector

        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
