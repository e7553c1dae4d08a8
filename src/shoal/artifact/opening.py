"""Opening a model folder once, also while it is replaced."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from shoal.errors import ArtifactError
from shoal.folders import OpenFolder, ReplacedError
from shoal.unfinished import being_written

ATTEMPTS = 200  # to open a folder that is replaced again and again
PAUSE = 0.005  # seconds between two of them, from the third on

T = TypeVar("T")


def backup_of(path: Path) -> Path:
    """Where the old model is while a new one takes its place in two steps."""
    return path.with_name(f".{path.name}.old")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[OpenFolder]:
    """Open a model folder, or its backup while (or because) there is none at `path`.

    Raises
    ------
    ArtifactError
        There is no such folder.
    """
    with _open(path) as folder:
        yield folder


def whole(path: Path, read: Callable[[OpenFolder], T]) -> T:
    """Open a model folder and call a function that opens its files, anew if it was replaced.

    Parameters
    ----------
    path : Path
    read : callable
        Takes the open folder. It may be called several times.

    Raises
    ------
    ArtifactError
        There is no such folder, or it was replaced at every attempt.
    """
    for attempt in range(ATTEMPTS):
        if attempt > 1:
            time.sleep(PAUSE)
        with contextlib.suppress(ReplacedError), _open(path) as folder:
            return read(folder)
    raise ArtifactError(f"{path} was replaced each time that it was opened: try again later")


def _open(path: Path) -> OpenFolder:
    try:
        # of a link, the folder that it leads to: it is replaced there, and has its backup there
        place = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"{path} is no model folder ({error})") from None
    for attempt in range(ATTEMPTS):
        for candidate in (place, backup_of(place)):
            with contextlib.suppress(FileNotFoundError):
                return OpenFolder(candidate)
        # between the two steps of a replacement, or there is no model
        if not attempt or being_written(place):
            time.sleep(PAUSE)
            continue
        break
    raise ArtifactError(f"{path} is no model folder (no such folder)")
