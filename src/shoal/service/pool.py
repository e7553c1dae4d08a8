"""The threads that rank, and the bounded queue before them; the event loop itself never ranks."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from shoal.service.problems import Problem

T = TypeVar("T")


class Pool:
    """A fixed number of threads with a bounded queue.

    Parameters
    ----------
    threads : int
    waiting : int
        Calls that may wait while all threads are at work.
    name : str
        Of the threads.
    """

    def __init__(self, threads: int, waiting: int, name: str = "rank") -> None:
        self.most = threads + waiting
        self.pending = 0  # calls that wait or run; changed in the event loop alone
        self._queue: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads, each after the call that it is in."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=10)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in one of the threads.

        Raises
        ------
        Problem
            503: too many calls wait already.
        """
        if self.pending >= self.most:
            raise Problem(
                503,
                "the service is overloaded: try again in a second",
                headers={"Retry-After": "1"},
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self.pending += 1
        self._queue.put((loop, future, function, arguments))
        return await future

    def _work(self) -> None:
        while True:
            task = self._queue.get()
            if task is None:
                return
            loop, future, function, arguments = task
            try:
                result, error = function(*arguments), None
            except BaseException as raised:
                result, error = None, raised
            try:
                loop.call_soon_threadsafe(self._finish, future, result, error)
            except RuntimeError:  # the loop has ended
                return
            # an idle thread keeps nothing of its last call, above all not its model
            del task, loop, future, function, arguments, result, error

    def _finish(self, future: Any, result: Any, error: BaseException | None) -> None:
        self.pending -= 1
        if future.done():  # the client has gone
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
