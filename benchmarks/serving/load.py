"""A client that asks faster than a service answers, and measures without flattering it.

    python benchmarks/serving/load.py --port 8000 --requests FILE --rate 200 --seconds 20
    python benchmarks/serving/load.py --port 8000 --requests FILE --connections 8 --count 50000

It runs in a process of its own: plain sockets on loopback that stay open, requests made in advance,
and one thread that waits for all of them by `select` (which counts microseconds, where the usual
event loops wake up by the millisecond).

With a rate, requests are sent at fixed times whether or not earlier ones were answered, and each
latency is counted from the time at which the request should have been sent ("open loop"): a service
that stops for a second makes all requests of that second late, and not only one. Without a rate,
each connection sends its next request once it has its answer ("closed loop"), which saturates.

FILE has one JSON object for each line: ``method``, ``path``, ``body``, ``headers``. They are asked
in turn. With ``--expected FILE`` (JSON: version → a checksum for each request) the answer must be
exactly the list that the version it names gives.
"""

from __future__ import annotations

import argparse
import array
import hashlib
import json
import select
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

TIMEOUT = 30.0  # seconds without any answer
LOOK = 0.1  # seconds between looks for the file that ends it
LATE = 5  # lines of the report that show what was wrong


def checksum(rows: Iterable[tuple[Any, float]]) -> str:
    """Of a list of ids and scores, each score to the last bit of its float32."""
    digest = hashlib.sha256()
    for item, score in rows:
        digest.update(str(item).encode() + b"\0" + struct.pack("<f", score))
    return digest.hexdigest()[:16]


def built(request: dict[str, Any]) -> bytes:
    """The bytes of a request."""
    body = b""
    lines = [f"{request['method']} {request['path']} HTTP/1.1", "Host: 127.0.0.1"]
    if request.get("body") is not None:
        body = json.dumps(request["body"], separators=(",", ":")).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += request.get("headers", [])
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection:
    """One socket that stays open, with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.buffer = bytearray()
        self.number, self.due = 0, 0.0
        self.connect()

    def connect(self) -> None:
        """Open the socket, in place of the one before."""
        self.buffer.clear()
        self.socket = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """For `select`."""
        return self.socket.fileno()

    def send(self, request: bytes, number: int, due: float) -> None:
        """Send a request that was due at a time."""
        self.number, self.due = number, due
        self.socket.sendall(request)

    def receive(self) -> tuple[int, bytes] | None:
        """Status and body once all of it is there.

        Raises
        ------
        ConnectionError
            The service closed the connection.
        """
        part = self.socket.recv(65_536)
        if not part:
            raise ConnectionResetError("closed by the service")
        self.buffer += part
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.buffer[:end]).lower()
        place = head.find(b"content-length:")
        if place < 0:
            if b"transfer-encoding: chunked" in head:
                return self._chunked(head, end + 4)
            length = 0
        else:
            length = int(head[place + 15 :].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return None
        body = bytes(self.buffer[end + 4 : end + 4 + length])
        self.buffer.clear()
        return int(head[9:12]), body

    def _chunked(self, head: bytes, start: int) -> tuple[int, bytes] | None:
        """The same for a body that comes in chunks."""
        if not self.buffer.endswith(b"0\r\n\r\n"):
            return None
        rest, body = bytes(self.buffer[start:]), b""
        while True:
            size, _, rest = rest.partition(b"\r\n")
            n = int(size, 16)
            if not n:
                break
            body, rest = body + rest[:n], rest[n + 2 :]
        self.buffer.clear()
        return int(head[9:12]), body


class Report:
    """Latencies, and what went wrong."""

    def __init__(self, expected: dict[str, list[str]] | None, *, may_shed: bool = False) -> None:
        self.expected, self.may_shed = expected, may_shed
        self.latencies, self.times = array.array("d"), array.array("d")
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.examples: list[str] = []

    def answered(self, number: int, due: float, status: int, body: bytes) -> None:
        """Take down one answer."""
        now = time.perf_counter()
        self.latencies.append(now - due)
        self.times.append(due)
        self.statuses[status] += 1
        if not 200 <= status < 300:
            if not (self.may_shed and status == 503):
                self.wrong(f"status {status}", body)
        elif self.expected is not None:
            self._compare(number, body)

    def _compare(self, number: int, body: bytes) -> None:
        """The answer must be the list of exactly one version."""
        answer = json.loads(body)
        version = answer["model"]["version"]
        self.versions[version] += 1
        sums = (self.expected or {}).get(version)
        if sums is None:
            self.wrong("unknown version", body)
        elif checksum((r["item"], r["score"]) for r in answer["items"]) != sums[number % len(sums)]:
            self.wrong("not the version's list", body)

    def wrong(self, kind: str, body: bytes = b"") -> None:
        """Count an error and keep some to look at."""
        self.errors[kind] += 1
        if len(self.examples) < LATE:
            self.examples.append(f"{kind}: {body[:300].decode(errors='replace')}")

    def row(self, seconds: float) -> dict[str, Any]:
        """The figures, latencies in milliseconds."""
        ordered = sorted(self.latencies)
        n = len(ordered)
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
        found = {k: round(1e3 * ordered[min(n - 1, int(v * n))], 3) for k, v in shares.items() if n}
        return found | {
            "requests": n,
            "seconds": round(seconds, 3),
            "per_second": round(n / seconds, 1),
            "max": round(1e3 * ordered[-1], 3) if n else None,
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
            "versions": dict(self.versions),
            "examples": self.examples,
        }


def ask(
    port: int,
    requests: Sequence[bytes],
    report: Report,
    *,
    connections: int,
    rate: float | None = None,
    count: int | None = None,
    seconds: float | None = None,
    until: Path | None = None,
) -> float:
    """Ask so often, or so long, or until there is a file; the seconds that it took.

    Raises
    ------
    TimeoutError
        No answer came for 30 seconds.
    """
    idle = deque(Connection(port) for _ in range(connections))
    everyone = list(idle)
    if rate is not None and seconds is not None:
        count = min(count or 10**12, int(rate * seconds))
    try:
        return _ask(everyone, idle, requests, report, rate, count, seconds, until)
    finally:
        for connection in everyone:
            connection.socket.close()


def _ask(
    everyone: list[Connection],
    idle: deque[Connection],
    requests: Sequence[bytes],
    report: Report,
    rate: float | None,
    count: int | None,
    seconds: float | None,
    until: Path | None,
) -> float:
    """The loop of `ask`."""
    busy: set[Connection] = set()
    sent, begin, looked = 0, time.perf_counter(), 0.0
    end = begin + seconds if seconds is not None else float("inf")
    while True:
        now = time.perf_counter()
        if until is not None and now > looked + LOOK:
            looked, count = now, sent if until.exists() else count
        more = sent < (count if count is not None else 10**12) and (rate is not None or now < end)
        while more and idle:
            due = now if rate is None else begin + sent / rate
            if due > now:
                break
            connection = idle.popleft()
            connection.send(requests[sent % len(requests)], sent, due)
            busy.add(connection)
            sent += 1
            more = count is None or sent < count
        if not busy and not more:
            return time.perf_counter() - begin
        wait = TIMEOUT
        if more and idle and rate is not None:
            wait = max(0.0, begin + sent / rate - time.perf_counter())
        ready, _, _ = select.select(everyone, [], [], wait)
        if not ready and wait == TIMEOUT:
            raise TimeoutError(f"no answer for {TIMEOUT:g} s")
        for connection in ready:
            try:
                answer = connection.receive()
            except ConnectionError:
                if connection in busy:  # an idle one may be closed, as any client expects
                    report.wrong("connection lost")
                    busy.discard(connection)
                    idle.append(connection)
                connection.socket.close()
                connection.connect()
                continue
            if answer is not None:
                report.answered(connection.number, connection.due, *answer)
                busy.discard(connection)
                idle.append(connection)


def main() -> None:
    """Ask, and print the report as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rate", type=float, help="requests per second; left out: as many as can")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--count", type=int)
    parser.add_argument("--until", type=Path, help="go on until there is this file")
    parser.add_argument("--expected", type=Path)
    parser.add_argument("--may-shed", action="store_true", help="503 is an answer, not an error")
    parser.add_argument("--samples", type=Path, help="where each time and latency is written")
    given = parser.parse_args()
    requests = [built(json.loads(line)) for line in given.requests.read_text().splitlines()]
    expected = json.loads(given.expected.read_text()) if given.expected else None
    report = Report(expected, may_shed=given.may_shed)
    took = ask(
        given.port,
        requests,
        report,
        connections=given.connections,
        rate=given.rate,
        count=given.count,
        seconds=given.seconds,
        until=given.until,
    )
    if given.samples:
        zero = time.time() - time.perf_counter()  # to the clock that all processes share
        lines = zip(report.times, report.latencies, strict=True)
        given.samples.write_text("".join(f"{zero + t:.6f} {s:.6f}\n" for t, s in lines))
    print(json.dumps(report.row(took)))


if __name__ == "__main__":
    main()
