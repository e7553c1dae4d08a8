"""How the tables come to be: one function for each version, run in one transaction.

A function is never changed once it was released: a database of any age goes through those that it
lacks. Two processes that start at once take turns: SQLite by its write lock, PostgreSQL by an
advisory lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, func, insert, inspect, select, text

from shoal.errors import EventsUnavailable
from shoal.events.database import Database
from shoal.events.schema import versions

_LOCK = 7_361_420_055  # a number of our own for PostgreSQL's advisory lock


def _identity(connection: Connection) -> str:
    """The type of a column that numbers the rows."""
    if connection.dialect.name == "sqlite":
        return "INTEGER PRIMARY KEY"
    return "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(text(statement))


def _events(connection: Connection) -> None:
    _run(
        connection,
        f"""CREATE TABLE shoal_events (
            id {_identity(connection)},
            user_id TEXT NOT NULL,
            item_id TEXT NOT NULL,
            type TEXT NOT NULL,
            value DOUBLE PRECISION,
            time DOUBLE PRECISION NOT NULL,
            received DOUBLE PRECISION NOT NULL,
            event_key TEXT
        )""",
        "CREATE INDEX shoal_events_user ON shoal_events (user_id, time, id)",
        "CREATE INDEX shoal_events_time ON shoal_events (time)",
        """CREATE UNIQUE INDEX shoal_events_key ON shoal_events (event_key)
            WHERE event_key IS NOT NULL""",
        """CREATE TABLE shoal_calls (
            key TEXT NOT NULL PRIMARY KEY,
            digest TEXT NOT NULL,
            time DOUBLE PRECISION NOT NULL
        )""",
        "CREATE INDEX shoal_calls_time ON shoal_calls (time)",
        """CREATE TABLE shoal_deleted_users (
            user_hash TEXT NOT NULL PRIMARY KEY,
            time DOUBLE PRECISION NOT NULL
        )""",
    )


def _lists(connection: Connection) -> None:
    _run(
        connection,
        f"""CREATE TABLE shoal_lists (
            id {_identity(connection)},
            request_id TEXT NOT NULL UNIQUE,
            user_id TEXT,
            model TEXT NOT NULL,
            version TEXT NOT NULL,
            time DOUBLE PRECISION NOT NULL,
            shown TEXT NOT NULL
        )""",
        "CREATE INDEX shoal_lists_time ON shoal_lists (time)",
        "CREATE INDEX shoal_lists_user ON shoal_lists (user_id) WHERE user_id IS NOT NULL",
        "ALTER TABLE shoal_events ADD COLUMN request_id TEXT",
        """CREATE INDEX shoal_events_request ON shoal_events (request_id)
            WHERE request_id IS NOT NULL""",
    )


def _experiments(connection: Connection) -> None:
    _run(
        connection,
        "ALTER TABLE shoal_lists ADD COLUMN experiment TEXT",
        "ALTER TABLE shoal_lists ADD COLUMN variant TEXT",
        """CREATE INDEX shoal_lists_experiment ON shoal_lists (experiment, user_id, id)
            WHERE experiment IS NOT NULL""",
        f"""CREATE TABLE shoal_promotions (
            id {_identity(connection)},
            experiment TEXT NOT NULL,
            variant TEXT,
            time DOUBLE PRECISION NOT NULL
        )""",
        "CREATE INDEX shoal_promotions_experiment ON shoal_promotions (experiment, id)",
    )


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_events, _lists, _experiments)
NEWEST = len(MIGRATIONS)


def version_of(connection: Connection) -> int:
    """Version of the tables in a database; 0 where there are none."""
    if not inspect(connection).has_table(versions.name):
        return 0
    return connection.execute(select(func.max(versions.c.version))).scalar() or 0


def checked_version(connection: Connection, place: str) -> int:
    """Version of the tables in a database; 0 where there are none.

    Raises
    ------
    EventsUnavailable
        The tables are newer than this program knows, or a SQLite file is that of another program.
    """
    version = version_of(connection)
    if version > NEWEST:
        raise EventsUnavailable(
            f"{place} has tables of version {version}, and this shoal knows versions up to "
            f"{NEWEST}: install the shoal that made them, or a later one (pip install -U shoal), "
            "or name another database"
        )
    if connection.dialect.name == "sqlite" and version == 0:
        _refuse_other_programs(connection, place)
    return version


def migrate(connection: Connection, place: str) -> None:
    """Bring the tables of a database to the newest version, within the transaction of a connection.

    Raises
    ------
    EventsUnavailable
        As `checked_version` does.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    version = checked_version(connection, place)
    if version == 0:
        _run(
            connection,
            f"CREATE TABLE IF NOT EXISTS {versions.name} "
            "(version INTEGER NOT NULL PRIMARY KEY, time DOUBLE PRECISION NOT NULL)",
        )
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        migration(connection)
        connection.execute(insert(versions).values(version=number, time=time.time()))


def _refuse_other_programs(connection: Connection, place: str) -> None:
    """Refuse a SQLite file with tables, none of which is shoal's."""
    names = inspect(connection).get_table_names()
    if names and not any(name.startswith("shoal_") for name in names):
        raise EventsUnavailable(
            f"{place} is the database of another program (it has a table {names[0]!r}): name "
            "another file"
        )


def bring_up_to_date(database: Database) -> None:
    """Make the tables of a database, or bring them to the newest version.

    Raises
    ------
    EventsUnavailable
        The database cannot be used, or as `checked_version` does.
    """
    with database.read() as connection:
        version = checked_version(connection, database.place)
    database.prepare()
    if version < NEWEST:
        with database.write() as connection:
            migrate(connection, database.place)
