"""What a model costs: the memory that its fit takes, and the time of one request."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.errors import ShoalError
from shoal.inference.recommend import recommend
from shoal.kernels.threads import imported
from shoal.run import Run, Silent
from shoal.splitting.held_out import HeldOut

REQUESTS, WARM_UP = 50, 3
LONGEST = 5.0  # seconds that the requests of one model may take together
LIST_LENGTH = 20


class Peak:
    """The memory that a block of code takes at most; `n_bytes` is set when `peak_memory` ends.

    Parameters
    ----------
    n_bytes : int or None
        None where the system does not tell.
    """

    def __init__(self) -> None:
        self.n_bytes: int | None = None


@contextlib.contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure the memory that a block takes at most, beyond what the process held before.

    On Linux the kernel's high-water mark of the process is set back (``/proc/self/clear_refs``) and
    read at the end. Elsewhere, and where that is forbidden, nothing is known. What torch takes on
    CUDA devices is added.
    """
    peak = Peak()
    before = _start()
    on_gpu = _cuda()
    if on_gpu is not None:
        for device in range(on_gpu.device_count()):
            on_gpu.reset_peak_memory_stats(device)
    held = 0 if on_gpu is None else _allocated(on_gpu, "memory_allocated")
    yield peak
    most = _status("VmHWM")
    if before is None or most is None:
        return
    on_gpu = _cuda()  # a fit may have loaded torch
    gpu = 0 if on_gpu is None else _allocated(on_gpu, "max_memory_allocated") - held
    peak.n_bytes = max(0, most - before) + max(0, gpu)


def _start() -> int | None:
    """Set the high-water mark back; bytes in use now, or None where that cannot be done."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        # glibc: give freed memory back, or what the block takes would be found among it
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def _status(field: str) -> int | None:
    """Bytes of a field of ``/proc/self/status``; None where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith(field + ":")), None)


def _cuda() -> Any:
    """``torch.cuda`` where torch has been loaded and has used a device; else None."""
    torch = imported("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def _allocated(cuda: Any, what: str) -> int:
    return sum(getattr(cuda, what)(device) for device in range(cuda.device_count()))


def request_seconds(model: Recommender, held_out: HeldOut, run: Run) -> float | None:
    """Measure how long one recommendation takes: 20 items for the history of a test user.

    It is the median over up to 50 users at equal distances in the list of test users, with one
    thread, after a few requests that are not counted. Fewer users are asked for if the requests
    would take more than five seconds.

    Parameters
    ----------
    model : Recommender
        Fitted.
    held_out : HeldOut
    run : Run

    Returns
    -------
    float or None
        Seconds; None for a model that cannot answer a single history.
    """
    quiet = replace(run, threads=1, progress=Silent())
    places = np.linspace(0, held_out.n_users - 1, min(REQUESTS, held_out.n_users)).astype(np.int64)
    users = held_out.history.users.take(places)
    k = min(LIST_LENGTH, model.n_items)
    durations: list[float] = []
    try:
        for user in users[:WARM_UP]:
            recommend(model, held_out.history, k, user=user, run=quiet)
        for user in users:
            began = time.perf_counter()
            recommend(model, held_out.history, k, user=user, run=quiet)
            durations.append(time.perf_counter() - began)
            if sum(durations) > LONGEST:
                break
    except ShoalError:
        return None
    return statistics.median(durations)
