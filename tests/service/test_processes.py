"""Real processes: `shoal serve`, its workers, slow clients, and how it starts and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from shoal.artifact import Store
from tests.service.conftest import make_model
from tests.service.processes import Process

TIMEOUT = "0.6"  # seconds for a request to arrive


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def one(folder: Path) -> Iterator[Process]:
    """One process that serves a store."""
    place = folder / "one"
    place.mkdir()
    Store(place / "store", create=True).publish(make_model())
    config = place / "serve.yaml"
    config.write_text(
        f"model: {place / 'store'}\nread_timeout: {TIMEOUT}\nkeep_alive: 1\nqueue: 7\n"
    )
    process = Process(place, "--config", config)
    process.until(lambda: process.get("/ready").status_code == 200)
    yield process
    process.end(signal.SIGKILL)


def connect(process: Process) -> socket.socket:
    host, port = process.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def rest_of(connection: socket.socket) -> bytes:
    received = b""
    with connection:
        while piece := connection.recv(65536):
            received += piece
    return received


def test_a_head_that_does_not_arrive_is_told_408(one: Process) -> None:
    for sent in (b"", b"POST /v1/recommend HTTP/1.1\r\nHost: 127"):
        connection = connect(one)
        connection.sendall(sent)
        began = time.monotonic()
        assert rest_of(connection).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - began >= float(TIMEOUT) * 0.9
    connection = connect(one)  # a second request, on a connection that has had an answer
    connection.sendall(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /li")
    answers = rest_of(connection)
    assert answers.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answers


def test_a_body_that_does_not_arrive_is_told_408(one: Process) -> None:
    connection = connect(one)
    connection.sendall(
        b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b'Content-Length: 100\r\n\r\n{"history"'
    )
    answer = rest_of(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in answer


def test_a_head_of_any_length_is_not_kept(one: Process) -> None:
    for head in (b"X-Long: " + b"x" * 400_000, b"X-Many: 1\r\n" * 40_000):
        connection = connect(one)
        try:
            connection.sendall(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head)
            answer = rest_of(connection)
        except (ConnectionResetError, BrokenPipeError):
            continue  # closed before all of it was sent
        assert answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    assert one.get("/live").status_code == 200


@pytest.mark.parametrize(
    ("head", "later"),
    [
        (b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"\r\n"),
        (b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\n", b"x"),
        (b"POST /v1/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\n", b"x"),
        (
            b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
        ),
    ],
)
def test_no_byte_after_an_answer_keeps_a_connection(
    one: Process, head: bytes, later: bytes
) -> None:
    connection = connect(one)
    connection.sendall(head)
    assert connection.recv(9) == b"HTTP/1.1 "
    began = time.monotonic()
    connection.sendall(later)
    rest_of(connection)  # ends when the service closes; `connect` has a limit of 20 s
    assert time.monotonic() - began < 10


def test_trailers_without_end_are_not_kept(one: Process) -> None:
    connection = connect(one)
    connection.sendall(
        b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    )
    trailers = (b"A: " + b"b" * 1000 + b"\r\n") * 100
    answer = b""
    with suppress(ConnectionResetError, BrokenPipeError):
        for _ in range(95):  # 9.5 MB
            connection.sendall(trailers)
        answer = rest_of(connection)
    connection.close()
    assert not answer.startswith(b"HTTP/1.1 408")  # it is closed before the time is over


def test_a_client_that_does_not_read_is_left(one: Process) -> None:
    path, times = "/static/swagger/swagger-ui-bundle.js", 9  # more than the system's buffers hold
    whole = len(one.get(path).content)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    host, port = one.url.removeprefix("http://").split(":")
    connection.connect((host, int(port)))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() * times)
    time.sleep(4 * float(TIMEOUT))
    received = 0
    with connection, suppress(ConnectionResetError):
        while piece := connection.recv(2**20):
            received += len(piece)
    assert received < whole * times


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\n\r\n",
    ],
)
def test_requests_that_are_no_http_end_without_a_5xx(one: Process, raw: bytes) -> None:
    connection = connect(one)
    connection.sendall(raw)
    connection.shutdown(socket.SHUT_WR)
    answer = rest_of(connection)
    assert not answer.startswith(b"HTTP/1.1 5")
    assert one.get("/live").status_code == 200


def test_two_services_cannot_have_one_port(one: Process, folder: Path) -> None:
    port = one.url.rpartition(":")[2]
    ended = subprocess.run(
        [sys.executable, "-m", "shoal", "serve", str(folder / "one" / "store"), "--port", port],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr == f"error: port {port} of 127.0.0.1 is in use: name another with --port\n"


def test_ctrl_c_finishes_and_ends_well(one: Process) -> None:
    assert one.post("/v1/recommend", history=[10], k=1).json()["items"][0]["score"] == 3
    assert one.end(signal.SIGINT) == 0
    lines = [json.loads(line) for line in one.errors.read_text().splitlines()]
    assert lines[-1]["message"] == "stopped"


def test_workers_follow_the_store_and_one_that_dies_is_replaced(folder: Path) -> None:
    place = folder / "two"
    place.mkdir()
    store = Store(place / "store", create=True)
    first = store.publish(make_model()).name
    service = Process(place, place / "store", "--workers", 2, "--threads", 1)
    try:
        service.until(lambda: list(service.workers().values()) == [first] * 2)
        second = store.publish(make_model(2)).name
        service.until(lambda: list(service.workers().values()) == [second] * 2)
        for _ in range(20):
            told = service.post("/v1/recommend", history=[10], k=1).json()
            assert (told["model"]["version"], told["items"][0]["score"]) == (second, 6)

        def counted() -> float:
            text = service.get("/metrics").text
            name = 'shoal_requests_total{route="/v1/recommend",status="200"} '
            return sum(float(x.removeprefix(name)) for x in text.splitlines() if name in x)

        assert counted() == 20  # of both workers, whichever was asked
        killed = next(iter(service.workers()))
        os.kill(int(killed), signal.SIGKILL)
        answered = []

        def replaced() -> bool:
            answered.append(service.post("/v1/recommend", history=[10]).status_code)
            return len(service.workers()) == 2 and killed not in service.workers()

        service.until(replaced)
        assert set(answered) == {200}  # a new worker takes requests when it has its model
        assert counted() == 20 + len(answered)  # also of the one that is dead
        assert service.post("/v1/recommend", history=[10]).status_code == 200
        text = service.get("/metrics").text
        assert f'worker="{killed}"' not in text
        pids = [int(pid) for pid in service.workers()]
        assert service.end() == 0
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
    finally:
        service.end(signal.SIGKILL)


def test_workers_hold_several_models(folder: Path) -> None:
    place = folder / "several"
    place.mkdir()
    store, tenfold = Store(place / "store", create=True), Store(place / "tenfold", create=True)
    main, other = store.publish(make_model()).name, tenfold.publish(make_model(10)).name
    options = ("--also", f"tenfold={tenfold.path}", "--workers", 2, "--threads", 1)
    service = Process(place, store.path, *options)
    try:
        assert service.about["also"] == {"tenfold": str(tenfold.path)}
        service.until(lambda: list(service.workers().values()) == [main] * 2)
        for _ in range(20):  # whichever worker answers
            told = service.post("/v1/recommend", history=[10], k=1, model="tenfold").json()
            assert (told["model"]["version"], told["items"][0]["score"]) == (other, 30)
        assert service.end() == 0
    finally:
        service.end(signal.SIGKILL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--also", "elsa"], "--also elsa: write NAME=PATH, such as elsa=models/elsa"),
        (["--also", "a={0}", "--also", "a={0}"], "--also gives the name a twice"),
        (["--also", "Elsa={0}"], "setting also.Elsa"),
        (["--also", "elsa={0}/gone"], "gone is no folder"),
    ],
)
def test_models_that_cannot_be_served_also(
    folder: Path, model_folder: Path, options: list[str], message: str
) -> None:
    given = [option.format(model_folder) for option in options]
    ended = subprocess.run(
        [sys.executable, "-m", "shoal", "serve", str(model_folder), "--port", "0", *given],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
