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
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shoal.cluster.watching import clear_up

BELOW_EPHEMERAL = range(20_500, 32_000)  # Ray gives its workers those up to 20,000


@dataclass(frozen=True)
class Head:
    """Where a head is reached, and by which token."""

    address: str
    dashboard: str
    token: str
    folder: Path


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


@contextmanager
def head() -> Iterator[Head]:
    """Start a head by `ray start`, with its dashboard and a token; it is ended by its pid."""
    folder = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))
    port, dashboard, agent, agent_grpc, client = free_ports(5)
    token = secrets.token_hex(32)
    own = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # `python` is this one
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    started = subprocess.Popen(
        [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            *(f"--port={port}", f"--dashboard-port={dashboard}"),
            *(f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"),
            *(f"--dashboard-agent-grpc-port={agent_grpc}", f"--temp-dir={folder}"),
            *("--num-cpus=2", f"--object-store-memory={120 * 2**20}", "--disable-usage-stats"),
        ],
        env={**{k: v for k, v in os.environ.items() if not k.startswith("RAY_")}, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{dashboard}"
    try:
        _wait_for(url, token, started)
        yield Head(f"127.0.0.1:{port}", url, token, folder)
    finally:
        started.terminate()
        started.wait(30)
        clear_up(folder)
        shutil.rmtree(folder, ignore_errors=True)


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
