"""The pointer of a store: the file ``CURRENT`` that names the live version."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from shoal.artifact.manifest import MANIFEST
from shoal.errors import ArtifactError

CURRENT, LOCK = "CURRENT", "LOCK"
MAPS = "maps"  # folder of a store with the maps of its versions' items, which is no version
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")  # of a version

_LONGEST = 1000  # bytes of the pointer
_ATTEMPTS = 20  # to open a version while others are made live

T = TypeVar("T")


def is_store(path: str | Path) -> bool:
    """Whether a folder is a store of versions, and no model folder."""
    path = Path(path)
    try:
        return not (path / MANIFEST).exists() and (
            (path / CURRENT).is_file() or (path / LOCK).is_file()
        )
    except (OSError, ValueError):
        return False


def current_name(store: Path) -> str:
    """The name of the live version, as the pointer says it; nothing else is read.

    Raises
    ------
    ArtifactError
        There is no pointer, it cannot be read, or it holds no name.
    """
    try:
        with (store / CURRENT).open("rb") as file:
            text = file.read(_LONGEST).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        raise ArtifactError(
            f"{store} has no live version{_those_there(store)}: shoal publish a model to it, or "
            "shoal activate a version"
        ) from None
    except OSError as error:
        raise ArtifactError(f"{store / CURRENT} cannot be read: {error}") from None
    if not NAME.fullmatch(text):
        raise ArtifactError(
            f"{store / CURRENT} is damaged, it names no version{_those_there(store)}: "
            "shoal activate one of them"
        )
    return text


def live_folder(path: Path) -> Path:
    """The folder of the live version of a store; any other path as it is.

    Raises
    ------
    ArtifactError
        The store has no live version, or its pointer names one that is not there.
    """
    if not is_store(path):
        return path
    name = current_name(path)
    if not (path / name).is_dir():
        again = current_name(path)  # it may have been replaced and removed just now
        if again == name or not (path / again).is_dir():
            raise ArtifactError(
                f"{path / CURRENT} names {name}, which is not there{_those_there(path)}: "
                "shoal activate one of them"
            )
        name = again
    return path / name


def of_live(path: Path, read: Callable[[Path], T]) -> T:
    """Call a function with a model folder: with the live version's, where the path is a store.

    It is called again if another version became live while it failed, since the first may have been
    removed then.
    """
    if not is_store(path):
        return read(path)
    for _ in range(_ATTEMPTS):
        folder = live_folder(path)
        try:
            return read(folder)
        except ArtifactError:
            if live_folder(path) == folder:
                raise
    raise ArtifactError(f"{path}: another version became live at each attempt: try again later")


def version_names(store: Path) -> list[str]:
    """The names of all versions in a store, in the order in which they were published."""
    try:
        folders = (p for p in store.iterdir() if NAME.fullmatch(p.name) and p.is_dir())
        return sorted(p.name for p in folders if p.name != MAPS)
    except OSError as error:
        raise ArtifactError(f"{store} cannot be read: {error}") from None


def map_file(store: Path, version: str) -> Path:
    """Where the map of a version's items is kept, if it was made."""
    return store / MAPS / f"{version}.json"


def _those_there(store: Path) -> str:
    """Which versions a store holds, for messages: the newest ones."""
    names = version_names(store)
    if not names:
        return " (it holds no version)"
    shown = ", ".join(names[::-1][:5])
    return f" (it holds {shown}{', …' if len(names) > 5 else ''})"
