"""Files and folders that are being written, and the removal of those that killed processes left.

Whatever is written whole is written under a name beside its place first. The name says which
process writes: the host, the pid namespace, the pid and its start, since containers that share a
volume have the same pids. While a process writes it holds a lock (flock) on the file or folder,
which ends with the process, however it ends. What is locked is never removed.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# what hosts that share a volume leave is removed after a day, since their locks may not be seen
LONG_AGO = 24 * 3600.0
LONGEST_STEM = 150  # bytes; longer names of targets are replaced by their hash

_OWNER = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<space>\d+)-(?P<pid>\d+)-(?P<start>\d+)")
_BEFORE_OWNERS = re.compile(r"\d+(\.[a-z0-9_]+)?")  # names that earlier versions of shoal gave


@contextlib.contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Make an empty folder beside `path` to write to; it is removed at the end if still there."""
    while True:
        folder = path.with_name(_new_name(path))
        folder.mkdir(0o755)
        with contextlib.suppress(FileNotFoundError):  # taken for a leftover, which is seen below
            folder.chmod(0o755)
        with _held(folder) as held:
            if not held:
                continue  # another process took it for a leftover before it was locked
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


@contextlib.contextmanager
def file_beside(path: Path) -> Iterator[Path]:
    """Make an empty file beside `path` to write to; it is removed at the end if still there."""
    while True:
        file = path.with_name(_new_name(path))
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
        with _held(file) as held:
            if not held:
                continue
            try:
                yield file
            finally:
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)
            return


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left unfinished beside `path` while they wrote it."""
    for leftover in being_written(path):
        with contextlib.suppress(OSError):
            _remove_if_dead(leftover)


def being_written(path: Path) -> list[Path]:
    """The unfinished files and folders that are beside `path` now, and are to become `path`."""
    prefix, found = f".{_stem(path.name)}.", []
    try:
        with os.scandir(path.parent) as entries:
            for entry in entries:
                rest = entry.name.removeprefix(prefix)
                if rest == entry.name:
                    continue
                owner = rest.removesuffix(".new")
                of_owner = _OWNER.match(owner) and owner != rest
                if of_owner or _BEFORE_OWNERS.fullmatch(owner):
                    found.append(path.with_name(entry.name))
    except OSError:
        return []
    return found


def _stem(name: str) -> str:
    raw = os.fsencode(name)
    return name if len(raw) <= LONGEST_STEM else hashlib.sha256(raw).hexdigest()[:32]


def _new_name(path: Path) -> str:
    """A name for an unfinished `path`, which says what process writes it."""
    return f".{_stem(path.name)}.{this_process()}.{secrets.token_hex(4)}.new"


def _host() -> str:
    """A number for this start of this host, the same in all of its containers."""
    try:
        identity = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        identity = platform.node()
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


def _pid_namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _started(pid: int) -> int:
    """When a process started, in ticks since the start of the host; 0 if that is not known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[19])
    except (OSError, ValueError, IndexError):
        return 0


@contextlib.contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Lock a file or folder until the end; False if another process has it, or has removed it.

    Where the file system has no locks it is True, and others tell by the name who writes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock(descriptor) is not False and _names(path, descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock an open file or folder: whether that succeeded; None where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _names(path: Path, descriptor: int) -> bool:
    """Whether `path` is the name of this open file or folder."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False


def _remove_if_dead(leftover: Path) -> None:
    """Remove an unfinished file or folder if the process that wrote it is surely gone."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(leftover, flags)
    try:
        locked = _lock(descriptor)
        if locked is False or not _names(leftover, descriptor):
            return
        owner = _OWNER.search(leftover.name)
        of_this_host = owner is not None and owner["host"] == _host()
        if of_this_host and locked:
            dead = True  # locks of this host are seen, in whatever container
        elif of_this_host and owner is not None and int(owner["space"]) == _pid_namespace():
            dead = not _is_running(int(owner["pid"]), int(owner["start"]))
        else:
            dead = time.time() - _last_change(leftover) > LONG_AGO
        if not dead:
            return
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _last_change(path: Path) -> float:
    """When a file, or a folder or anything in it, was last changed."""
    inside = list(path.iterdir()) if path.is_dir() else []
    return max(os.lstat(p).st_mtime for p in (path, *inside))


def _is_running(pid: int, start: int) -> bool:
    """Whether the process of this pid that started at this time still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not start or _started(pid) in (0, start)


def this_process() -> str:
    """A name for this process among all that ever ran on this host and others."""
    return f"{_host()}-{_pid_namespace()}-{os.getpid()}-{_started(os.getpid())}"


def surely_gone(process: str, last_seen: float) -> bool:
    """Whether a process that `this_process` named has surely ended.

    Parameters
    ----------
    process : str
    last_seen : float
        When it last showed itself, in seconds of `time.time`; of processes of other hosts and
        containers nothing else is known, and they are gone after a day.
    """
    owner = _OWNER.fullmatch(process)
    if owner is None:
        return True
    if owner["host"] == _host() and int(owner["space"]) == _pid_namespace():
        return not _is_running(int(owner["pid"]), int(owner["start"]))
    return time.time() - last_seen > LONG_AGO


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(a: Path, b: Path) -> bool:
    """Exchange two folders in one step, where the system can (Linux: renameat2)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(a), here, os.fsencode(b), both) == 0)
