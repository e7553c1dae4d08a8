"""`EventStore`: what users did, in a database; what it is asked is in `questions`."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import time as now
from typing import Any, Self, get_args

from shoal.errors import DataError, EventError, EventsUnavailable
from shoal.events import storing
from shoal.events.checks import (
    LONGEST_NAME,
    checked_text,
    checked_weights,
    digest,
    event_rows,
    list_rows,
    seconds,
)
from shoal.events.database import Database
from shoal.events.event import Event, Receipt, Row, ShownList
from shoal.events.migrations import bring_up_to_date
from shoal.events.questions import Questions
from shoal.events.reading import Duplicates
from shoal.events.writer import Job, Writer

SMALL = 100_000_000  # bytes of a SQLite file that is written anew after a deletion
MOST_EVENTS = 50_000  # of one call
_RETENTION_EVERY = 3600.0  # seconds between removals of old events
_DAY = 86_400.0

_log = logging.getLogger("shoal.events")
_abandoned: list[Database] = []  # connections of a parent process, which must not be closed here


class EventStore(Questions):
    """Events of users, the lists they were shown, and who was deleted.

    Parameters
    ----------
    where : str or Path
        A SQLite file, which is made if it is not there, or a URL of PostgreSQL
        (``postgresql://USER:PASSWORD@HOST/DATABASE``). Tables are made and brought up to date.
    weights : mapping of type to weight, optional
        What an event of each type counts in a history, such as ``{"view": 1, "purchase": 5}``; 0
        for a type that takes the item out of it, such as ``{"dislike": 0}``. Other types are then
        refused. Without weights every type is stored, and each item of a history weighs 1.
    retention_days : float, optional
        Events and lists that are older are removed, now and every hour.
    duplicates : {"last", "sum"}
        What an item with several events weighs: as much as its latest event, as `shoal.read` has it
        by default, or as all of them together.
    timeout : float
        Seconds that a call which writes waits for the disk at most.
    read_timeout : float
        Seconds that a call which reads takes at most; `frame` and `pages`, for 50,000 events.
    connect : bool
        Whether to open the database now, so that this fails if it cannot be used; otherwise the
        first call does it, and the next one if that failed.
    create : bool
        Whether a SQLite file that is not there is made.

    Raises
    ------
    DataError
        No such kind of database, a weight or an age that is none.
    EventsUnavailable
        The database cannot be used; the message names the place and the way out.

    Notes
    -----
    Several threads may call all methods. A process that is forked opens its own connections.
    """

    def __init__(
        self,
        where: str | Path,
        *,
        weights: Mapping[str, float] | None = None,
        retention_days: float | None = None,
        duplicates: Duplicates = "last",
        timeout: float = 10.0,
        read_timeout: float = 10.0,
        connect: bool = True,
        create: bool = True,
    ) -> None:
        if duplicates not in get_args(Duplicates):
            raise DataError(
                f"duplicates={duplicates!r}: give one of {', '.join(get_args(Duplicates))}"
            )
        if retention_days is not None and not 0 < retention_days < math.inf:
            raise DataError(f"retention_days={retention_days}: give a number of days above 0")
        self.weights = checked_weights(weights)
        self.retention_days, self.duplicates, self.timeout = retention_days, duplicates, timeout
        self._open_database = partial(Database, where, create=create, read_timeout=read_timeout)
        self._opening = threading.Lock()
        self._closed, self._ready = False, False
        self._begun_anew = ""
        self._process = os.getpid()
        self._writer: Writer | None = None
        self._database = self._open_database()
        self.place = self._database.place
        if connect:
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    def append(
        self, events: Sequence[Event], *, lists: Sequence[ShownList] = (), key: str | None = None
    ) -> Receipt:
        """Store events and lists, all or none; they are on the disk when this returns.

        Parameters
        ----------
        events : sequence of Event
        lists : sequence of ShownList
            Lists that were shown, to which the events may belong.
        key : str, optional
            A name for this call. The same call with the same key stores nothing and is acknowledged
            again, also after a restart and from another process.

        Raises
        ------
        EventError
            Something that cannot be stored, or a key that was used for other events.
        EventsUnavailable
            Nothing was stored, or, where the message says so, it is not known whether.
        """
        given, shown = list(events), list(lists)
        if len(given) > MOST_EVENTS:
            raise EventError(f"{len(given):,} events in one call: give {MOST_EVENTS:,} at most")
        moment = now()
        return self.append_rows(
            event_rows(given, moment, self.weights),
            lists=list_rows(shown, moment),
            key=key,
            digest=digest(given, shown) if key is not None else "",
        )

    def append_rows(
        self,
        rows: list[Row],
        *,
        lists: list[Row] | None = None,
        key: str | None = None,
        digest: str = "",
    ) -> Receipt:
        """Store rows that were checked, as `event_rows` and `list_rows` make them."""
        name = None if key is None else checked_text(key, "the key of the call")
        if not rows and not lists:
            return Receipt()
        return self._submit(Job(events=rows, lists=lists or [], key=name, digest=digest))

    def impressions(
        self,
        request_id: str,
        user: Any,
        items: Iterable[Any],
        *,
        model: str,
        version: str,
        time: Any = None,
        experiment: str | None = None,
        variant: str | None = None,
    ) -> Receipt:
        """Store one list that was shown; the parameters are those of `ShownList`."""
        shown = ShownList(request_id, user, list(items), model, version, time, experiment, variant)
        return self.append((), lists=[shown])

    def promote(self, experiment: str, variant: str | None) -> None:
        """Decide an experiment: everybody gets this variant from now on.

        Parameters
        ----------
        experiment : str
        variant : str or None
            None undoes it: users get their own variants again.
        """
        name = checked_text(experiment, "experiment", LONGEST_NAME)
        decided = None if variant is None else checked_text(variant, "variant", LONGEST_NAME)
        self._submit(Job(work=lambda c: storing.promote(c, name, decided)))

    def delete_user(self, user: Any, *, vacuum: bool | None = None) -> int:
        """Delete a user for good: events, lists, and what is left of them in the file.

        What remains is the sha256 of the id and the time, so that `is_deleted` can keep rows of a
        log that are older out of the next model. Events that come later are a new person's.

        Parameters
        ----------
        user : id
        vacuum : bool, optional
            Whether a SQLite file is written anew, so that no copy of a row is left in unused space;
            by default if it is small (100 MB), since it takes time and room for a second file.

        Returns
        -------
        int
            How many events were deleted.

        Raises
        ------
        EventsUnavailable
            Nothing was deleted; or, where the message says so, copies may be left.
        """
        name = checked_text(user, "user")
        n_deleted = self._submit(Job(work=lambda c: storing.delete_user(c, name)), wait=False)
        small = self._opened().size() <= SMALL
        self._erase(
            f"the user is deleted ({n_deleted:,} events)", small if vacuum is None else vacuum
        )
        return int(n_deleted)

    def prune(self, before: Any, *, vacuum: bool = False) -> int:
        """Remove events and lists from before a time; returns the number of events."""
        limit = seconds(before, now(), "before")
        removed, more = 0, True
        while more:  # in parts, between which other calls can write
            job = Job(work=lambda c: storing.prune_some(c, limit))
            n_events, more = self._submit(job, wait=False)
            removed += n_events
        self._erase(f"{removed:,} events are deleted", vacuum)
        return removed

    @property
    def waiting(self) -> int:
        """How many rows of this process wait to be written."""
        return self._writer.waiting if self._writer is not None else 0

    @property
    def begun_anew(self) -> str:
        """What to tell an operator where the SQLite file vanished in use; empty if it did not."""
        return self._begun_anew

    def close(self) -> None:
        """Write what waits, and close all connections."""
        self._closed = True
        if self._writer is not None and self._process == os.getpid():
            self._writer.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submit(self, job: Job, *, wait: bool = True) -> Any:
        """Have the writer do a job; with `wait` off it may take as long as it takes."""
        self._opened()
        assert self._writer is not None
        return self._writer.submit(job, self.place, self.timeout if wait else None)

    def _opened(self) -> Database:
        """The database, with its tables, in the process that asks."""
        if self._closed:
            raise EventsUnavailable(f"{self.place}: the store of events was closed")
        if not self._ready or self._process != os.getpid() or self._database.was_replaced():
            self._open()
        return self._database

    def _open(self) -> None:
        if self._process != os.getpid():
            self._leave_to_parent()
        with self._opening:
            replaced = self._database.was_replaced()
            if self._ready and not replaced:
                return
            try:
                if replaced:
                    self._take_the_file_that_is_there()
                bring_up_to_date(self._database)
            except EventsUnavailable:
                self._database.close()  # the next call opens the file that is there then
                raise
            days = self.retention_days
            maintain = None if days is None else partial(self._remove_older, days)
            if self._writer is None:
                self._writer = Writer(self._database.write, storing.store, maintain)
            self._ready = True

    def _take_the_file_that_is_there(self) -> None:
        """Go on with another file at the same path, and say so: an operator may not know of it."""
        if self._database.reopen():
            self._begun_anew = (
                f"{self.place} was removed while it was in use, and was begun anew: the events, "
                "the deletions and the promotions before are not in it; stop the service, restore "
                "a backup, delete again whom it brings back, and start the service"
            )
            _log.error("%s", self._begun_anew)
        else:
            self._begun_anew = ""
            _log.warning(
                "%s was replaced while it was in use: events go to the file that is there now",
                self.place,
            )

    def _leave_to_parent(self) -> None:
        """Begin anew in a process that was forked: threads and connections are the parent's."""
        self._opening = threading.Lock()
        self._ready, self._process, self._writer = False, os.getpid(), None
        _abandoned.append(self._database)
        self._database.forget()
        self._database = self._open_database()

    def _remove_older(self, days: float) -> float:
        """Remove some of what is older; returns in how many seconds to do it again."""
        with self._database.write() as connection:
            _, more = storing.prune_some(connection, now() - days * _DAY)
        return 0.0 if more else _RETENTION_EVERY

    def _erase(self, done: str, vacuum: bool) -> None:
        """Have the writer remove what is left of deleted rows, outside of a transaction."""
        database = self._opened()
        try:
            self._submit(Job(alone=lambda: database.erase(vacuum=vacuum)), wait=False)
        except EventsUnavailable as error:
            raise EventsUnavailable(
                f"{done}, but copies may be left in the file until this is done again: {error}"
            ) from error
