"""Where studies are kept: in memory, or in an SQLite file that several processes share."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from sqlalchemy import URL

from shoal.artifact.locks import LockedError, locked
from shoal.errors import DataError

_HEAD = b"SQLite format 3\x00"
_ABOUT = "shoal"  # attribute of a study that says what it is about
_WAIT = 120.0  # seconds; a lock is held for a moment


class Storage:
    """Optuna's storage, with what it lacks: checks of the file, and a lock.

    Parameters
    ----------
    file : Path, optional
        None keeps studies in memory.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._optuna: BaseStorage
        if file is None:
            self._optuna = InMemoryStorage()
            return
        _check_place(file)
        url = URL.create("sqlite", database=str(file.absolute())).render_as_string()
        with self.locked():  # two processes must not make the tables at once
            _check_content(file)
            self._optuna = RDBStorage(url, {"connect_args": {"timeout": _WAIT}})

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from changing the studies of this file meanwhile."""
        if self._file is None:
            yield
            return
        with _explained(self._file), locked(_lock_of(self._file), wait=_WAIT, purpose="tuning"):
            yield

    def study(self, name: str, about: Mapping[str, Any]) -> optuna.Study:
        """The study of this name, which is made if it is not there.

        Raises
        ------
        DataError
            It is about something else.
        """
        try:
            study = optuna.create_study(storage=self._optuna, study_name=name, direction="maximize")
            study.set_user_attr(_ABOUT, dict(about))
        except DuplicatedStudyError:
            study = optuna.load_study(study_name=name, storage=self._optuna)
            _check_same(study, about, self._file)
        return study

    def close(self) -> None:
        """Close the connections."""
        if isinstance(self._optuna, RDBStorage):
            self._optuna.remove_session()
            self._optuna.engine.dispose()


def open_storage(file: Path | None) -> Storage:
    """Open an SQLite file of studies, or make one; None keeps studies in memory.

    Raises
    ------
    DataError
        The file is no SQLite file, is damaged, belongs to another program or cannot be written.
    """
    with quiet():
        return Storage(file)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from writing to the log, and from warning of what is experimental in it."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _lock_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")


def _check_place(file: Path) -> None:
    """Refuse a name under which no file can be read and written."""
    if file.is_dir():
        raise DataError(f"{file} is a folder: name a file for the study, such as study.sqlite")
    if not file.parent.is_dir():
        raise DataError(f"{file}: there is no folder {file.parent}")
    if not file.exists():
        if not os.access(file.parent, os.W_OK):
            raise DataError(f"{file}: the folder {file.parent} cannot be written to")
        return
    if not os.access(file, os.R_OK | os.W_OK):
        raise DataError(f"{file} cannot be read and written: a study needs both; change its rights")


def _check_content(file: Path) -> None:
    """Refuse a file that cannot hold studies, before anything is written to it."""
    if not file.exists() or file.stat().st_size == 0:
        return
    with file.open("rb") as opened:
        if opened.read(len(_HEAD)) != _HEAD:
            raise DataError(
                f"{file} is no SQLite file: a study is kept in one. Name another file, "
                "such as study.sqlite"
            )
    with _explained(file), contextlib.closing(sqlite3.connect(file, timeout=_WAIT)) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        checked = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    tables = {name for (name,) in rows}
    if tables and not {"studies", "trials", "version_info"} <= tables:
        raise DataError(
            f"{file} is the database of another program: its tables are "
            f"{', '.join(sorted(tables)[:5])}. Name another file for the study"
        )
    if checked != "ok":
        raise DataError(_damaged(file, checked))


def _damaged(file: Path, why: object) -> str:
    told = str(why).strip().splitlines()[0] if str(why).strip() else "no reason given"
    return (
        f"{file} cannot be used as a study, SQLite says: {told:.120}. It may be cut short or "
        "read-only: restore it from a copy, or name another file and begin anew"
    )


@contextlib.contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Say in one line what is wrong where the database refuses."""
    try:
        yield
    except LockedError as error:
        raise DataError(f"{file} cannot be locked: {error}") from None
    except sqlalchemy.exc.DBAPIError as error:
        raise DataError(_damaged(file, error.orig)) from None
    except optuna.exceptions.StorageInternalError as error:
        cause = error.__cause__ if error.__cause__ is not None else error
        raise DataError(_damaged(file, getattr(cause, "orig", cause))) from None
    except (sqlite3.DatabaseError, OSError) as error:
        raise DataError(_damaged(file, error)) from None
    except RuntimeError as error:  # the tables are those of another version of Optuna
        if "version" not in str(error):
            raise
        raise DataError(
            f"{file} was written with another version of Optuna: upgrade it with `optuna storage "
            f"upgrade --storage sqlite:///{file}`, or name another file"
        ) from None


def _check_same(study: optuna.Study, about: Mapping[str, Any], file: Path | None) -> None:
    """Refuse to go on with a study that is about something else, and say what differs."""
    before = study.user_attrs.get(_ABOUT)
    if not isinstance(before, dict):
        raise DataError(
            f"{file} holds a study {study.study_name!r} that shoal did not make: give this one "
            "another name or another file"
        )
    if isinstance(fixed := before.get("fixed"), dict):  # a study of before may name fewer values
        about = {**about, "fixed": {n: v for n, v in about["fixed"].items() if n in fixed}}
    differing = [
        f"{what} ({_difference(before.get(what), now)})"
        for what, now in about.items()
        if before.get(what) != now
    ]
    if differing:
        raise DataError(
            f"{file}: the study {study.study_name!r} there is another search, so it cannot go on. "
            f"Different are: {'; '.join(differing)}. Search as before, or name another file"
        )


def _difference(before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        names = [n for n in sorted({*before, *now}) if before.get(n) != now.get(n)]
        return ", ".join(
            f"{n}: {before.get(n, 'not')} there, {now.get(n, 'not')} here" for n in names
        )
    return f"{before} there, {now} here"
