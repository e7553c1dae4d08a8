"""A Ray on this machine that is started for this process, and ends with it."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.cluster.ray_setup import (
    environment,
    first_line,
    import_ray,
    read_environment_again,
    silent,
)
from shoal.cluster.watching import Watcher
from shoal.errors import ClusterError
from shoal.kernels.threads import cores
from shoal.run import available_memory, human_bytes

if TYPE_CHECKING:
    from shoal.cluster.ray_executor import RayExecutor

LONGEST_FOLDER = 40  # characters, as the path of a socket below it may have 107
SMALLEST_STORE = 100 * 2**20  # bytes; Ray takes no less than 75 MiB
SHARE_OF_STORE = 0.3  # of the memory, as Ray itself takes it
LARGEST_STORE = 200 * 10**9  # bytes, unless a person asks for more


def start(threads: int | None, memory: int | None) -> RayExecutor:
    """Start a Ray; it leaves no process and no file, however this process ends.

    Parameters
    ----------
    threads : int or None
        Cores that it may use; None takes every core.
    memory : int or None
        Bytes that it may use; None takes 80 % of what is free.

    Raises
    ------
    MissingExtraError
        Ray is not installed, or is too old.
    ClusterError
        It did not start, or this process is connected to another.
    """
    _refuse_second()
    ending = ExitStack()
    try:
        return _started(ending, threads, memory)
    except BaseException:
        ending.close()
        raise


def _started(ending: ExitStack, threads: int | None, memory: int | None) -> RayExecutor:
    """Start a Ray, and say in `ending` what is to be done at its end."""
    # a token for this process and its workers alone, which no file keeps
    token = os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
    ending.enter_context(environment(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token))
    ray = import_ray()
    read_environment_again()
    from shoal.cluster.ray_executor import RayExecutor

    budget = memory if memory is not None else int(0.8 * available_memory())
    store = _store_bytes(budget, memory is not None)
    folder = _short_folder()
    ending.callback(Watcher(folder).finish)
    ending.callback(ray.shutdown)
    try:
        with environment(RAY_TMPDIR=str(folder)), silent():
            ray.init(
                address="local",
                num_cpus=threads or cores(),
                object_store_memory=store,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=str(folder),
                _memory=budget,
                # a task that has too little memory fails in the end; Ray would try for ever
                _system_config={"task_oom_retries": 3},
            )
    except Exception as error:
        raise ClusterError(f"a Ray on this machine did not start: {first_line(error)}") from error
    return RayExecutor(at_close=ending.close)


def _refuse_second() -> None:
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        raise ClusterError(
            "this process is connected to a Ray cluster: use --on auto, or ray.shutdown() first"
        )


def _short_folder() -> Path:
    """A folder of this user's own, with a path that leaves room for the names of sockets."""
    for place in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes it private
        folder = tempfile.mkdtemp(prefix="shoal-ray-", dir=place)
        if len(folder) <= LONGEST_FOLDER:
            break
        shutil.rmtree(folder)
    else:
        raise ClusterError("the folder for temporary files has too long a path: set TMPDIR=/tmp")
    return Path(folder)


def _store_bytes(budget: int, was_given: bool) -> int:
    """The size of the object store, which lives in /dev/shm."""
    wanted = max(SMALLEST_STORE, int(SHARE_OF_STORE * budget))
    try:
        room = shutil.disk_usage("/dev/shm").free  # noqa: S108 - where shared memory is
    except OSError:
        return wanted
    most = int(0.95 * room)
    if most < SMALLEST_STORE:
        raise ClusterError(
            f"/dev/shm has {human_bytes(room)} left, "  # noqa: S108
            f"and Ray needs {human_bytes(SMALLEST_STORE)}: "
            "give the container more (docker run --shm-size=8g)"
        )
    return min(wanted, most) if was_given else min(wanted, most, LARGEST_STORE)
