"""Locks on files, which end with the process that holds them, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from shoal.errors import ArtifactError

_PAUSE = 0.02  # seconds between two attempts


class LockedError(ArtifactError):
    """Another process, or another thread of this one, holds the lock; the message says who."""


@contextlib.contextmanager
def locked(file: Path, *, wait: float, purpose: str) -> Iterator[None]:
    """Hold the lock on a file, which is made if it is not there.

    Where a file system has no locks, none is held.

    Parameters
    ----------
    file : Path
    wait : float
        Seconds to wait for others.
    purpose : str
        What this process does meanwhile, for the messages of others.

    Raises
    ------
    LockedError
        Another process still held it after `wait` seconds.
    OSError
        The file cannot be written.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, file, wait)
        about = {
            "purpose": purpose,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(about).encode() + b"\n", 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, file: Path, wait: float) -> None:
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise LockedError(f"{file.parent} is in use: {_holder(descriptor)}") from None
            time.sleep(_PAUSE)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL):
                return
            raise


def _holder(descriptor: int) -> str:
    """Who holds a lock and what for, as its file says."""
    try:
        about = json.loads(os.pread(descriptor, 1000, 0))
        return (
            f"{about['purpose']} by process {about['pid']} on {about['host']} "
            f"since {about['since']}"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return "another process holds its lock"
