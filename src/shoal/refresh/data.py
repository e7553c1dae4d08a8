"""The data of a refresh: the log, the events since, and without users who were deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from shoal.data.counted import Event
from shoal.data.interactions import Interactions
from shoal.data.items import read_items
from shoal.data.merge import merged
from shoal.data.read import read
from shoal.data.vectors import Vectors
from shoal.errors import DataError
from shoal.refresh.config import Config, EventsPart, LogPart
from shoal.run import Run

if TYPE_CHECKING:
    from shoal.events import EventStore

_FILTERS = ("min_item_users", "min_user_items", "k_core")
_FIRST, _LAST = 3.2e8, 4.1e9  # seconds since 1970: from 1980 to 2100
_MANY = 20_000  # users whose deletion is asked for at a time


class Deletions(Protocol):
    """What is asked of a store of events about users who were deleted."""

    def deletion_times(self, users: Iterable[Any]) -> dict[str, float]:
        """When users were deleted, in seconds since 1970, by their ids as text."""
        ...


@dataclass(frozen=True)
class Gathered:
    """The data to learn from.

    Parameters
    ----------
    log : Interactions
        Log and events together.
    n_events : int
        Rows that came from events.
    n_deleted : int
        Users of the log file whose rows are left out.
    """

    log: Interactions
    n_events: int = 0
    n_deleted: int = 0


def gather(config: Config, run: Run) -> Gathered:
    """Read the log and the events, put them together, and leave out deleted users.

    Raises
    ------
    DataError, EventsUnavailable
        A file or database cannot be read, or nothing is left.
    """
    counted = config.counted_events
    if config.events is None:
        assert config.log is not None
        log = _read_log(config.log, counted, run, filtered=True)
        return Gathered(_known_of_items(log, config.log))
    with _opened(config.events) as store:
        events = _read_events(config.events, counted, store, run)
        if config.log is None:
            if events is None:
                raise DataError(f"{store.place} holds no event to learn from")
            return Gathered(_without_zeros(events), len(events))
        log = in_seconds(_read_log(config.log, counted, run, filtered=False))
        log, n_deleted = without_deleted(log, store)
    filters = {name: getattr(config.log.read, name) for name in _FILTERS}
    n_events = 0 if events is None else len(events)
    if events is None:
        events = log.keep(np.zeros(len(log), np.bool_))
    if log.times is None:
        events = replace(events, times=None)
    together = merged(log, events, duplicates=config.events.duplicates, **filters)
    return Gathered(_known_of_items(_without_zeros(together), config.log), n_events, n_deleted)


def without_deleted(log: Interactions, store: Deletions) -> tuple[Interactions, int]:
    """Leave out what users did before they were deleted; gives the log and how many they are.

    Where the log has no times, all rows of these users are left out. Times are in seconds.
    """
    times = np.full(log.n_users, -np.inf)
    for begin in range(0, log.n_users, _MANY):
        ids = log.users.series.slice(begin, _MANY).cast(pl.String).to_list()
        deleted = store.deletion_times(ids)
        if deleted:
            found = [deleted.get(user, -np.inf) for user in ids]
            times[begin : begin + len(ids)] = found
    if np.isinf(times).all():
        return log, 0
    deleted_at = times[log.user_codes]
    gone = np.isfinite(deleted_at) if log.times is None else log.times <= deleted_at
    n_deleted = int(np.isfinite(times).sum())
    if gone.all():
        raise DataError("all users of the log were deleted: there is nothing to learn from")
    return log.keep(~gone).without_unused(), n_deleted


def in_seconds(log: Interactions) -> Interactions:
    """The log with times in seconds since 1970, as events have them.

    Raises
    ------
    DataError
        Its times are no moments between 1980 and 2100 in any unit that logs use.
    """
    if log.times is None:
        return log
    latest = float(log.times.max())
    for unit in () if log.times_are_ranks else (1, 1e3, 1e6, 1e9):
        if _FIRST < latest / unit < _LAST:
            return log if unit == 1 else replace(log, times=log.times / unit)
    raise DataError(
        f"the times of the log (the latest is {latest:g}) are no dates, and cannot be put in order "
        "with events: name another column (log.read.columns: {time: …}), or none "
        "(time: none)"
    )


def _opened(part: EventsPart) -> EventStore:
    from shoal.events import EventStore

    return EventStore(part.url, create=False)


def _read_events(
    part: EventsPart, counted: Sequence[Event], store: EventStore, run: Run
) -> Interactions | None:
    """The events as a log, weighted by their type; None if there are none that count."""
    frame = store.frame()
    if counted:
        frame = frame.filter(pl.col("event").is_in([str(event) for event in counted]))
    value = pl.lit(1.0)
    if part.weights is not None:
        frame = frame.filter(pl.col("event").is_in(list(part.weights)))
        value = pl.col("event").replace_strict(
            list(part.weights), list(part.weights.values()), return_dtype=pl.Float64
        )
    if frame.is_empty():
        return None
    columns = {"user": "user", "item": "item", "time": "time", "value": "value"}
    return read(
        frame.select("user", "item", "time", value.alias("value")),
        columns=columns,
        values="binary" if part.weights is None else "keep",
        duplicates=part.duplicates,
        memory=run.memory,
    )


def _read_log(part: LogPart, counted: Sequence[Event], run: Run, *, filtered: bool) -> Interactions:
    options = part.read.model_dump(exclude=set(_FILTERS))
    if filtered:
        options |= {name: getattr(part.read, name) for name in _FILTERS}
    return read(part.path, events=counted, memory=run.memory, progress=run.progress, **options)


def _known_of_items(log: Interactions, part: LogPart) -> Interactions:
    """The log with attributes and vectors of its items."""
    if part.vectors is not None:
        has_no_ids = Path(part.vectors).suffix.lower() == ".npy"
        vectors = Vectors.read(part.vectors, part.items if has_no_ids else None)
        log = log.with_vectors(
            vectors.ids, vectors.matrix, add_items=part.cold_items, space=vectors.space
        )
    elif part.cold_items:
        raise DataError("log.cold_items: cold items are known by their vectors: add log.vectors")
    if part.items is not None:
        column = part.read.columns.get("item", "item")
        log = log.with_item_table(read_items(part.items, column, item_id=part.item_id))
    return log


def _without_zeros(log: Interactions) -> Interactions:
    """The log without pairs whose last event says that they do not count."""
    if log.values is None or (log.values > 0).all():
        return log
    return log.keep(log.values > 0).without_unused()
