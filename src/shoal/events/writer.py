"""The one thread of a process that writes: many calls share a transaction, each waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from shoal.errors import EventsUnavailable, ShoalError
from shoal.events.event import Row

LONGEST_QUEUE = 100_000  # rows that wait; more are refused at once
_GROUP = 20_000  # rows of one transaction at most
_LONGEST_PAUSE = 0.002  # seconds

_log = logging.getLogger("shoal.events")


@dataclass(eq=False, slots=True)
class Job:
    """Something to write: rows of one call, or a function that has a transaction of its own.

    Parameters
    ----------
    events, lists : list of rows
    key, digest : str, optional
        The idempotency key of the call, and the hash of what it gives.
    work : callable, optional
        Called with a connection within a transaction; what it returns is the result.
    alone : callable, optional
        Called outside of any transaction.
    """

    events: list[Row] = field(default_factory=list)
    lists: list[Row] = field(default_factory=list)
    key: str | None = None
    digest: str = ""
    work: Callable[[Connection], Any] | None = None
    alone: Callable[[], Any] | None = None
    result: Any = None
    error: BaseException | None = None
    begun: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def by_itself(self) -> bool:
        """Whether it shares its transaction with no other job."""
        return self.work is not None or self.alone is not None

    @property
    def size(self) -> int:
        """How many rows."""
        return len(self.events) + len(self.lists)


class Writer:
    """A queue, and a thread that writes what is in it, a group in each transaction.

    While one transaction is flushed to the disk, the calls of other threads gather, and are the
    next group. So the disk's speed limits the transactions and not the calls. Threads whose calls
    were just acknowledged often come back at once: a new group waits for them a moment, which is
    short beside the time that the disk takes.

    Parameters
    ----------
    begin : callable
        Gives a transaction, as `Database.write` does.
    store : callable
        Writes the rows of several jobs, and puts a result or an error into each.
    maintain : callable, optional
        Called between groups when its time has come; returns in how many seconds the next call is
        due.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractContextManager[Connection]],
        store: Callable[[Connection, Sequence[Job]], None],
        maintain: Callable[[], float] | None = None,
    ) -> None:
        self._begin, self._store, self._maintain = begin, store, maintain
        self._waiting: deque[Job] = deque()
        self._rows = 0  # of the jobs that wait
        self._changed = threading.Condition()
        self._closed = False
        self._maintenance_due = time.monotonic()
        self._expected = 0  # jobs that are likely to come: those just acknowledged, and those there
        self._pause = 0.0  # seconds that they are waited for
        self._thread = threading.Thread(target=self._run, name="shoal-events", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return self._rows

    def submit(self, job: Job, place: str, timeout: float | None) -> Any:
        """Write a job; returns its result when it is committed.

        Raises
        ------
        EventsUnavailable
            The queue is full, the database cannot be written to, or takes longer than `timeout`.
        EventError
            The job cannot be stored as it is.
        """
        with self._changed:
            if self._closed:
                raise EventsUnavailable(f"{place}: the store of events was closed")
            if self._waiting and self._rows + job.size > LONGEST_QUEUE:
                raise EventsUnavailable(
                    f"{place}: {self._rows:,} events wait to be written, and no more than "
                    f"{LONGEST_QUEUE:,} may: send these again later"
                )
            self._waiting.append(job)
            self._rows += job.size
            self._changed.notify()
        if not job.done.wait(timeout):
            self._give_up(job, place, timeout)
        if job.error is not None:
            raise job.error
        return job.result

    def _give_up(self, job: Job, place: str, timeout: float | None) -> None:
        """Take back a job that has waited too long, and say whether it may still be stored."""
        with self._changed:
            if not job.begun:
                self._waiting.remove(job)
                self._rows -= job.size
                raise EventsUnavailable(
                    f"{place} does not keep up: nothing of this call was stored within "
                    f"{timeout:g} s; send it again later"
                )
        if not job.done.is_set():
            raise EventsUnavailable(
                f"{place} has not confirmed this call within {timeout:g} s, so it may be stored "
                "or not: send it again with the same key"
            )

    def close(self) -> None:
        """Write what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            group = self._next_group()
            if group:
                self._write(group)
            elif self._closed:
                return
            self._look_after_retention()

    def _next_group(self) -> list[Job]:
        """Jobs for one transaction; none where it is time for maintenance, or all is written."""
        with self._changed:
            while not self._waiting and not self._closed:
                left = self._maintenance_due - time.monotonic() if self._maintain else None
                if left is not None and left <= 0:
                    return []
                self._changed.wait(left)
            self._changed.wait_for(self._all_came, self._pause)
            group: list[Job] = []
            rows = 0
            while self._waiting:
                job = self._waiting[0]
                by_itself = job.by_itself or (group and group[-1].by_itself)
                if group and (by_itself or rows + job.size > _GROUP):
                    break
                group.append(self._waiting.popleft())
                rows += job.size
                job.begun = True
            self._rows -= rows
            return group

    def _all_came(self) -> bool:
        return len(self._waiting) >= self._expected or self._closed

    def _write(self, group: list[Job]) -> None:
        """Write jobs in one transaction, or each by itself if one of them spoils it for all."""
        spoilt: BaseException | None = None
        began = time.monotonic()
        try:
            self._do(group)
        except EventsUnavailable as error:
            for job in group:
                job.error = EventsUnavailable(*error.args)
        except BaseException as error:
            spoilt = error
        if spoilt is not None and len(group) > 1:
            for job in group:
                job.error = None
                self._write([job])
            return
        self._pause = min(_LONGEST_PAUSE, (time.monotonic() - began) / 4)
        self._expected = len(group) + len(self._waiting)
        for job in group:
            job.error = spoilt or job.error
            job.done.set()

    def _do(self, group: list[Job]) -> None:
        first = group[0]
        if first.alone is not None:
            first.result = first.alone()
            return
        with self._begin() as connection:
            if first.work is not None:
                first.result = first.work(connection)
            else:
                self._store(connection, group)

    def _look_after_retention(self) -> None:
        if self._maintain is None or time.monotonic() < self._maintenance_due:
            return
        wait = 60.0
        try:
            wait = self._maintain()
        except ShoalError as error:
            _log.warning("old events were not removed: %s", error)
        except Exception:
            _log.exception("old events were not removed")
        self._maintenance_due = time.monotonic() + wait
