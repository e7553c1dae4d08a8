"""A head of a cluster in processes of its own, with ports and a folder of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from shoal.cluster.watching import clear_up

BELOW_EPHEMERAL = range(20_500, 32_000)  # Ray gives its workers those up to 20,000


@dataclass(frozen=True)
class Head:
    """Where a head is reached, and by which token."""

    address: str
    dashboard: str
    token: str
    folder: Path

    def environment(self, **others: str) -> dict[str, str]:
        """The environment of a process that belongs to the cluster, or has its token."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        own = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # `python` is this one
            "RAY_TMPDIR": str(self.folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "HOME": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
        }
        return {**kept, **own, **others}


def free_ports(count: int) -> list[int]:
    """Ports at which nobody listens, and that the system gives to no connection."""
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = secrets.choice(BELOW_EPHEMERAL)
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("", port))
            except OSError:
                continue
            found.append(port)
        return found


STORE = f"--object-store-memory={120 * 2**20}"


@contextmanager
def head(ip: str = "", **environment: str) -> Iterator[Head]:
    """Start a head by `ray start`, with its dashboard and a token; it is ended by its pid."""
    folder = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))
    port, dashboard, client, *agent = free_ports(5)
    url = f"http://127.0.0.1:{dashboard}"
    cluster = Head(f"{ip or '127.0.0.1'}:{port}", url, secrets.token_hex(32), folder)
    own = [f"--port={port}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"]
    if ip:
        own.append(f"--node-ip-address={ip}")
    try:
        with _started(
            cluster, ["--head", "--num-cpus=2", *own], agent, (), **environment
        ) as process:
            _wait_for(url, cluster.token, process)
            yield cluster
    finally:
        clear_up(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def machine(
    cluster: Head, *options: str, inside: Sequence[str] = (), **environment: str
) -> Iterator[None]:
    """Have another machine with one core join a cluster.

    Parameters
    ----------
    cluster : Head
    *options : str
        Of `ray start`.
    inside : sequence of str
        A command that runs the one that follows it, such as in a namespace.
    **environment : str
        What is other there.
    """
    options = (f"--address={cluster.address}", "--num-cpus=1", *options)
    with _started(cluster, options, free_ports(2), inside, **environment) as process:
        until = time.monotonic() + 60
        while len(_raylets(process)) == 0:
            assert process.poll() is None, "the machine has ended"
            assert time.monotonic() < until, "the machine does not start"
            time.sleep(0.2)
        yield


def _raylets(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [p for p in psutil.Process(process.pid).children(recursive=True) if p.name() == "raylet"]


@contextmanager
def _started(
    cluster: Head,
    options: Sequence[str],
    agent: Sequence[int],
    inside: Sequence[str],
    **environment: str,
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [
            *inside,
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", STORE),
            *(f"--dashboard-agent-listen-port={agent[0]}", "--disable-usage-stats"),
            *(f"--dashboard-agent-grpc-port={agent[1]}", *options),
        ],
        env=cluster.environment(**environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    family: list[psutil.Process] = []
    try:
        yield process
    finally:
        with suppress(psutil.Error):
            family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):  # as where its cluster is out of reach
            process.wait(15)
        for one in [process, *family]:  # those in a namespace of their own, too
            with suppress(psutil.Error):
                one.kill()
        process.wait()


def _wait_for(url: str, token: str, started: subprocess.Popen[bytes]) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/api/version", headers=headers)  # noqa: S310
    until = time.monotonic() + 90
    while True:
        try:
            urllib.request.urlopen(request, timeout=5).close()  # noqa: S310
        except OSError:
            assert started.poll() is None, "the head has ended"
            assert time.monotonic() < until, "the head does not answer"
            time.sleep(0.3)
        else:
            return
