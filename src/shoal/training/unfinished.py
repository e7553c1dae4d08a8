"""Files that are being written, in a folder of their own, and those that killed processes left.

A process holds a lock on the folder in which it writes, and the system releases the lock when the
process ends, however it ends. So a folder without a lock was abandoned. This holds for several
processes, containers and hosts that share a disk, whose process numbers say nothing about each
other.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_END = ".unfinished"


@contextmanager
def locked_beside(path: Path) -> Iterator[Path]:
    """Give the name of a file to write, in a new, locked folder beside `path`.

    The caller writes that file and renames it to `path`. The folder is removed when the block ends.

    Raises
    ------
    OSError
        The folder cannot be made.
    """
    while True:
        folder = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_END}")
        folder.mkdir()
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # it was swept before it was locked
        with suppress(OSError):  # a file system without locks: then nobody sweeps there either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists():
            break
        os.close(handle)
    try:
        yield folder / path.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def sweep_beside(path: Path) -> None:
    """Remove the folders of `locked_beside` for this path whose processes have ended.

    A folder that cannot be locked or removed stays.
    """
    with suppress(OSError):
        for folder in list(path.parent.iterdir()):
            if folder.name.startswith(f".{path.name}.") and folder.name.endswith(_END):
                _remove_abandoned(folder)


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder if no process holds its lock."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an OSError if it is in use
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
