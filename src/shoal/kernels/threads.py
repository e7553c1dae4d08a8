"""Numbers of threads: the only place that limits those of BLAS, numba and torch.

Numba's number belongs to each thread of Python, as does that of OpenMP. Those of BLAS and torch
belong to the whole process, so calls that run at once have to agree on them (`agreement`).
"""

from __future__ import annotations

import math
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba
from threadpoolctl import LibController, ThreadpoolController

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


@dataclass
class _State:
    """What this process can do with threads, and what its calls have agreed on."""

    one_is_left: bool = False  # it has lost its threads in a fork, or numba cannot start any
    before_fork: bool = False  # threads had started when the last fork began
    agreement: Agreement = field(default_factory=Agreement)
    workqueue: threading.Lock = field(default_factory=threading.Lock)  # held by a kernel in it


_local, _state = _Local(), _State()


def most_threads() -> int:
    """Return the largest number of threads that a kernel can take in this process."""
    if _state.one_is_left:
        return 1
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def layer() -> str | None:
    """Return the name of numba's threading layer; None as long as it has started no threads."""
    try:
        return str(numba.threading_layer())  # type: ignore[attr-defined]
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


def _start_layer() -> bool:
    """Start numba's threads, if they have not been started; False if they cannot be."""
    try:
        numba.set_num_threads(current())
    except (ValueError, ImportError) as error:
        _state.one_is_left = True
        why = " ".join(str(error).split())
        warnings.warn(
            f"one thread is taken, as numba cannot start more: {why} (NUMBA_THREADING_LAYER and "
            "NUMBA_THREADING_LAYER_PRIORITY in the environment say which kind it may start)",
            stacklevel=2,
        )
        return False
    return True


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
    if not _start_layer() or layer() != "workqueue":
        yield not _state.one_is_left
        return
    is_free = _state.workqueue.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            _state.workqueue.release()


def chunks(size: int) -> AbstractContextManager[object]:
    """Give each thread so many turns of a kernel's loop at a time, inside a ``with`` block."""
    if current() == 1 or not _start_layer():
        return nullcontext()
    return numba.parallel_chunksize(size)


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


def _set_for_process(library: LibController, count: int) -> None:
    """Set the number of threads of a library of BLAS, from whichever thread of Python.

    From version 3.8 on, threadpoolctl lets only the first thread that sets a number of OpenBLAS set
    it again, and does nothing for others. Here `Agreement` keeps them from each other's way.
    """
    release = getattr(library, "clear_controlling_thread", lambda force: None)
    release(force=True)
    library.set_num_threads(count)
    release(force=True)


@cache
def _pools_of(libraries: tuple[LibController, ...]) -> tuple[Pool, ...]:
    """The pools of libraries of BLAS."""
    return tuple(
        Pool(library.filepath, library.get_num_threads, partial(_set_for_process, library))
        for library in libraries
        if library.user_api != "openmp"
    )


def _pools_of_process() -> tuple[Pool, ...]:
    """The pools whose number of threads belongs to the process."""
    pools, torch = _pools_of(_libraries()), imported("torch")
    if torch:
        pools += (Pool("torch", torch.get_num_threads, torch.set_num_threads),)
    return pools


@contextmanager
def _openmp_threads(limit: int) -> Iterator[None]:
    """Set the number of threads that OpenMP gives to this thread of Python."""
    changed = []
    for library in _libraries():
        if library.user_api == "openmp" and (number := library.get_num_threads()) != limit:
            library.set_num_threads(limit)
            changed.append((library, number))
    try:
        yield
    finally:
        for library, number in changed:
            library.set_num_threads(number)


def _before_fork() -> None:
    """Note whether threads have started that a forked process will not have."""
    started = layer() is not None or "torch" in sys.modules
    _state.before_fork = _state.one_is_left or started


def _after_fork_in_child() -> None:
    """Forget the threads of the parent, and the calls that they were in."""
    _state.one_is_left = _state.before_fork
    _state.agreement, _state.workqueue = Agreement(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


LARGE_PRODUCT = 4e9  # operations of a product of matrices: a tenth of a second of one core


def one_blas_thread() -> AbstractContextManager[None]:
    """Limit BLAS to one thread, for calls so small that threads would wait for each other."""
    return _state.agreement.hold(1, _pools_of_process(), fit=False)


def blas_threads_for(flops: float) -> AbstractContextManager[None]:
    """Limit BLAS to one thread, unless a product has so many operations that several pay."""
    return nullcontext() if flops >= LARGE_PRODUCT else one_blas_thread()


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
    if limit == _local.limit and not fit:  # the block around this one has set it already
        yield limit
        return
    started, outer = layer() is not None and most_threads() > 1, _local.limit
    before = numba.get_num_threads() if started else most_threads()
    with _state.agreement.hold(limit, _pools_of_process(), fit=fit), _openmp_threads(limit):
        _local.limit = limit
        if started:
            numba.set_num_threads(limit)
        try:
            yield limit
        finally:
            _local.limit = outer
            if layer() is not None and most_threads() > 1:
                numba.set_num_threads(before)
