"""What a process may still do after it was forked from one whose thread pools had started.

A fork copies the memory of a process and only the thread that forked. A pool of threads that the
parent had started has no threads in the child: whoever gives it work waits for ever. The answer to
one person needs no pool, so it works in such a child, and shoal's own kernels take one thread
there. What needs the pool of polars (reading logs and model folders, tables) is refused with an
error that says what to do instead.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from shoal.errors import ForkError

_THREADS = Path("/proc/self/task")  # a folder for each thread of this process, on Linux

_used: set[str] = set()  # pools that shoal knows to have used in this process
_lost: set[str] = set()  # pools that a parent of this process had started


def uses_polars(what: str) -> None:
    """Say that polars is about to be used for `what` ("reading a log").

    Raises
    ------
    ForkError
        This process was forked from one in which the pool of polars had started.
    """
    if "polars" in _lost:
        raise ForkError(
            f"{what} does not work in this process, since it was forked from one that had used "
            "polars already, whose threads a fork does not copy. Start workers by 'spawn' "
            "(multiprocessing.get_context('spawn')), or load the model in each worker and not "
            "before the fork (gunicorn without --preload)"
        )
    _used.add("polars")


def lost_threads() -> bool:
    """Whether a parent of this process had started threads that compute, so that one is left."""
    return bool(_lost & {"kernels", "torch"})


def _started() -> set[str]:
    """The pools of threads that this process has started so far."""
    names = set(_used)
    try:
        tasks = [(task / "comm").read_text() for task in _THREADS.iterdir()]
    except OSError:  # no Linux, or a thread that has just ended
        tasks = []
    if any(name.startswith("polars-") for name in tasks):
        names.add("polars")
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    if getattr(parallel, "_is_initialized", False):
        names.add("kernels")
    if "torch" in sys.modules:
        names.add("torch")
    return names


_found: set[str] = set()


def _before() -> None:
    _found.clear()
    _found.update(_started())


def _after_in_child() -> None:
    _lost.update(_found)
    _used.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_after_in_child)
