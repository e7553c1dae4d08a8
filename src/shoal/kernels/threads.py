"""Numbers of threads: the only place that limits those of BLAS, numba and torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

import numba
from threadpoolctl import ThreadpoolController


def cores() -> int:
    """Return the number of cores that this process may use, by its CPU affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


BRING_POOLS = (
    "torch",
    "faiss",
    "sklearn",
    "scipy.linalg",
)  # packages with their own thread pools, which may be imported later


@cache
def _controller(loaded: tuple[str, ...]) -> ThreadpoolController:
    """Find the thread pools of this process; cached per set of packages, as it takes 1 ms."""
    return ThreadpoolController()


def _pools() -> ThreadpoolController:
    return _controller(tuple(name for name in BRING_POOLS if name in sys.modules))


def one_blas_thread() -> AbstractContextManager[object]:
    """Limit BLAS to one thread, for calls so small that threads would wait for each other."""
    return _pools().limit(limits=1)


@contextmanager
def use_threads(count: int | None) -> Iterator[int]:
    """Limit BLAS, numba and torch to `count` threads inside a ``with`` block.

    BLAS and numba never run at the same time in shoal (kernels do not call BLAS, nor BLAS kernels),
    so both may have all of them. The former limits are restored afterwards.

    Parameters
    ----------
    count : int or None
        None takes all cores of the process.

    Yields
    ------
    int
        The number of threads in the block.
    """
    limit = min(count or cores(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    before = numba.get_num_threads()
    torch = sys.modules.get("torch")  # only if it is imported already
    torch_before = torch.get_num_threads() if torch else 0
    with _pools().limit(limits=limit):
        numba.set_num_threads(limit)
        if torch:
            torch.set_num_threads(limit)
        try:
            yield limit
        finally:
            numba.set_num_threads(before)
            if torch:
                torch.set_num_threads(torch_before)
