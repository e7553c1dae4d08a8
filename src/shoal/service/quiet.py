"""A thread that works while requests are answered, and leaves the cores to them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_NICE = 10  # priority of the thread; 0 is the usual one


class QuietThread:
    """One thread of lower priority that makes calls for others, one after the other.

    It is started by the first call, and lives until `stop` or the end of the process. A thread for
    each call would do, but each new thread gets another part of the allocator's memory, and all of
    these parts would grow to what a load takes.

    Parameters
    ----------
    name : str
        Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def call(self, function: Callable[[], T]) -> T:
        """The function's result, or its exception."""
        return self.submit(function).result()

    def submit(self, function: Callable[[], T], *, first: bool = False) -> Future[T]:
        """The future result of a function, which is called before those that wait if it is first.

        A future that is cancelled before its turn is left out.
        """
        future: Future[T] = Future()
        with self._ready:
            if self._stopped:
                future.cancel()
                return future
            if self._thread is None:
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
            (self._calls.appendleft if first else self._calls.append)((future, function))
            self._ready.notify()
        return future

    def stop(self, timeout: float = 10.0) -> None:
        """Make no more calls, and wait so many seconds for one that has begun.

        A thread that is in compiled code when the process ends can bring it down with a fault.
        """
        with self._ready:
            self._stopped = True
            while self._calls:
                self._calls.popleft()[0].cancel()
            self._ready.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        lower_priority()
        while True:
            with self._ready:
                while not (self._calls or self._stopped):
                    self._ready.wait()
                if self._stopped:
                    return
                future, function = self._calls.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:
                    future.set_exception(error)
            # an idle thread keeps nothing of its last call, above all not its model
            del future, function


def lower_priority() -> None:
    """Let this thread have what other threads and processes leave of the cores (Linux)."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
