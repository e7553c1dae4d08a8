"""The one place that owns threads: BLAS's and numba's, limited together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numba
from threadpoolctl import threadpool_limits


def cores() -> int:
    """Cores that this process may use (CPU affinity counted, not the machine's total)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    with threadpool_limits(limits=wanted):
        numba.set_num_threads(wanted)
        try:
            yield wanted
        finally:
            numba.set_num_threads(before)
