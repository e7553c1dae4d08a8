"""Connecting this process to the machines that are to do the work.

Three places have a name: ``ray`` is this machine, by a Ray that is started for this process and
ends with it; ``auto`` is the cluster that this machine belongs to; ``http://HEAD:8265`` is a
cluster elsewhere, to which `shoal.cluster.submitting` sends the whole command.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.cluster.watching import Watcher
from shoal.errors import ClusterError, MissingExtraError, ModelError
from shoal.kernels.threads import cores
from shoal.run import available_memory, human_bytes

if TYPE_CHECKING:
    from shoal.cluster.ray_executor import RayExecutor

OLDEST_RAY = (2, 60)
ANSWER = 10.0  # seconds in which the head of a cluster must answer
LONGEST_FOLDER = 40  # characters, as the path of a socket below it may have 107
SMALLEST_STORE = 100 * 2**20  # bytes; Ray takes no less than 75 MiB
SHARE_OF_STORE = 0.3  # of the memory, as Ray itself takes it


def check_place(where: str) -> str:
    """The kind of a place: ``ray``, ``auto`` or ``http``.

    Raises
    ------
    ModelError
        There is no such place.
    """
    if where in ("ray", "auto"):
        return where
    if where.startswith(("http://", "https://")):
        return "http"
    if where.startswith("ray://"):
        raise ModelError(
            f"--on {where}: Ray Client loses its work when the connection is cut, so shoal does "
            "not use it. Submit a job: --on http://HEAD:8265"
        )
    raise ModelError(f"--on {where}: write ray, auto or http://HEAD:8265")


def connect(where: str, *, threads: int | None = None, memory: int | None = None) -> RayExecutor:
    """Connect this process to the machines of a place; `close` of the executor leaves them.

    Parameters
    ----------
    where : {"ray", "auto"}
    threads : int, optional
        Cores of this machine that a Ray of its own may use; every core, unless given.
    memory : int, optional
        Bytes that a Ray of its own may use; 80 % of what is free, unless given.

    Returns
    -------
    RayExecutor

    Raises
    ------
    MissingExtraError
        Ray is not installed, or is too old.
    ClusterError
        There is no cluster, or it does not answer or not let this process in.
    """
    kind = check_place(where)
    if kind == "http":
        raise ModelError(f"{where}: a whole command is submitted there, by --on of `shoal`")
    return _start(threads, memory) if kind == "ray" else _join()


def import_ray() -> Any:
    """Ray, with usage statistics off; its own lines of welcome and of warning are not shown.

    Raises
    ------
    MissingExtraError
        It is not installed, or is too old.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # a worker without a GPU is to see none: Ray's default to come, said here so that it is quiet
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(f"--on needs Ray ({error}): pip install 'shoal[cluster]'") from None
    if tuple(int(part) for part in ray.__version__.split(".")[:2]) < OLDEST_RAY:
        raise MissingExtraError(
            f"Ray {ray.__version__} is too old, as its clusters let in whoever reaches them: "
            "pip install --upgrade 'shoal[cluster]'"
        )
    logging.getLogger("ray").setLevel(logging.ERROR)
    # it would tell of lost machines on standard output, in the midst of a table or of JSON
    ray._private.worker._worker_logs_enabled = False
    return ray


def _read_environment_again() -> None:
    """Have Ray see the token also where it was imported before: it looks once, at its import."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _start(threads: int | None, memory: int | None) -> RayExecutor:
    """Start a Ray on this machine that ends with this process, however that ends."""
    _refuse_second()
    os.environ["RAY_AUTH_MODE"] = "token"
    # a token for this process and its workers alone, which no file keeps
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray = import_ray()
    _read_environment_again()
    from shoal.cluster.ray_executor import RayExecutor

    budget = memory if memory is not None else int(0.8 * available_memory())
    folder = _short_folder()
    watcher = Watcher(folder)
    try:
        with _environment(RAY_TMPDIR=str(folder)), _silent():
            ray.init(
                address="local",
                num_cpus=threads or cores(),
                object_store_memory=_store_bytes(budget, memory is not None),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=str(folder),
                _memory=budget,
                # a task for which the memory does not suffice fails; Ray would try for ever
                _system_config={"task_oom_retries": 3},
            )
    except Exception as error:
        ray.shutdown()
        watcher.finish()
        raise ClusterError(f"a Ray on this machine did not start: {_first_line(error)}") from error
    return RayExecutor(at_close=watcher.finish)


def _join() -> RayExecutor:
    """Connect to the cluster that this machine is part of."""
    already = sys.modules.get("ray")
    if already is not None and already.is_initialized():
        from shoal.cluster.ray_executor import RayExecutor

        return RayExecutor(stay=True)
    address = os.environ.get("RAY_ADDRESS", "")
    if address:
        check_answer(address)
    if has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    ray = import_ray()
    _read_environment_again()
    from shoal.cluster.ray_executor import RayExecutor

    try:
        with _environment(RAY_raylet_start_wait_time_s="15"), _silent():
            ray.init(
                address=address or "auto",
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except ray.exceptions.AuthenticationError as error:
        ray.shutdown()
        raise ClusterError(
            f"the cluster at {address or 'this machine'} does not let this process in: "
            f"{_first_line(error)}. {HOW_TO_GET_IN}"
        ) from None
    except Exception as error:
        ray.shutdown()
        if not address:
            raise ClusterError(
                "--on auto: this machine is part of no Ray cluster. Set RAY_ADDRESS=HEAD:6379, "
                "submit the command with --on http://HEAD:8265, or use the cores of this machine "
                f"with --on ray ({_first_line(error)})"
            ) from error
        raise ClusterError(
            f"RAY_ADDRESS={address}: the cluster does not answer, or does not let this process in "
            f"({_first_line(error)}). {HOW_TO_GET_IN}"
        ) from error
    return RayExecutor()


HOW_TO_GET_IN = (
    "A cluster wants its token, which `ray get-auth-token` prints on its head: put it into "
    "RAY_AUTH_TOKEN or ~/.ray/auth_token"
)


def has_token() -> bool:
    """Whether a person has given the token of a cluster."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return (Path(path) if path else Path.home() / ".ray" / "auth_token").is_file()


def check_answer(address: str) -> None:
    """Refuse an address of a head at which nobody listens."""
    if "://" in address:
        raise ClusterError(
            f"RAY_ADDRESS={address}: --on auto takes HOST:PORT (6379 of the head), and --on "
            "http://HEAD:8265 submits a job"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ClusterError(f"RAY_ADDRESS={address}: write HOST:PORT, such as head:6379")
    try:
        answers_by_http2 = _greet(host.strip("[]"), int(port))
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"RAY_ADDRESS={address}: nobody answers there within {ANSWER:.0f} s ({error}). Is the "
            "head of the cluster running, and may this machine reach it?"
        ) from None
    if not answers_by_http2:
        raise ClusterError(
            f"RAY_ADDRESS={address}: what answers there is no head of a Ray cluster; its port is "
            "6379, if not another was chosen"
        )


def _greet(host: str, port: int) -> bool:
    """Whether a server greets back as one of gRPC does, which the head of a cluster is.

    Ray itself waits for two minutes, whoever is or is not there.
    """
    settings = bytes(3) + b"\x04" + bytes(5)  # an empty frame of HTTP/2, of the kind SETTINGS
    with socket.create_connection((host, port), ANSWER) as connection:
        if os.environ.get("RAY_USE_TLS") == "1":
            return True
        connection.settimeout(ANSWER)
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        answer = connection.recv(4)
    return len(answer) == 4 and answer[3] == settings[3]


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
    if was_given:
        return min(wanted, most)
    return min(wanted, most, 200 * 10**9)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what Ray's compiled part writes on standard error from a person: an error says it."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with open(os.devnull, "w") as nothing:  # noqa: PTH123 - no file
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
