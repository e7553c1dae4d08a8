"""Start a service in processes of its own, wait until it answers, and see what it holds."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.data import BENCHMARKS
from benchmarks.harness.peers import VENVS, environment
from benchmarks.harness.results import Row
from benchmarks.serving.load import built

LOAD = Path(__file__).parent / "load.py"
PEERS = BENCHMARKS / "peers"
START = 180.0  # seconds that a service may take until it answers
STOP = 40.0  # and until it has ended


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A running service.

    Parameters
    ----------
    command : list of str
        How it is started; ``{port}`` stands for the port.
    ready : dict
        The request that it answers with 200 once it is ready, as the load generator reads it.
    threads : int
        Size of the thread pools of the libraries that it uses.
    cwd : Path, optional
        The folder that it is started in.
    """

    def __init__(
        self,
        command: Sequence[str],
        ready: dict[str, Any],
        threads: int = 1,
        cwd: Path | None = None,
    ) -> None:
        self.port = free_port()
        self.command = [part.replace("{port}", str(self.port)) for part in command]
        self.ready, self.threads, self.cwd = ready, threads, cwd
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the service lives)
        self.seconds_to_start = 0.0
        self.folder: tempfile.TemporaryDirectory[str] | None = None  # with its configuration

    def start(self) -> Service:
        """Start it, and wait until it is ready."""
        began = time.perf_counter()
        self.process = subprocess.Popen(
            self.command,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=environment(self.threads),
            cwd=self.cwd,
            start_new_session=True,
        )
        while time.perf_counter() - began < START:
            if self.process.poll() is not None:
                break
            status, _ = self.ask(self.ready)
            if status == 200:
                self.seconds_to_start = time.perf_counter() - began
                return self
            time.sleep(0.02)
        self.stop()
        raise SystemExit(f"{' '.join(self.command)} did not start:\n{self.tail()}")

    def stop(self) -> None:
        """End it in order."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait()

    def kill(self) -> None:
        """End all of its processes at once, without a word (SIGKILL)."""
        os.killpg(self.process.pid, 9)
        self.process.wait()

    def tail(self) -> str:
        """The last that it said."""
        self.log.seek(0)
        return self.log.read()[-3_000:].decode(errors="replace")

    def ask(self, request: dict[str, Any], timeout: float = 60) -> tuple[int, bytes]:
        """Status and body of one request; status 0 if there is nobody to answer it."""
        body = request.get("body")
        headers = dict(line.split(": ", 1) for line in request.get("headers", []))
        if body is not None:
            headers["Content-Type"] = "application/json"
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{request['path']}",
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
            method=request["method"],
        )
        try:
            with urllib.request.urlopen(asked, timeout=timeout) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def processes(self) -> list[int]:
        """Its process and all that it has started."""
        parents: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ProcessLookupError):
                fields = stat.read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        found = [self.process.pid]
        for process in found:
            found += parents.get(process, [])
        return found

    def memory(self) -> Row:
        """Bytes of all processes together, pages that several share counted once (PSS)."""
        fields = ("Rss", "Pss", "Pss_Anon", "Pss_File", "Private_Dirty")
        total = dict.fromkeys(fields, 0)
        for process in self.processes():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                    name, _, rest = line.partition(":")
                    if name in total:
                        total[name] += int(rest.split()[0]) * 1024
        return {name.lower(): value for name, value in total.items()}

    def model_bytes(self) -> int:
        """Bytes of fitted arrays that are mapped by all processes, shared pages counted once."""
        total, counted = 0, False
        for process in self.processes():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
                    if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                        counted = line.endswith(".safetensors")
                    elif counted and line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total

    def descriptors(self) -> int:
        """Open file descriptors of all processes."""
        n = 0
        for process in self.processes():
            with contextlib.suppress(OSError):
                n += len(list(Path(f"/proc/{process}/fd").iterdir()))
        return n


@contextlib.contextmanager
def running(service: Service) -> Iterator[Service]:
    """The service, started, and ended afterwards."""
    service.start()
    try:
        yield service
    finally:
        service.stop()


def shoal_service(model: Path, *options: str, poll: float = 0.5, threads: int = 1) -> Service:
    """`shoal serve` of a model folder or a store, with the seconds between looks at the store."""
    folder = tempfile.TemporaryDirectory()
    config = Path(folder.name) / "service.yaml"
    config.write_text(f"poll_seconds: {poll}\nlog_level: error\n")
    command = [sys.executable, "-m", "shoal", "serve", str(model), "--port", "{port}"]
    service = Service(
        [*command, "--config", str(config), *options],
        {"method": "GET", "path": "/ready"},
        threads,
    )
    service.folder = folder
    return service


def peer_service(
    environment_name: str, script: str, *options: str, ready: dict[str, Any]
) -> Service:
    """A server of benchmarks/peers in the peer's environment; "" is shoal's own."""
    own = not environment_name
    python = sys.executable if own else str(VENVS / environment_name / "bin" / "python")
    return Service([python, str(PEERS / script), *options, "--port", "{port}"], ready)


class Load:
    """A load generator at work in a process of its own.

    Parameters
    ----------
    port : int
    requests : list of dict
        As `built` takes them.
    expected : dict of str to list of str, optional
        Checksums for each version.
    until_stopped : bool
        Whether it goes on until `stop`.
    **options
        Those of load.py: rate, seconds, count, connections.
    """

    def __init__(
        self,
        port: int,
        requests: list[dict[str, Any]],
        expected: dict[str, list[str]] | None = None,
        *,
        samples: bool = False,
        may_shed: bool = False,
        until_stopped: bool = False,
        **options: float | None,
    ) -> None:
        assert all(built(request) for request in requests[:1])
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        (folder / "requests").write_text("\n".join(map(json.dumps, requests)))
        command = [sys.executable, str(LOAD), "--port", str(port)]
        command += ["--requests", str(folder / "requests")]
        if expected is not None:
            (folder / "expected").write_text(json.dumps(expected))
            command += ["--expected", str(folder / "expected")]
        if may_shed:
            command.append("--may-shed")
        self._end = folder / "end"
        if until_stopped:
            command += ["--until", str(self._end)]
        self._samples = folder / "samples" if samples else None
        if samples:
            command += ["--samples", str(self._samples)]
        for name, value in options.items():
            if value is not None:
                command += [f"--{name}", f"{value:g}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def stop(self) -> None:
        """Let it ask no more."""
        self._end.touch()

    def running(self) -> bool:
        """Whether it still asks."""
        return self._process.poll() is None

    def result(self) -> Row:
        """Wait until it has ended; its report."""
        out, _ = self._process.communicate()
        if self._process.returncode:
            raise SystemExit("the load generator failed: its message stands above")
        row: Row = json.loads(out.splitlines()[-1])
        if self._samples is not None:
            lines = self._samples.read_text().splitlines()
            row["samples"] = [tuple(map(float, line.split())) for line in lines]
        self._folder.cleanup()
        return row


def loaded(service: Service, requests: list[dict[str, Any]], **options: Any) -> Row:
    """Ask a service, and wait for the report."""
    return Load(service.port, requests, **options).result()


def store_of(folder: Path, models: Sequence[Path]) -> dict[str, Path]:
    """Make a store with these models (the last one live), unless it is there; version → model."""
    from shoal.artifact import Store

    names = folder / "published.json"
    if names.exists():
        return {name: Path(path) for name, path in json.loads(names.read_text()).items()}
    store = Store(folder, create=True)
    versions = {store.publish(model).name: model for model in models}
    names.write_text(json.dumps({name: str(path) for name, path in versions.items()}))
    return versions


def about() -> Row:
    """The machine and the versions, for the page."""
    import platform
    from importlib.metadata import version

    import shoal

    names = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "pydantic", "numpy", "numba")
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "shoal": getattr(shoal, "__version__", version("shoal")),
        "versions": {name: version(name) for name in names},
    }
