"""Embedders and a server that behave as planned."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from shoal.kernels.arrays import Float
from shoal.text.embedder import Embedder, Note, ignore

KEY = "sk-never-to-be-seen-4711"


def number(text: str) -> list[float]:
    """A vector that anybody can recompute from the text."""
    return [float(b) for b in hashlib.sha256(text.encode()).digest()[:3]]


@dataclass
class Counting(Embedder):
    """Remembers what it was asked, and fails when told to."""

    name = "counting"  # type: ignore[assignment]
    batch_size: int = 2
    fail_at: int = -1  # the number of the call that fails
    width: int = 3
    asked: list[list[str]] = field(default_factory=list)

    def embed(self, texts: Sequence[str], note: Note = ignore) -> Float:
        if len(self.asked) == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append(list(texts))
        return np.array([number(t)[: self.width] for t in texts], np.float32)


@dataclass
class Plan:
    """How the server answers; tests change it before they ask."""

    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)  # sent first
    silent: int = 0  # so many requests get no answer in time
    backwards: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@contextmanager
def serving(plan: Plan) -> Iterator[Plan]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            plan.asked.append(body | {"path": self.path})
            plan.headers.append({k.lower(): v for k, v in self.headers.items()})
            if plan.silent:
                plan.silent -= 1
                plan.stop.wait(5)
                return
            rows = [{"index": i, "embedding": number(t)} for i, t in enumerate(body["input"])]
            code, headers, answer = 200, {}, {"data": rows[::-1] if plan.backwards else rows}
            if plan.answers:
                code, headers, answer = plan.answers.pop(0)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(code)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # who has read enough hangs up
                self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        plan.url = f"http://127.0.0.1:{server.server_port}/v1"
        yield plan
        plan.stop.set()
        server.shutdown()
        thread.join()
