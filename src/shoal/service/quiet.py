"""A thread that works while requests are answered, and leaves the cores to them."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

_NICE = 10  # priority of the thread; 0 is the usual one


class QuietThread:
    """One thread of lower priority that makes calls for others, as long as the process lives.

    A thread for each call would do, but each new thread gets another part of the allocator's
    memory, and all of these parts would grow to what a load takes.

    Parameters
    ----------
    name : str
        Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def call(self, function: Callable[[], T]) -> T:
        """The function's result, or its exception."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self._calls.put(work)
        return future.result()

    def begin(self, function: Callable[[], None]) -> None:
        """Have a function called later, which raises nothing."""
        self._calls.put(function)

    def _work(self) -> None:
        lower_priority()
        while True:
            self._calls.get()()


def lower_priority() -> None:
    """Let this thread have what other threads and processes leave of the cores (Linux)."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
