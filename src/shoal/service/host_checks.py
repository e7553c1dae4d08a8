"""Checks of the machine that `shoal doctor` makes: packages, cores, kernels, files, memory, clock.

Each function looks at one thing and gives one `Finding`. What they read from the system is an
argument with a default, so that tests can show them other systems.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from shoal._version import __version__
from shoal.run import available_memory, how_many, human_bytes
from shoal.service.findings import Finding, fault, ok, warning

OLDEST_PYTHON = (3, 11)
ENOUGH_FILES = 1024  # connections, database, model and kernels, with room to spare
NOT_BEFORE = 1735689600.0  # 2025-01-01: no clock that is right shows less
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "fuse.sshfs"})


def python() -> Finding:
    """Python's version, and shoal's."""
    text = f"Python {platform.python_version()}, shoal {__version__}"
    if sys.version_info < OLDEST_PYTHON:
        return fault("python", text, "install Python 3.11 or later")
    return ok("python", text)


def packages(extras: Sequence[str], needed: Sequence[str] | None = None) -> Finding:
    """Whether what shoal and some of its extras need is installed, and recent enough.

    Parameters
    ----------
    extras : sequence of str
        Extras whose packages must be there as well.
    needed : sequence of str or None
        Requirements as in the metadata of a package; default: those of shoal.
    """
    lines = needed if needed is not None else requires("shoal") or ()
    bad = []
    count = 0
    for line in lines:
        match = re.match(r"([\w.-]+)(?:\[[\w,-]+\])?\s*(?:>=\s*([\d.]+))?", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if match is None or (extra and extra[1] not in extras):
            continue
        name, oldest = match[1], match[2]
        count += 1
        try:
            installed = version(name)
        except PackageNotFoundError:
            bad.append(f"{name} is missing")
            continue
        if oldest and _numbers(installed) < _numbers(oldest):
            bad.append(f"{name} is {installed}, older than {oldest}")
    if bad:
        wanted = f"shoal[{','.join(extras)}]" if extras else "shoal"
        return fault("packages", "; ".join(bad), f"pip install --upgrade '{wanted}'")
    return ok("packages", f"all {count} packages are there and recent enough")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0])[:3])


def cores(environment: Mapping[str, str] = os.environ, share: float | None = None) -> Finding:
    """Cores of the process, the share of its container, and threads that the environment asks for.

    Parameters
    ----------
    environment : mapping
    share : float or None
        Cores' worth of time that the container may use; None asks the system.
    """
    from shoal.kernels import threads

    count = threads.cores()
    share = threads.container_share() if share is None else share
    text = how_many(count, "core")
    if not math.isinf(share):
        text += f", of which the container may use {share:g}"
    if share < 1:
        return warning(
            "cores",
            text,
            "answers wait for the container's next slice of time: give it a whole core or more",
        )
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        value = environment.get(name, "")
        if value.isdecimal() and int(value) > count:
            return warning(
                "cores",
                f"{text}; {name}={value}",
                f"threads would wait for each other: set {name} to {count} or less, or unset it",
            )
    return ok("cores", text)


def kernels() -> Finding:
    """Where compiled kernels are kept, and whether there are any."""
    from shoal.kernels.cache import kept_in
    from shoal.kernels.covariance import add_row  # all kernels are kept in the same folder

    folder = kept_in(add_row)
    if folder is None:
        return warning(
            "kernels",
            "no folder for compiled kernels can be written: each process compiles its own",
            "set NUMBA_CACHE_DIR to a folder that this user can write, and warm it (shoal doctor "
            "with a model does)",
        )
    if not os.access(folder, os.W_OK):
        return warning(
            "kernels",
            f"{folder} cannot be written: kernels that are not there are compiled in each process",
            "set NUMBA_CACHE_DIR to a folder that this user can write",
        )
    count = sum(1 for _ in folder.glob("*.nbi"))
    if count == 0:
        return warning(
            "kernels",
            f"no kernel is compiled yet in {folder}: the first start takes longer",
            "run shoal doctor with the model, as the user that serves",
        )
    return ok("kernels", f"{count} compiled kernels in {folder}")


def open_files(limit: int | None = None) -> Finding:
    """How many files and connections the process may have open."""
    if limit is None:
        try:
            import resource
        except ImportError:
            return ok("open files", "this system has no such limit")
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit == resource.RLIM_INFINITY:
            return ok("open files", "no limit")
    if limit < ENOUGH_FILES:
        return warning(
            "open files",
            f"at most {limit}",
            f"many connections at once would be refused: ulimit -n {4 * ENOUGH_FILES}, or "
            f"LimitNOFILE={4 * ENOUGH_FILES} in the systemd unit",
        )
    return ok("open files", f"at most {limit:,}")


def memory(model_bytes: int | None, workers: int = 1, free: int | None = None) -> Finding:
    """Whether two versions of a model fit at once, as they have to during a swap.

    Parameters
    ----------
    model_bytes : int or None
        Size of the model's folder; None if no model is known.
    workers : int
    free : int or None
        Bytes that can be allocated; None asks the system.
    """
    free = available_memory() if free is None else free
    per_worker = 250_000_000  # interpreter, libraries, kernels, an index of titles
    if model_bytes is None:
        return ok("memory", f"{human_bytes(free)} free")
    need = 2 * model_bytes + workers * per_worker
    text = (
        f"{human_bytes(free)} free; two versions of {human_bytes(model_bytes)} and "
        f"{how_many(workers, 'worker')} take about {human_bytes(need)}"
    )
    if free < model_bytes + workers * per_worker:
        return fault(
            "memory",
            text,
            "not even one version fits: take a larger machine or a smaller model (shoal plan)",
        )
    if free < need:
        return warning(
            "memory",
            text,
            "during a swap parts of both are read from disk again and again: give the service "
            "more memory",
        )
    return ok("memory", text)


def user(number: int | None = None) -> Finding:
    """Whether the service would run as an ordinary user."""
    if number is None:
        number = os.geteuid() if hasattr(os, "geteuid") else 1
    if number == 0:
        return warning("user", "this is root", "run the service as a user of its own")
    return ok("user", f"user {number}, not root")


def temporary_folder(folder: Path | None = None) -> Finding:
    """Whether temporary files can be written, and how much room there is."""
    folder = Path(tempfile.gettempdir()) if folder is None else folder
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return warning(
            "temporary folder",
            f"{folder}: {error.strerror}",
            "set TMPDIR to a folder that can be written (docker run --tmpfs /tmp)",
        )
    if free < 50_000_000:
        return warning("temporary folder", f"{human_bytes(free)} free in {folder}", "make room")
    return ok("temporary folder", f"{human_bytes(free)} free in {folder}")


def clock(newest: float | None = None, now: float | None = None) -> Finding:
    """Whether the clock is sane: a plausible date, no jumps, and the same time as files get.

    Parameters
    ----------
    newest : float or None
        When the newest version of the model was made, in seconds since 1970.
    now : float or None
        The time; None asks the system.
    """
    wall, steady = time.time(), time.monotonic()
    now = wall if now is None else now
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    way_out = "set the clock, and let a time service (chrony, systemd-timesyncd) keep it"
    if now < NOT_BEFORE:
        return fault("clock", f"{text} is in the past: events would get wrong times", way_out)
    if newest is not None and newest > now + 60:
        return warning(
            "clock", f"{text}, but the newest version is of {newest - now:,.0f} s later", way_out
        )
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile() as file:
        difference = Path(file.name).stat().st_mtime - time.time()
        if abs(difference) > 2:
            return warning("clock", f"{text}; new files are {difference:+.0f} s away", way_out)
    time.sleep(0.1)
    jump = (time.time() - wall) - (time.monotonic() - steady)
    if abs(jump) > 0.05:
        return warning("clock", f"{text}; it jumped by {jump:+.2f} s while watched", way_out)
    return ok("clock", text)


def port(host: str, number: int) -> Finding:
    """Whether a host's port can be listened on."""
    name = f"{host}:{number}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
    except PermissionError:
        return fault("port", f"{name}: not allowed", "take a port above 1023: --port")
    except OSError as error:
        return fault(
            "port",
            f"{name}: {error.strerror or error}",
            "stop what listens there, or take another: --port, --host",
        )
    return ok("port", f"{name} is free")


def disk(folder: Path, model_bytes: int) -> Finding:
    """Whether the next version has room beside the others."""
    free = shutil.disk_usage(folder).free
    text = f"{human_bytes(free)} free in {folder}"
    if free < 2 * model_bytes:
        return warning(
            "disk",
            f"{text}; a version takes {human_bytes(model_bytes)}",
            "make room: shoal prune removes old versions",
        )
    return ok("disk", text)


def file_system(folder: Path, mounts: str | None = None) -> str:
    """The type of the file system that a folder is on, or "" where the system does not say.

    Parameters
    ----------
    folder : Path
    mounts : str or None
        What /proc/mounts says; None reads it.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        inside = folder == Path(point) or Path(point) in folder.parents
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind
