"""The application: `create_app` puts model, threads, keys, routes and documentation together."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from shoal._version import __version__
from shoal.service import logs, siblings
from shoal.service.documents import TAGS, add_route, describe
from shoal.service.gate import EndpointApp, Gate, problem_of_http
from shoal.service.live import LiveModel, Served, Trouble
from shoal.service.metrics import Metrics
from shoal.service.pool import Pool
from shoal.service.rates import RateLimit
from shoal.service.routes import all_endpoints
from shoal.service.security import check_address, keys_of
from shoal.service.settings import Settings
from shoal.service.stored import StoredHistories

if TYPE_CHECKING:
    from shoal.events import EventStore

_WAITING_THREADS = 16  # that wait for disks and databases, and do not compute
_SWITCH_SECONDS = 0.001  # for which a thread may hold Python's lock while others wait for it


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
        self.pool = Pool(settings.threads_of_worker, settings.queue)
        self.waiting_pool = Pool(_WAITING_THREADS, settings.queue, "wait")
        self.live = LiveModel(
            settings.model,
            settings.poll_seconds,
            settings.memory,
            self._swapped,
            self._troubled,
        )
        rate = settings.rate_limit
        self.rate_limit = None if rate is None else RateLimit(rate, settings.rate_burst)
        self.open_paths: set[tuple[str, str]] = set()
        self._salt = os.urandom(16)
        self._events = open_events(settings)
        # of users whose events are stored
        self.histories = None if self._events is None else StoredHistories(self._events)

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
        self.pool.start()
        self.waiting_pool.start()
        self.live.start()

    def stop(self) -> None:
        """Stop what `start` has started."""
        self.live.stop()
        self.pool.stop()
        self.waiting_pool.stop()
        if self._events is not None:
            self._events.close()

    def _swapped(self, served: Served) -> None:
        self.metrics.serves(served.name, served.version, served.loaded)
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


def create_app(settings: Settings) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    FastAPI
        Its `state.service` is the `Service`.

    Raises
    ------
    ServiceError
        The keys cannot be read, or there are none and the address can be reached by others.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="shoal",
        version=__version__,
        description="Recommendations from live models. Errors are application/problem+json.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        openapi_tags=TAGS,
        lifespan=lifespan,
    )
    app.state.service = service
    endpoints = all_endpoints()
    for endpoint in endpoints:
        add_route(app, endpoint, EndpointApp(endpoint, service), has_keys=bool(service.keys))
        if endpoint.access == "open":
            service.open_paths.add((endpoint.method, endpoint.path))
    service.open_paths.add(("GET", "/openapi.json"))
    describe(app, has_keys=bool(service.keys))
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_middleware(Gate, service=service, endpoints=endpoints)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "x-api-key", "content-type", "x-request-id"],
            expose_headers=["x-request-id", "retry-after"],
            max_age=600,
        )
    return app


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    raise problem_of_http(error)  # `Gate` sends it
