"""Connecting this process to the machines that are to do the work.

Three places have a name: ``ray`` is this machine, by a Ray that is started for this process and
ends with it; ``auto`` is the cluster that this machine belongs to; ``http://HEAD:8265`` is a
cluster elsewhere, to which `shoal.cluster.submitting` sends the whole command.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.cluster import own_ray
from shoal.cluster.ray_setup import (
    environment,
    first_line,
    import_ray,
    read_environment_again,
    silent,
)
from shoal.errors import ClusterError, ModelError

if TYPE_CHECKING:
    from shoal.cluster.ray_executor import RayExecutor

JOINING = 120.0  # seconds in which a cluster must have a machine that can do tasks
ANSWER = 10.0  # seconds in which the head of a cluster must answer


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
    return own_ray.start(threads, memory) if kind == "ray" else _join()


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
    read_environment_again()
    from shoal.cluster.ray_executor import RayExecutor

    try:
        with environment(RAY_raylet_start_wait_time_s="15"), silent():
            ray.init(
                address=address or "auto",
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except ray.exceptions.AuthenticationError as error:
        ray.shutdown()
        raise ClusterError(
            f"the cluster at {address or 'this machine'} does not let this process in: "
            f"{first_line(error)}. {HOW_TO_GET_IN}"
        ) from None
    except Exception as error:
        ray.shutdown()
        if not address:
            raise ClusterError(
                "--on auto: this machine is part of no Ray cluster. Set RAY_ADDRESS=HEAD:6379, "
                "submit the command with --on http://HEAD:8265, or use the cores of this machine "
                f"with --on ray ({first_line(error)})"
            ) from error
        raise ClusterError(
            f"RAY_ADDRESS={address}: the cluster does not answer, or does not let this process in "
            f"({first_line(error)}). {HOW_TO_GET_IN}"
        ) from error
    executor = RayExecutor()
    try:
        _wait_for_cores()
    except BaseException:
        executor.close()
        raise
    return executor


def _wait_for_cores() -> None:
    """Wait until a machine can do tasks: those of a new cluster join one by one."""
    from shoal.cluster.machines import machines

    until = time.monotonic() + JOINING
    while not any(machine.cores for machine in machines()):
        if time.monotonic() > until:
            raise ClusterError(
                f"the cluster has had no machine with a core for {JOINING:.0f} s: start some (ray "
                "start --address=HEAD:6379)"
            )
        time.sleep(0.5)


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
