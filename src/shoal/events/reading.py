"""What is read: histories, events of a user, all events page by page, clicks, counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, Select, func, select, tuple_

from shoal.events.database import Database, size_of
from shoal.events.event import Clicks, Event, StoreFacts
from shoal.events.migrations import version_of
from shoal.events.schema import deleted_users, events, lists

if TYPE_CHECKING:
    import polars as pl

Duplicates = Literal["last", "sum"]

PAGE = 50_000  # rows of one query of an export
_DEPTH = 10  # a history of so many items looks at this many times as many events at most

_OF_EVENT = (
    *(events.c.user_id, events.c.item_id, events.c.type, events.c.value, events.c.time),
    *(events.c.request_id, events.c.event_key),
)


def _newest_first(user: str) -> Select[Any]:
    return select(events.c.id, *_OF_EVENT).where(events.c.user_id == user).order_by(
        events.c.time.desc(), events.c.id.desc()
    )  # fmt: skip


def events_of_user(connection: Connection, user: str, limit: int) -> list[Event]:
    """The latest events of a user, the newest first."""
    rows = connection.execute(_newest_first(user).limit(limit))
    return [Event(*row[1:]) for row in rows]


def history(
    connection: Connection,
    user: str,
    limit: int,
    weights: Mapping[str, float] | None,
    duplicates: Duplicates,
) -> dict[str, float]:
    """The user's latest items with their weights, the item of the oldest event first."""
    kept = _Weighing(weights, duplicates)
    n_read, page = 0, 2 * limit
    last: tuple[float, int] | None = None
    while kept.n_counting < limit and n_read < _DEPTH * limit:
        query = _newest_first(user).limit(page)
        if last is not None:
            query = query.where(tuple_(events.c.time, events.c.id) < last)
        rows = connection.execute(query).all()
        for row in rows:
            kept.add(row.item_id, row.type, row.time)
        n_read += len(rows)
        if len(rows) < page:
            break
        last = (rows[-1].time, rows[-1].id)
    latest = [(item, weight) for item, weight in kept.items.items() if weight > 0][:limit]
    return dict(reversed(latest))


class _Weighing:
    """Weights of items from events that come the newest first."""

    def __init__(self, weights: Mapping[str, float] | None, duplicates: Duplicates) -> None:
        self._weights, self._sum = weights, duplicates == "sum"
        self.items: dict[str, float] = {}  # 0 for one that was taken away
        self._times: dict[str, float] = {}  # of the event that decides
        self._closed: set[str] = set()  # items with an event of weight 0: older ones do not count

    @property
    def n_counting(self) -> int:
        """How many items have a weight above 0."""
        return sum(weight > 0 for weight in self.items.values())

    def add(self, item: str, kind: str, time: float) -> None:
        weight = 1.0 if self._weights is None else self._weights.get(kind)
        if weight is None or item in self._closed:
            return
        if weight == 0:
            self._closed.add(item)
            self.items.setdefault(item, 0.0)
        elif item not in self.items:
            self.items[item], self._times[item] = weight, time
        elif self._sum:
            self.items[item] += weight
        elif self._times[item] == time:  # as `shoal.read` decides between equal times
            self.items[item] = max(self.items[item], weight)


def recent_users(connection: Connection, n_events: int) -> list[tuple[str, int, float]]:
    """The users of the events that were stored last, their events among these, and the latest time.

    The user whose event was stored last comes first.
    """
    query = select(events.c.user_id, events.c.time).order_by(events.c.id.desc()).limit(n_events)
    users: dict[str, tuple[int, float]] = {}
    for name, time in connection.execute(query):
        number, latest = users.get(name, (0, time))
        users[name] = number + 1, max(latest, time)
    return [(name, *about) for name, about in users.items()]


def values_of_user(connection: Connection, user: str, limit: int) -> dict[str, float]:
    """The latest value of each of the user's items, the item of the oldest event first."""
    query = _newest_first(user).where(events.c.value.is_not(None)).limit(_DEPTH * limit)
    latest: dict[str, float] = {}
    for row in connection.execute(query):
        if len(latest) == limit and row.item_id not in latest:
            break
        latest.setdefault(row.item_id, row.value)
    return dict(reversed(latest.items()))


def pages(database: Database, since: float | None, until: float | None) -> Iterator[Sequence[Any]]:
    """All events of a time window in the order in which they were stored, a page at a time.

    Each page is a query of its own, so that a long export keeps no old state alive. What is stored
    after the first page is left out.
    """
    window = []
    if since is not None:
        window.append(events.c.time >= since)
    if until is not None:
        window.append(events.c.time < until)
    with database.read() as connection:
        newest = connection.execute(select(func.max(events.c.id))).scalar() or 0
    last = 0
    while last < newest:
        query = (
            select(events.c.id, *_OF_EVENT)
            .where(events.c.id > last, events.c.id <= newest, *window)
            .order_by(events.c.id)
            .limit(PAGE)
        )
        with database.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        yield rows
        last = rows[-1].id


def frame_of(rows: Sequence[Any]) -> pl.DataFrame:
    """Events as a table that `shoal.read` reads, with two columns more."""
    import polars as pl

    schema = {
        **{"id_": pl.Int64, "user": pl.String, "item": pl.String, "event": pl.String},
        **{"value": pl.Float64, "time": pl.Float64, "request_id": pl.String, "id": pl.String},
    }
    frame = pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")
    return frame.drop("id_").with_columns(pl.col("value").fill_null(1.0))


def clicks(
    connection: Connection, since: float | None, until: float | None, model: str | None
) -> list[Clicks]:
    """What users did with the lists that were shown in a time window, by model and version."""
    window = [lists.c.time >= since] if since is not None else []
    window += [lists.c.time < until] if until is not None else []
    window += [lists.c.model == model] if model is not None else []
    n_lists: Counter[tuple[str, str]] = Counter()
    n_shown: Counter[tuple[str, str]] = Counter()
    streamed = connection.execution_options(yield_per=10_000)
    select_lists = select(lists.c.model, lists.c.version, lists.c.shown).where(*window)
    for name, version, shown in streamed.execute(select_lists):
        n_lists[name, version] += 1
        n_shown[name, version] += len(json.loads(shown))
    columns = (lists.c.id, lists.c.model, lists.c.version, lists.c.shown)
    acted = (
        select(*columns, events.c.type, events.c.item_id)
        .join(events, events.c.request_id == lists.c.request_id)
        .where(*window)
        .order_by(lists.c.id)
    )
    n_clicks: Counter[tuple[str, str, str]] = Counter()
    for (_, name, version, shown), rows in groupby(
        streamed.execute(acted), key=lambda row: tuple(row[:4])
    ):
        items = set(json.loads(shown))
        for kind, item in {(row.type, row.item_id) for row in rows}:
            n_clicks[name, version, kind] += item in items
    seen = sorted({kind for (_, _, kind), n in n_clicks.items() if n})
    types: list[str | None] = [*seen] or [None]
    return [
        Clicks(
            *(*key, kind, n_lists[key], n_shown[key], n_clicks[*key, kind or ""]),
            n_clicks[*key, kind or ""] / n_shown[key] if n_shown[key] else 0.0,
        )
        for key in sorted(n_lists)
        for kind in types
    ]


def facts(connection: Connection, place: str) -> StoreFacts:
    """What a database holds."""

    def number(query: Select[Any]) -> int:
        return int(connection.execute(query).scalar() or 0)

    by_type = select(events.c.type, func.count()).group_by(events.c.type).order_by(events.c.type)
    types = {str(kind): int(n) for kind, n in connection.execute(by_type)}
    ends = connection.execute(select(func.min(events.c.time), func.max(events.c.time))).one()
    return StoreFacts(
        place=place,
        schema_version=version_of(connection),
        events=sum(types.values()),
        lists=number(select(func.count()).select_from(lists)),
        users=number(select(func.count(events.c.user_id.distinct()))),
        deleted_users=number(select(func.count()).select_from(deleted_users)),
        types=types,
        oldest=ends[0],
        newest=ends[1],
        bytes=size_of(connection),
    )
