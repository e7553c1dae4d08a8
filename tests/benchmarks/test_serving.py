"""The load generator measures what it says, and the scripts that need a service run."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.results import Results
from benchmarks.serving import page
from benchmarks.serving.load import Report, ask, built, checksum

ROOT = Path(__file__).parents[2]
REQUEST = built({"method": "POST", "path": "/", "body": {"k": 1}})
Answer = Callable[[int], bytes]


def answered(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Server(socketserver.TCPServer):
    """Answers one connection, by a function of the number of the request."""

    allow_reuse_address = True


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], int]]:
    servers: list[Server] = []

    def start(answer: Answer) -> int:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                number, pending = 0, b""
                while part := self.request.recv(65_536):
                    pending += part
                    while pending.startswith(REQUEST):
                        pending = pending[len(REQUEST) :]
                        found = answer(number)
                        number += 1
                        if not found:
                            return
                        self.request.sendall(found)

        servers.append(Server(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return int(servers[-1].server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_pause_makes_all_requests_late_that_were_due_in_it(serve: Any) -> None:
    """100 requests a second and a pause of 0.5 s: about 50 answers come late, and not one."""

    def answer(number: int) -> bytes:
        time.sleep(0.5 if number == 20 else 0)
        return answered(b"{}")

    open_loop, closed_loop = Report(None), Report(None)
    ask(serve(answer), [REQUEST], open_loop, connections=1, rate=100, count=100)
    ask(serve(answer), [REQUEST], closed_loop, connections=1, count=100)
    late = sum(seconds > 0.1 for seconds in open_loop.latencies)
    assert 35 <= late <= 100  # due in the first 0.4 s of the pause; more on a busy machine
    assert max(open_loop.latencies) >= 0.5
    assert len(open_loop.latencies) == len(closed_loop.latencies) == 100
    assert sum(seconds > 0.4 for seconds in closed_loop.latencies) == 1


def test_an_answer_in_chunks_is_whole(serve: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = json.dumps({"model": {"version": "1"}, "items": [{"item": "a", "score": 0.5}]}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]))
    report = Report({"1": [checksum([("a", 0.5)])]})
    ask(serve(lambda _: head + chunks + b"0\r\n\r\n"), [REQUEST], report, connections=1, count=5)
    assert report.versions == {"1": 5}
    assert not report.errors


@pytest.mark.parametrize(
    ("items", "version", "error"),
    [
        ([("a", 0.5), ("b", 0.25)], "1", None),
        ([("b", 0.25), ("a", 0.5)], "1", "not the version's list"),
        ([("a", 0.5000001), ("b", 0.25)], "1", "not the version's list"),
        ([("a", 0.5), ("b", 0.25)], "2", "not the version's list"),
        ([("a", 0.5), ("b", 0.25)], "3", "unknown version"),
    ],
)
def test_an_answer_must_be_the_list_of_the_version_that_it_names(
    items: list[tuple[str, float]], version: str, error: str | None
) -> None:
    report = Report({"1": [checksum([("a", 0.5), ("b", 0.25)])], "2": [checksum([("c", 1.0)])]})
    rows = [{"item": item, "score": score} for item, score in items]
    body = json.dumps({"model": {"version": version}, "items": rows}).encode()
    report.answered(0, time.perf_counter(), 200, body)
    assert report.errors == ({} if error is None else {error: 1})


def test_what_fails_is_counted(serve: Any) -> None:
    def answer(number: int) -> bytes:
        return answered(b"down", "503 Service Unavailable") if number == 1 else answered(b"{}")

    report = Report(None)
    ask(serve(answer), [REQUEST], report, connections=1, count=4)
    assert report.statuses == {200: 3, 503: 1}
    assert report.errors == {"status 503": 1}
    broken = Report(None)
    ask(
        serve(lambda n: answered(b"{}") if n < 2 else b""),
        [REQUEST],
        broken,
        connections=1,
        count=9,
    )
    assert broken.errors["connection lost"] == 3  # each connection answers two and breaks


def run(script: str, *options: str, results: Path) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    env["PYTHONPATH"] = str(ROOT / "src")
    command = [sys.executable, str(ROOT / "benchmarks/serving" / script), *options]
    done = subprocess.run(
        [*command, "--results", str(results)],
        env=env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]


def test_the_scripts_run_on_a_small_catalogue(tmp_path: Path) -> None:
    """Swaps under load and a kill under events, as small as they can be, and the page of them."""
    small = ("--short", "--models", "ease", "--requests", "300", "--swaps", "3", "--calm", "0.5")
    run("swaps.py", *small, results=tmp_path)
    run("kill_service.py", "--kills", "1", results=tmp_path)
    results = Results(tmp_path / "results.jsonl")
    swaps = results.get("swaps ease")
    assert swaps is not None
    assert swaps["swapping"]["requests"] >= 300
    assert swaps["swaps"] >= 3
    assert len(swaps["swapping"]["versions"]) == 2
    assert swaps["swapping"]["errors"] == {}
    killed = results.get("kill service")
    assert killed is not None
    assert killed["acknowledged"] > 0
    assert killed["missing"] == killed["twice"] == killed["not_given_back"] == 0
    text = page.render(results)
    assert " swaps, 0 errors | **no**" in text  # fewer than was wanted
    assert "0 missing, 0 stored twice | yes" in text
