"""A server on the loopback interface that behaves as planned."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

BODY = bytes(range(256)) * 40  # 10,240 bytes
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


@dataclass
class Plan:
    """How the server behaves; tests change it before they ask."""

    body: bytes = BODY
    etag: str | None = '"first"'
    last_modified: str | None = None
    ranges: bool = True
    honours_if_range: bool = True
    says_length: bool = True
    cut_at: int | None = None  # close the connection after so many bytes of an answer
    cuts: int = 0  # so many answers are cut; -1 for all
    codes: list[int] = field(default_factory=list)  # answered first, one each
    hang_after: int | None = None
    skew: int = 0  # added to the start of the piece that is sent
    location: str | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def ranges_asked(self) -> list[str | None]:
        return [headers.get("range") for headers in self.asked]


def handler(plan: Plan) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            plan.asked.append(headers)
            self.close_connection = True
            if plan.codes and (code := plan.codes.pop(0)) != 200:
                self.send_response(code)
                if plan.location:
                    self.send_header("Location", plan.location)
                self.end_headers()
                return
            start, wants = 0, headers.get("range")
            if wants and plan.ranges and self.unchanged(headers):
                start = int(wants.removeprefix("bytes=").removesuffix("-"))
                if start >= len(plan.body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(plan.body)}")
                    self.end_headers()
                    return
                start += plan.skew
                self.send_response(206)
                end = len(plan.body) - 1
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(plan.body)}")
            else:
                self.send_response(200)
            piece = plan.body[start:]
            if plan.says_length:
                self.send_header("Content-Length", str(len(piece)))
            if plan.etag:
                self.send_header("ETag", plan.etag)
            if plan.last_modified:
                self.send_header("Last-Modified", plan.last_modified)
            self.end_headers()
            if plan.hang_after is not None:
                self.wfile.write(piece[: plan.hang_after])
                self.wfile.flush()
                plan.stop.wait(3)
            elif plan.cuts:
                plan.cuts -= 1
                self.wfile.write(piece[: plan.cut_at])
            else:
                self.wfile.write(piece)

        def unchanged(self, headers: dict[str, str]) -> bool:
            named = headers.get("if-range")
            known = {plan.etag, plan.last_modified}
            return not plan.honours_if_range or named is None or named in known

    return Handler


def part(target: Path) -> Path:
    return target.with_name("data.bin.part")


class Counter:
    """A progress sink that remembers."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float | None]] = []
        self.done = 0.0

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Counter]:
        self.steps.append((label, total))
        yield self

    def advance(self, amount: float = 1) -> None:
        self.done += amount

    def note(self, text: str) -> None:
        pass
