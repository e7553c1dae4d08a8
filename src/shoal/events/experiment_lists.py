"""What is read of experiments: their lists, one user's after another, and what was decided."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_

from shoal.events.database import Database
from shoal.events.event import ExperimentList, Promotion
from shoal.events.schema import events, lists, promotions

PAGE = 2_000  # lists of one query
_NOBODY: frozenset[str] = frozenset()


def promotions_of(connection: Connection, experiment: str) -> list[Promotion]:
    """What was decided of an experiment, the oldest first."""
    query = select(promotions.c.variant, promotions.c.time).where(
        promotions.c.experiment == experiment
    )
    return [Promotion(*row) for row in connection.execute(query.order_by(promotions.c.id))]


def experiment_counts(connection: Connection) -> dict[str, int]:
    """How many lists are stored of each experiment, by its name."""
    name = lists.c.experiment
    query = select(name, func.count()).where(name.is_not(None)).group_by(name)
    return dict(sorted((str(row[0]), int(row[1])) for row in connection.execute(query)))


def experiment_lists(
    database: Database, experiment: str, success: str, since: float | None, until: float | None
) -> Iterator[ExperimentList]:
    """The lists of an experiment in a time window, those without a user first.

    Lists of one user follow each other in the order in which they were stored.
    """
    with database.read() as connection:
        newest = connection.execute(select(func.max(lists.c.id))).scalar() or 0
    window: list[ColumnElement[bool]] = [lists.c.experiment == experiment, lists.c.id <= newest]
    window += [lists.c.time >= since] if since is not None else []
    window += [lists.c.time < until] if until is not None else []
    for of_users, order in (
        (lists.c.user_id.is_(None), (lists.c.id,)),
        (lists.c.user_id.is_not(None), (lists.c.user_id, lists.c.id)),
    ):
        query = select(lists).where(*window, of_users).order_by(*order).limit(PAGE)
        last: tuple[Any, ...] | None = None
        n_rows = PAGE
        while n_rows == PAGE:
            page = query if last is None else query.where(tuple_(*order) > last)
            with database.read() as connection:
                rows = connection.execute(page).all()
                clicked = _clicked(connection, page, success)
            for row in rows:
                yield ExperimentList(
                    row.user_id, row.variant or "", row.time, tuple(json.loads(row.shown)),
                    frozenset(clicked.get(row.request_id, _NOBODY)),
                )  # fmt: skip
            n_rows = len(rows)
            if rows:
                last = tuple(getattr(rows[-1], column.name) for column in order)


def _clicked(connection: Connection, page: Select[Any], success: str) -> dict[str, set[str]]:
    """The items that were clicked in the lists of a page, by the requests' ids."""
    of_page = page.with_only_columns(lists.c.request_id).subquery()
    query = (
        select(events.c.request_id, events.c.item_id)
        .join(of_page, of_page.c.request_id == events.c.request_id)
        .where(events.c.type == success)
        .distinct()
    )
    clicked: dict[str, set[str]] = defaultdict(set)
    for request, item in connection.execute(query):
        clicked[request].add(item)
    return clicked
