"""Numbers of threads: the only place that limits those of BLAS, numba and torch.

Numba's number belongs to each thread of Python, as does that of OpenMP. Those of BLAS and torch
belong to the whole process, so calls that run at once have to agree on them (`agreement`).
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numba
from threadpoolctl import LibController, ThreadpoolController

from shoal import forks
from shoal.errors import ThreadsError
from shoal.kernels.agreement import Agreement, Pool


def cores() -> int:
    """Return the number of cores that this process may use.

    By its CPU affinity, and by the share of the machine that its container was given
    (``docker run --cpus``), rounded up.
    """
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    share = container_share()
    return count if math.isinf(share) else max(1, min(count, math.ceil(share)))


def container_share(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Return how many cores' time this process's container may use; infinity for no limit.

    Parameters
    ----------
    root : Path
        Where the system shows the limits of the container.
    """
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
        else:  # the first version of control groups
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no container, or "max": no limit
        return math.inf


# -- numba's threads ------------------------------------------------------------------------


class _Local(threading.local):
    limit: int | None = None  # what `use_threads` set in this thread of Python


_local = _Local()
_workqueue = threading.Lock()  # held while numba's workqueue layer runs a kernel


def most_threads() -> int:
    """Return the largest number of threads that a kernel can take in this process."""
    if forks.lost_threads():
        return 1
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def layer() -> str | None:
    """Return the name of numba's threading layer; None as long as it has started no threads."""
    try:
        return str(numba.threading_layer())
    except ValueError:
        return None


def current() -> int:
    """Return the number of threads that a kernel takes which is called now."""
    most = most_threads()
    if most == 1:
        return 1
    if _local.limit is not None:
        return min(_local.limit, most)
    return int(numba.get_num_threads()) if layer() else most


def _start_layer() -> None:
    """Start numba's threads, if they have not been started, in the number that is set."""
    try:
        numba.set_num_threads(current())
    except ValueError as error:
        why = " ".join(str(error).split())
        raise ThreadsError(
            f"numba cannot start threads: {why}. Remove NUMBA_THREADING_LAYER and "
            "NUMBA_THREADING_LAYER_PRIORITY from the environment, or set NUMBA_NUM_THREADS=1"
        ) from None


@contextmanager
def kernel_pool() -> Iterator[bool]:
    """Start numba's threads and set their number, for one kernel inside a ``with`` block.

    Yields
    ------
    bool
        Whether the kernel may take several threads. Numba's own workqueue, which is all there is
        without OpenMP and TBB, ends the process if two kernels use it at once: the second one then
        has to do with one thread.
    """
    _start_layer()
    if layer() != "workqueue":
        yield True
        return
    is_free = _workqueue.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            _workqueue.release()


def chunks(size: int) -> AbstractContextManager[object]:
    """Give each thread so many turns of a kernel's loop at a time, inside a ``with`` block."""
    if current() == 1:
        return nullcontext()
    _start_layer()
    return numba.parallel_chunksize(size)  # type: ignore[no-any-return]


# -- the threads of BLAS, OpenMP and torch --------------------------------------------------

BRING_POOLS = (
    "torch",
    "faiss",
    "sklearn",
    "scipy.linalg",
)  # packages with their own thread pools, which may be imported later


def imported(name: str) -> Any:
    """Return a module that has been imported to its end; None while another thread imports it."""
    module = sys.modules.get(name)
    specification = getattr(module, "__spec__", None)
    return None if getattr(specification, "_initializing", False) else module


@cache
def _controllers(packages: tuple[str, ...]) -> tuple[LibController, ...]:
    """Find the thread pools of this process; cached per set of packages, as it takes 1 ms."""
    return tuple(ThreadpoolController().lib_controllers)


def _libraries() -> tuple[LibController, ...]:
    return _controllers(tuple(name for name in BRING_POOLS if imported(name)))


def _pools_of_process() -> list[Pool]:
    """The pools whose number of threads belongs to the process."""
    pools = [
        Pool(library.filepath, library.get_num_threads, library.set_num_threads)
        for library in _libraries()
        if library.user_api != "openmp"
    ]
    torch = imported("torch")
    if torch:
        pools.append(Pool("torch", torch.get_num_threads, torch.set_num_threads))
    return pools


@contextmanager
def _openmp_threads(limit: int) -> Iterator[None]:
    """Set the number of threads that OpenMP gives to this thread of Python."""
    libraries = [library for library in _libraries() if library.user_api == "openmp"]
    before = [library.get_num_threads() for library in libraries]
    for library, number in zip(libraries, before, strict=True):
        if number != limit:
            library.set_num_threads(limit)
    try:
        yield
    finally:
        for library, number in zip(libraries, before, strict=True):
            library.set_num_threads(number)


_agreement = Agreement()


def _begin_anew() -> None:
    """Forget the calls of the parent: their threads are not in a process that was forked."""
    global _agreement, _workqueue
    _agreement, _workqueue = Agreement(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def one_blas_thread() -> AbstractContextManager[None]:
    """Limit BLAS to one thread, for calls so small that threads would wait for each other."""
    return _agreement.hold(1, _pools_of_process(), fit=False)


@contextmanager
def use_threads(count: int | None, *, fit: bool = False) -> Iterator[int]:
    """Limit BLAS, numba and torch to `count` threads inside a ``with`` block.

    BLAS and numba never run at the same time in shoal (kernels do not call BLAS, nor BLAS kernels),
    so both may have all of them. When the last of several blocks that run at once has ended, all
    limits are what they were before the first.

    Parameters
    ----------
    count : int or None
        None takes all cores of the process.
    fit : bool
        Wait for the fits that other threads of Python run, unless they and this take one thread
        each, so that the numbers have the same bits as alone.

    Yields
    ------
    int
        The number of threads in the block: at most as many as numba has, and one in a process that
        was forked from one whose threads had started.
    """
    limit = min(count or cores(), most_threads())
    started, outer = layer() is not None and most_threads() > 1, _local.limit
    before = numba.get_num_threads() if started else most_threads()
    with _agreement.hold(limit, _pools_of_process(), fit=fit), _openmp_threads(limit):
        _local.limit = limit
        if started:
            numba.set_num_threads(limit)
        try:
            yield limit
        finally:
            _local.limit = outer
            if layer() is not None and most_threads() > 1:
                numba.set_num_threads(before)
