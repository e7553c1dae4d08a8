"""What is particular to a PostgreSQL server: passwords, and a server that goes and comes back."""

from __future__ import annotations

import time

import pytest

from shoal.errors import DataError
from shoal.events import Event, EventStore, EventsUnavailable, Receipt

from .conftest import new_database
from .postgres import PASSWORD, Server

SECRET = "hunter2@home"  # noqa: S105 - the wrong one


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_all_ways_to_write_an_address(postgres: Server, scheme: str) -> None:
    url = new_database(postgres).replace("postgresql", scheme)
    with EventStore(url) as store:
        assert store.append([Event(1, 2)]) == Receipt(1)
        assert store.place == f"the database postgres at 127.0.0.1:{postgres.port}"
        assert PASSWORD not in repr(store.facts())


def wrong_addresses(server: Server) -> list[tuple[str, str]]:
    right = server.url("postgres", SECRET)
    nowhere = right.replace(f":{server.port}/", ":1/")
    return [
        (right, "password authentication failed.*look after the user and the password"),
        (nowhere, "Connection refused.*look whether the server runs"),
        (server.url("nope"), "does not exist.*look after the name"),
        (right + "?no_such_option=1", "no_such_option"),
        (
            f"postgresql://shoal@127.0.0.1:{server.port}/postgres?password=hunter2%40home",
            "password",
        ),
    ]


@pytest.mark.parametrize("number", range(5))
def test_errors_name_the_place_and_never_the_password(postgres: Server, number: int) -> None:
    url, message = wrong_addresses(postgres)[number]
    with pytest.raises(EventsUnavailable, match=message) as refused:
        EventStore(url)
    shown = f"{refused.value} {refused.value!r} {refused.value.__cause__!r}"
    assert "127.0.0.1" in shown
    for secret in (SECRET, "hunter2", PASSWORD, "s3cret"):
        assert secret not in shown


@pytest.mark.parametrize(
    "url", [f"postgresql://me:{SECRET}:x@host:port/db", f"postgresql://me:{SECRET}@host:99x/db"]
)
def test_an_address_that_cannot_be_read(url: str) -> None:
    with pytest.raises(DataError, match="cannot be read: write postgresql://USER") as refused:
        EventStore(url)
    assert "hunter2" not in str(refused.value)


def test_a_server_that_goes_away_and_comes_back(postgres: Server) -> None:
    with EventStore(new_database(postgres)) as store:
        store.append([Event(1, 2)])
        postgres.stop()
        try:
            for call in (lambda: store.append([Event(1, 3)]), lambda: store.history(1)):
                began = time.monotonic()
                with pytest.raises(EventsUnavailable, match=r"127.0.0.1.*goes on by itself"):
                    call()
                assert time.monotonic() - began < 10
            assert not store.ping()
            waiting = EventStore(postgres.url("postgres"), connect=False)
            assert not waiting.ping()
        finally:
            postgres.start()
        assert store.append([Event(1, 3)]) == Receipt(1)
        assert list(store.history(1)) == ["2", "3"]
        assert waiting.append([Event(1, 4)]) == Receipt(1)
        waiting.close()


def test_a_query_that_takes_too_long(postgres: Server) -> None:
    from sqlalchemy import text

    with (
        EventStore(new_database(postgres), read_timeout=0.2) as store,
        pytest.raises(EventsUnavailable, match=r"statement timeout.*took too long"),
        store._database.read() as connection,
    ):
        connection.execute(text("SELECT pg_sleep(5)"))


def test_a_query_that_takes_too_long_on_sqlite(tmp_path: object) -> None:
    from sqlalchemy import text

    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with (
        EventStore(f"{tmp_path}/e.db", read_timeout=0.2) as store,
        pytest.raises(EventsUnavailable, match=r"interrupted.*took too long"),
        store._database.read() as connection,
    ):
        connection.execute(text(endless)).scalar()
