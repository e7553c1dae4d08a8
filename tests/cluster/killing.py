"""Kill workers of this process's own clusters at random moments, as a machine that fails would.

with kills(seed=3, times=2, task="gram_of_shard") as killed:
    result = executor.get(…)
assert killed  # else nothing was shown
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator

import psutil

# no workers at work; without an agent the whole node ends
NOT_BUSY = (
    "ray::IDLE", "ray::IDLE_SpillWorker", "ray::IDLE_RestoreWorker",
    "ray::DashboardAgent", "ray::RuntimeEnvAgent",
)  # fmt: skip


def workers(task: str = "") -> list[psutil.Process]:
    """Workers below this process that are busy, and whose title has `task` in it.

    The title of a worker is ``ray::`` and the name of the task, or of the actor and its method.
    """
    found = []
    for process in psutil.Process().children(recursive=True):
        title = _title(process)
        if title.startswith("ray::") and title not in NOT_BUSY and task in title:
            found.append(process)
    return found


def _title(process: psutil.Process) -> str:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


@contextlib.contextmanager
def kills(
    seed: int, times: int = 1, within: float = 0.3, task: str = "", nothing_for: float = 0.0
) -> Iterator[list[str]]:
    """Kill busy workers by SIGKILL while the block runs.

    Parameters
    ----------
    seed : int
        Of the moments and of the choice among workers.
    times : int
        How many at most; fewer where the block ends before.
    within : float
        Seconds: before each kill there is a pause of up to so many, then the first busy worker
        that is seen is killed.
    task : str
        Only workers that have it in their title.
    nothing_for : float
        Seconds without a kill at the beginning, as a cluster that has no worker yet.

    Yields
    ------
    list of str
        The titles of those that were killed; it grows while the block runs.
    """
    draw = random.Random(seed)
    killed: list[str] = []
    over = threading.Event()

    def kill() -> None:
        over.wait(nothing_for)
        for _ in range(times):
            if over.wait(draw.uniform(0, within)):
                return
            while not over.is_set():
                busy = workers(task)
                if busy:
                    victim = draw.choice(sorted(busy, key=lambda process: process.pid))
                    title = _title(victim)
                    if title:
                        with contextlib.suppress(psutil.Error):
                            victim.kill()
                            killed.append(title)
                            break
                over.wait(0.005)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def wait_until_gone(processes: list[psutil.Process], seconds: float = 20) -> list[psutil.Process]:
    """Wait until processes have ended; those that have not."""
    until = time.monotonic() + seconds
    left = processes
    while left and time.monotonic() < until:
        left = [p for p in left if p.is_running() and _title(p)]
        time.sleep(0.05)
    return left
