"""Fresh databases, in SQLite files and on a PostgreSQL server of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.events import EventStore

from .postgres import Server, server

Open = Callable[..., EventStore]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server; tests that need it are skipped where it cannot run."""
    context = server()
    try:
        running = context.__enter__()
    except OSError as error:
        pytest.skip(f"PostgreSQL cannot run here: {error}")
    yield running
    context.__exit__(None, None, None)


def new_database(running: Server) -> str:
    """The URL of a database, which is emptied."""
    import psycopg

    with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
        connection.execute("SET client_min_messages = error")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return running.url("postgres")


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return str(tmp_path / "events.db")
    return new_database(request.getfixturevalue("postgres"))


@pytest.fixture
def open_store(where: str) -> Iterator[Open]:
    """Opens a store on the database of the test; all are closed at the end."""
    stores: list[EventStore] = []

    def opened(**settings: Any) -> EventStore:
        stores.append(EventStore(where, **settings))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Open) -> EventStore:
    """An empty store without weights."""
    return open_store()
