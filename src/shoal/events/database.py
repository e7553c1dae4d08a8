"""A SQLite file or a PostgreSQL server: how it is opened, and what its errors mean to a user."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url, text

from shoal.errors import DataError, EventError, EventsUnavailable, MissingExtraError
from shoal.web import printable

BUSY = 5.0  # seconds for which another process may hold the lock of a SQLite file
CONNECT = 5  # seconds for PostgreSQL to answer
_READERS = 16  # connections of one process at most

# FULL: what was committed is on the disk, also after a power cut. secure_delete: what is deleted
# is overwritten.
WRITER_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_size_limit = 67108864",
)


class Database:
    """Connections to one database: one for writing, several for reading.

    Parameters
    ----------
    where : str or Path
        Path of a SQLite file, or a URL: ``sqlite:///…``, ``postgresql://…``, ``postgres://…``.
    create : bool
        Whether a SQLite file that is not there is made.
    read_timeout : float
        Seconds that a transaction which reads may take.

    Raises
    ------
    DataError
        No such kind of database, or a URL that cannot be read.
    MissingExtraError
        PostgreSQL needs a library that is not there.
    EventsUnavailable
        The SQLite file cannot be made, or is not there.
    """

    def __init__(
        self, where: str | Path, *, create: bool = True, read_timeout: float = 10.0
    ) -> None:
        url = _url(where)
        self._read_timeout = read_timeout
        self._file: tuple[int, int] | None = None  # the SQLite file that is open
        self.is_sqlite = url.get_backend_name() == "sqlite"
        secrets = (url.password, *url.normalized_query.get("password", ()))
        self._secrets = [str(secret) for secret in secrets if secret]
        if self.is_sqlite:
            self.path = Path(url.database or "")
            self.place = str(self.path)
            self._create = create
            self._check_file(create=create)
            self._file = _identity(self.path)
            self.writing = self._sqlite(url, "BEGIN IMMEDIATE", 1)
            self.reading = self._sqlite(url, "BEGIN", _READERS)
        else:
            host = url.host or url.query.get("host") or "the local socket"
            port = f":{url.port}" if url.port else ""
            self.place = f"the database {url.database or ''} at {host}{port}".replace("  ", " ")
            self.writing = _postgres(url, 1, 60.0, reading=False)
            self.reading = _postgres(url, _READERS, read_timeout, reading=True)

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end: on the disk when this returns.

        Raises
        ------
        EventsUnavailable, EventError
        """
        file = self._file
        with self._explained("writing"), self.writing.begin() as connection:
            yield connection
        if file is not None and _identity(self.path) != file:
            raise EventsUnavailable(
                f"{self.place} was replaced or removed while it was written to: what was sent may "
                "be stored or not, send it again with the same key"
            )

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees what was committed before.

        Raises
        ------
        EventsUnavailable
        """
        with self._explained("reading"), self.reading.connect() as connection:
            yield connection

    def prepare(self) -> None:
        """Switch a SQLite file to WAL, where readers and the writer do not wait for each other.

        Raises
        ------
        EventsUnavailable
        """
        if not self.is_sqlite:
            return
        until = time.monotonic() + BUSY
        while True:  # this pragma does not wait for the lock of another process
            try:
                with self.plain() as connection:
                    if _pragma(connection, "journal_mode") != "wal":
                        _pragma(connection, "journal_mode = WAL")
                return
            except EventsUnavailable as error:
                if "readonly" in str(error):  # it can be read as it is
                    return
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def erase(self, *, vacuum: bool) -> None:
        """Have nothing of deleted rows left in the files of SQLite.

        Rows that were deleted stay in the WAL until it is emptied. And though SQLite overwrites
        what it deletes, rows that it moved between pages before may have left a copy in unused
        space, which goes when the file is written anew (`vacuum`).

        Raises
        ------
        EventsUnavailable
            Another process reads or writes all the time.
        """
        if not self.is_sqlite:
            return
        with self.plain() as connection:
            if vacuum:
                connection.execute("VACUUM")
            for _ in range(3):  # each waits for readers some seconds
                if _pragma(connection, "wal_checkpoint(TRUNCATE)") == 0:
                    return
        raise EventsUnavailable(f"{self.place}: other processes read without end")

    def size(self) -> int:
        """Bytes of a SQLite file."""
        return self.path.stat().st_size if self.is_sqlite else 0

    @contextlib.contextmanager
    def plain(self) -> Iterator[Any]:
        """The writing connection of a SQLite file as sqlite3 has it, outside of a transaction."""
        with self._explained("writing"):
            borrowed = self.writing.raw_connection()
            try:
                yield borrowed.driver_connection
            finally:
                borrowed.close()

    def was_replaced(self) -> bool:
        """Whether another file, or none, is now where the SQLite file was that is open.

        Connections go on to write to the one that was open, where nobody would find it again.
        """
        return self._file is not None and _identity(self.path) != self._file

    def reopen(self) -> bool:
        """Take the file that is there now, or make one, in place of the one that was open.

        Returns
        -------
        bool
            Whether the events begin anew: there was no file, or an empty one.

        Raises
        ------
        EventsUnavailable
            There is none, and none can or may be made.
        """
        self.close()
        self._check_file(create=self._create)
        self._file = _identity(self.path)
        return self.size() == 0

    def close(self) -> None:
        """Close all connections."""
        self.writing.dispose()
        self.reading.dispose()

    def forget(self) -> None:
        """Leave the connections to the process that this one was forked from."""
        self.writing.dispose(close=False)
        self.reading.dispose(close=False)

    def _check_file(self, *, create: bool) -> None:
        """Make a SQLite file that its owner alone can read, or refuse."""
        if self.path.is_dir():
            raise EventsUnavailable(f"{self.path} is a folder: name a file for the events")
        if self.path.exists():
            return
        if not create:
            raise EventsUnavailable(f"{self.path}: there is no such database of events")
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise EventsUnavailable(
                f"{self.path} cannot be made ({error.strerror}): name a file in a folder that is "
                "there and can be written to"
            ) from error

    def _sqlite(self, url: URL, begin: str, connections: int) -> Engine:
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=BUSY,
            connect_args={"timeout": BUSY, "check_same_thread": False},
        )
        reading = begin == "BEGIN"

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # transactions are begun below
            if not reading:
                for pragma in WRITER_PRAGMAS:
                    connection.execute(pragma)

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            if reading:
                _limit_time(connection, self._read_timeout)
            connection.exec_driver_sql(begin)

        return engine

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn errors of the database into those of shoal, without secrets and without ids."""
        try:
            yield
        except (exc.DataError, exc.IntegrityError) as error:
            raise EventError(
                f"{self.place} refuses what is to be stored: {self._text(error)}"
            ) from (None)
        except (exc.DBAPIError, exc.TimeoutError, sqlite3.Error) as error:
            text = self._text(error)
            raise EventsUnavailable(
                f"{self.place}: {doing} failed ({text}){_way_out(text)}"
            ) from None

    def _text(self, error: BaseException) -> str:
        """What the driver says, in one line, without the password."""
        message = printable(getattr(error, "orig", None) or error, 300)
        for secret in self._secrets:
            message = message.replace(secret, "…").replace(quote(secret, safe=""), "…")
        return message


def _identity(file: Path) -> tuple[int, int] | None:
    """What tells a file from another one at the same path; None where there is none."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _url(where: str | Path) -> URL:
    """The URL of a database as SQLAlchemy takes it."""
    if isinstance(where, Path) or "://" not in where:
        if str(where) in ("", ":memory:"):
            raise DataError("events are kept in a file or on a server: name one")
        return URL.create("sqlite", database=str(where))
    scheme = where.partition("://")[0]
    try:
        url = make_url(where)
    except (exc.ArgumentError, ValueError):  # whose text may hold the password
        raise DataError(
            f"the address {scheme}://… of the events cannot be read: write "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for @ in a password"
        ) from None
    if scheme == "sqlite":
        if not url.database or url.database == ":memory:":
            raise DataError("sqlite://: name a file, such as sqlite:///events.db")
        return URL.create("sqlite", database=url.database)
    if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise DataError(
        f"{scheme}:// is no database that keeps events: name a file (SQLite), or an address that "
        "begins with postgresql://"
    )


def _postgres(url: URL, connections: int, seconds: float, *, reading: bool) -> Engine:
    defaults = {"connect_timeout": CONNECT, "tcp_user_timeout": 10_000, "application_name": "shoal"}
    options: dict[str, Any] = {k: v for k, v in defaults.items() if k not in url.query}
    options["prepare_threshold"] = None  # so that pgbouncer can stand between
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=BUSY,
            pool_pre_ping=True,  # connections that a restart of the server broke are replaced
            connect_args=options,
        )
    except ImportError as error:
        raise MissingExtraError(
            "events on PostgreSQL need a library that is not there: pip install 'shoal[postgres]'"
        ) from error

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {int(1000 * seconds)}")
            cursor.execute(f"SET lock_timeout = {int(1000 * BUSY)}")
            if not reading:  # as the server has it, but never less than on its own disk
                cursor.execute(
                    "SELECT set_config('synchronous_commit', 'on', false) "
                    "WHERE current_setting('synchronous_commit') = 'off'"
                )
        connection.commit()

    return engine


def _limit_time(connection: Connection, seconds: float) -> None:
    """Have SQLite give up a query after some seconds."""
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > until, 10_000)


def _pragma(connection: Any, pragma: str) -> Any:
    row = connection.execute(f"PRAGMA {pragma}").fetchone()
    return row and row[0]


_WAYS_OUT = {
    "locked": "another program holds a lock on the file: end it (a shell of sqlite3, a backup), "
    "and send again",
    "disk is full": "free some room on the disk, and send again",
    "readonly": "let this user write to the file and to its folder",
    "not a database": "name another file, or restore this one from a backup",
    "malformed": "the file is damaged: restore it from a backup",
    "unable to open": "look whether its folder is there and can be written to",
    "interrupted": "the query took too long",
    "statement timeout": "the query took too long",
    "lock timeout": "another program holds a lock on the tables",
    "password": "look after the user and the password of the address",
    "no such table": "its tables were removed: start again, or restore a backup",
    "does not exist": "look after the name of the database and its tables",
    "QueuePool": "all connections are in use: ask less at once",
    "connection": "look whether the server runs and lets this machine in; shoal goes on by itself "
    "once it does",
}


def _way_out(message: str) -> str:
    return next((f": {way}" for sign, way in _WAYS_OUT.items() if sign in message), "")


def size_of(connection: Connection) -> int | None:
    """Bytes of a database, where it says so."""
    if connection.dialect.name == "sqlite":
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        size = connection.execute(text("PRAGMA page_size")).scalar()
        return int(pages or 0) * int(size or 0)
    query = text("SELECT pg_database_size(current_database())")
    return int(connection.execute(query).scalar() or 0)
