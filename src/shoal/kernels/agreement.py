"""What calls that run at once agree on: a number of threads that belongs to the whole process.

BLAS and torch have one number for the process, and their products have other bits with another
number. So that a call gives the bits that it gives alone:

* A fit that takes several threads waits until no other fit is running. Fits that take one thread
  each run at once.
* Other calls (ranking, answers) never wait. While a fit is running they leave the number as it is;
  else the number is the largest that one of them asks for.
* When the last call has ended, the number is what it was before the first began.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pool:
    """A pool of threads of this process.

    Parameters
    ----------
    name : str
        The path of its library, or another name that no other pool has.
    get : callable
        Returns its number of threads.
    set : callable
        Sets it.
    """

    name: str
    get: Callable[[], int]
    set: Callable[[int], object]


@dataclass(eq=False)
class _Call:
    """One block that has asked for a number of threads."""

    thread: int
    limit: int
    fit: bool


@dataclass
class Agreement:
    """Sets the number of threads of pools to what the calls that are running agree on."""

    _calls: list[_Call] = field(default_factory=list)
    _waiting: deque[_Call] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _before: dict[str, tuple[Pool, int]] = field(default_factory=dict)
    _now: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def hold(self, limit: int, pools: Iterable[Pool], *, fit: bool) -> Iterator[None]:
        """Ask for a number of threads inside a ``with`` block.

        Parameters
        ----------
        limit : int
        pools : iterable of Pool
            The pools there are.
        fit : bool
            Whether to wait until the number can be had for sure. A call inside a fit of the same
            thread never waits.
        """
        call = _Call(threading.get_ident(), limit, fit)
        pools = tuple(pools)
        with self._changed:
            if fit and not self._inside_fit(call.thread):
                self._wait(call)
            self._calls.append(call)
            self._apply(pools)
        try:
            yield
        finally:
            with self._changed:
                if call in self._calls:  # not in a process that was forked inside the block
                    self._calls.remove(call)
                    self._apply(pools)
                    self._changed.notify_all()

    def _inside_fit(self, thread: int) -> bool:
        return any(call.fit and call.thread == thread for call in self._calls)

    def _wait(self, call: _Call) -> None:
        """Wait until this call is the first in the queue and fits the fits that are running."""
        self._waiting.append(call)
        try:
            while self._waiting[0] is not call or not self._can_begin(call):
                self._changed.wait()
        finally:
            self._waiting.remove(call)
            self._changed.notify_all()

    def _can_begin(self, call: _Call) -> bool:
        return all(call.limit == other.limit == 1 for other in self._calls if other.fit)

    def _agreed(self) -> int | None:
        """The number of threads for the calls that are running; None if there are none."""
        innermost = {call.thread: call.limit for call in self._calls}
        fitting = {call.thread for call in self._calls if call.fit}
        if len(fitting) > 1:  # fits of one thread each
            return 1
        return max((innermost[thread] for thread in fitting or innermost), default=None)

    def _apply(self, pools: tuple[Pool, ...]) -> None:
        number = self._agreed()
        if number is None:
            for pool, before in self._before.values():
                if self._now[pool.name] != before:
                    pool.set(before)
            self._before.clear()
            self._now.clear()
            return
        for pool in pools:
            if pool.name not in self._before:
                self._now[pool.name] = pool.get()
                self._before[pool.name] = pool, self._now[pool.name]
            if self._now[pool.name] != number:
                pool.set(number)
                self._now[pool.name] = number
