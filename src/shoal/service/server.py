"""One process that serves: uvicorn with uvloop and httptools."""

from __future__ import annotations

import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from shoal.service.app import create_app
from shoal.service.connection import Connection
from shoal.service.logs import JsonHandler, log
from shoal.service.settings import ServiceError, Settings

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
