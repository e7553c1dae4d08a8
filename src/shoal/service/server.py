"""One process that serves: uvicorn with uvloop and httptools, and what uvicorn leaves to others.

uvicorn waits for ever for the head of a request, and takes heads of any length. `Connection` gives
both a limit.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shoal.service.app import create_app
from shoal.service.logs import JsonHandler, log
from shoal.service.settings import ServiceError, Settings

HEAD_BYTES = 2**16  # of the first line and the headers of a request
BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 takes a free one.

    Raises
    ------
    ServiceError
        The port is in use or may not be used, or there is no such address here.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServiceError(f"{host} is no address of this machine ({error.strerror})") from None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise ServiceError(
                f"port {port} of {host} is in use: name another with --port"
            ) from None
        raise ServiceError(f"{host}:{port} cannot be listened on: {error.strerror}") from None
    opened.set_inheritable(True)
    return opened


def address_of(opened: socket.socket) -> str:
    """The URL of a socket that listens."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Connection(HttpToolsProtocol):
    """A connection whose requests have to arrive in time, with a head of limited length."""

    read_timeout = 10.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._head_arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Expect the rest of the head."""
        super().on_message_begin()
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Start to answer."""
        self._head_arrived()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; a head that goes on and on is refused."""
        timer = self._head_timer
        super().data_received(data)
        if timer is None or timer is not self._head_timer or self.transport.is_closing():
            return  # no head, or one that has ended in these data
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(self.read_timeout, self._too_slow)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()


class Server(uvicorn.Server):
    """A server that ends well when it is told to, and does not pass the signal on."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on SIGINT and SIGTERM: running requests are finished first."""
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(settings: Settings, opened: socket.socket, *, wait_for_model: bool = False) -> None:
    """Serve in this process until a signal ends it.

    Parameters
    ----------
    settings : Settings
    opened : socket
        From `listen`.
    wait_for_model : bool
        As for `create_app`.
    """
    _log_as_json()
    connection = type("Connection", (Connection,), {"read_timeout": settings.read_timeout})
    config = uvicorn.Config(
        create_app(settings, wait_for_model=wait_for_model),
        http=connection,
        ws="none",
        loop="uvloop" if "uvloop" in _available() else "asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=round(settings.keep_alive),
        timeout_graceful_shutdown=round(settings.graceful_seconds),
        backlog=BACKLOG,
    )
    # what is there now stays until the end, so the collector need not look at it again and again
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    Server(config).run(sockets=[opened])
    log("info", "stopped")


def _available() -> set[str]:
    from importlib.util import find_spec

    return {name for name in ("uvloop",) if find_spec(name) is not None}


def _log_as_json() -> None:
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [JsonHandler()]
        logger.propagate = False
        logger.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").handlers.clear()
    if not sys.stderr:  # a process without one
        logging.disable()
