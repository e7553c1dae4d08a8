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
from dataclasses import dataclass
from pathlib import Path

from shoal.errors import ForkError

_THREADS = Path("/proc/self/task")  # a folder for each thread of this process, on Linux
_NO_POOL = "polars-ooc"  # started by the import of polars; it is no thread of the pool


@dataclass
class _Pool:
    """The thread pool of polars, as it is in this process."""

    used: bool = False  # shoal has given it work
    lost: bool = False  # a parent had started it, so that it has no threads here
    before_fork: bool = False  # it had started when the last fork began


_polars = _Pool()


def uses_polars(what: str) -> None:
    """Say that polars is about to be used for `what` ("reading a log").

    Raises
    ------
    ForkError
        This process was forked from one in which the pool of polars had started.
    """
    if _polars.lost:
        raise ForkError(
            f"{what} does not work in this process, since it was forked from one that had used "
            "polars already, whose threads a fork does not copy. Start workers by 'spawn' "
            "(multiprocessing.get_context('spawn')), or load the model in each worker and not "
            "before the fork (gunicorn without --preload)"
        )
    _polars.used = True


def _polars_has_started() -> bool:
    """Whether the pool of polars has started threads in this process."""
    if _polars.used or "polars" not in sys.modules:
        return _polars.used
    for task in _THREADS.glob("*/comm"):
        try:
            name = task.read_text()
            if name.startswith("polars-") and not name.startswith(_NO_POOL):
                return True
        except OSError:  # a thread that has just ended
            continue
    return False


def _before() -> None:
    _polars.before_fork = _polars.lost or _polars_has_started()


def _after_in_child() -> None:
    _polars.lost, _polars.used = _polars.before_fork, False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_after_in_child)
