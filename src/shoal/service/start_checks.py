"""What is checked before a service starts: that its folders and its file of events can be used."""

from __future__ import annotations

from pathlib import Path

from shoal.artifact.below import is_servable, told_below
from shoal.errors import EventsUnavailable
from shoal.service.model_checks import sqlite_path
from shoal.service.settings import ServiceError, Settings
from shoal.service.shared import open_events

_SQLITE = b"SQLite format 3\0"  # how each file of SQLite begins


def check_folders(settings: Settings) -> None:
    """Refuse what can never be served; an empty folder may become a store.

    Raises
    ------
    ServiceError
        There is no such folder, or it holds something else.
    """
    named = {"": settings.model} | {f"--also {k}: ": path for k, path in settings.also.items()}
    for where, path in named.items():
        if not path.is_dir():
            raise ServiceError(
                f"{where}{path} is no folder: name a model folder (shoal train … --out) or a store "
                "(shoal publish)"
            )
        if not is_servable(path) and not _is_empty(path):
            raise ServiceError(
                f"{where}{path} holds neither a model (manifest.json) nor a store of versions: "
                "name the folder of `shoal train --out` or `shoal publish`" + told_below(path)
            )


def _is_empty(folder: Path) -> bool:
    """Whether nothing is in a folder, beside files of the system such as ``lost+found``."""
    try:
        return all(
            each.name.startswith(".") or each.name == "lost+found" for each in folder.iterdir()
        )
    except OSError as error:
        raise ServiceError(f"{folder} cannot be read: {error.strerror}") from None


def check_events(settings: Settings) -> None:
    """Read the file of events once, and refuse one that never can be; a server may be down now.

    Raises
    ------
    ServiceError
        The file is no database.
    ShoalError
        It cannot be used, or a setting of it is wrong.
    """
    store = open_events(settings)
    if store is None:
        return
    with store:
        file = sqlite_path(settings.events or "")
        if file is None:
            return
        if is_no_database(file):
            raise ServiceError(
                f"{file} is no database of events: name a new file, or one that shoal made"
            )
        try:
            store.history("-", limit=1)  # whoever that is: the table itself is read
        except EventsUnavailable as error:
            if "locked" not in str(error):  # by another program, which may be done soon
                raise


def is_no_database(file: Path) -> bool:
    """Whether a file holds something else than a database of SQLite."""
    try:
        with file.open("rb") as opened:
            begin = opened.read(len(_SQLITE))
    except OSError:
        return False
    return bool(begin) and begin != _SQLITE
