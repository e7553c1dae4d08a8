"""`Connection`: one connection of a client, with limits that uvicorn leaves to others.

uvicorn waits for ever for the head of a request, and takes heads and trailers of any length. Any
byte that follows an answer ends its time limit for idle connections, and a client that does not
read its answer keeps the connection for as long as it likes. Here all that has an end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shoal.service.limits import BODY_BYTES

HEAD_BYTES = 2**16  # of the first line and the headers of a request
SENT_BYTES = 8 * BODY_BYTES  # of a body as it is sent: with the lengths of its chunks, and trailers


class Connection(HttpToolsProtocol):
    """A connection whose requests have to arrive, and whose answers have to be read, in time."""

    read_timeout = (
        10.0  # seconds for a head to arrive, and without any progress in reading an answer
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._head_bytes = self._body_bytes = 0
        self._n_heads = 0  # that were complete
        self._in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._head_arrived()
        self._not_idle()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Expect the rest of the head."""
        self._not_idle()
        super().on_message_begin()
        if self._head_timer is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers, which come after the body, are dropped."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to answer."""
        self._head_arrived()
        self._n_heads += 1
        self._in_body, self._body_bytes = True, 0
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect nothing more of this request."""
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, however much of the body of this one is still to come."""
        if self.transport.get_write_buffer_size() > 0:
            self._expect_reading()
        idle = not self.pipeline and self._head_timer is None
        super().on_response_complete()
        if idle and not self.transport.is_closing():
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._too_idle)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; a head or a body that goes on and on is refused."""
        timer, n_heads, in_body = self._head_timer, self._n_heads, self._in_body
        super().data_received(data)
        if self.transport.is_closing():
            return
        if in_body and self._in_body and n_heads == self._n_heads:
            self._body_bytes += len(data)
            if self._body_bytes > SENT_BYTES:
                self._refuse(b"413 Content Too Large")
        elif (
            timer is not None and timer is self._head_timer
        ):  # no head that has ended in these data
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def pause_writing(self) -> None:
        """Watch a client that does not read as fast as it is answered."""
        super().pause_writing()
        self._expect_reading()

    def timeout_keep_alive_handler(self) -> None:
        """Leave the end of idle connections to `_too_idle`, which no byte of the client stops."""

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(self.read_timeout, self._too_slow)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _not_idle(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(b"408 Request Timeout")

    def _too_idle(self) -> None:
        self._idle_timer = None
        self.transport.close()

    def _expect_reading(self) -> None:
        """Look again in a while whether the client has read some of its answers."""
        if self._unread_timer is None:
            unread = self.transport.get_write_buffer_size()
            self._unread_timer = self.loop.call_later(
                self.read_timeout, self._check_reading, unread
            )

    def _check_reading(self, before: int) -> None:
        self._unread_timer = None
        unread = self.transport.get_write_buffer_size()
        if unread >= before:
            self.transport.abort()
        elif unread > 0:
            self._expect_reading()

    def _refuse(self, status: bytes) -> None:
        if (
            self._in_body and self.cycle.response_started
        ):  # a second answer would be taken for another's
            self.transport.abort()
            return
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()
