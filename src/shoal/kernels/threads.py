"""The one place that owns threads: BLAS's and numba's, limited together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

import numba
from threadpoolctl import ThreadpoolController


def cores() -> int:
    """Cores that this process may use (CPU affinity counted, not the machine's total)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


BRING_POOLS = (
    "torch",
    "faiss",
    "sklearn",
    "scipy.linalg",
)  # packages with thread pools of their own, loaded late if at all


@cache
def _controller(loaded: tuple[str, ...]) -> ThreadpoolController:
    """The pools of this process; looking for them takes a millisecond, so once for each set."""
    return ThreadpoolController()


def _pools() -> ThreadpoolController:
    return _controller(tuple(name for name in BRING_POOLS if name in sys.modules))


def one_blas_thread() -> AbstractContextManager[object]:
    """For BLAS calls so small that threads would only wait for each other."""
    return _pools().limit(limits=1)


@contextmanager
def use_threads(count: int | None) -> Iterator[int]:
    """Limit BLAS and numba to `count` threads inside the block, and restore them after.

    The two never run at the same time in shoal (kernels call no BLAS, BLAS calls no kernel),
    so both may have the full count.

    Parameters
    ----------
    count : int or None
        None takes every core.
    """
    wanted = min(count or cores(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    before = numba.get_num_threads()
    torch = sys.modules.get("torch")  # its own pool, where it is loaded; this never loads it
    torch_before = torch.get_num_threads() if torch else 0
    with _pools().limit(limits=wanted):
        numba.set_num_threads(wanted)
        if torch:
            torch.set_num_threads(wanted)
        try:
            yield wanted
        finally:
            numba.set_num_threads(before)
            if torch:
                torch.set_num_threads(torch_before)
