"""A real process of `shoal serve`, for the tests that need one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx


class Process:
    """A running `shoal serve`."""

    def __init__(self, folder: Path, *arguments: object, **environment: str) -> None:
        self.errors = folder / "stderr"
        values = {**os.environ, "SHOAL_READ_KEY": "", "SHOAL_ADMIN_KEY": "", **environment}
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "shoal", "serve", *map(str, arguments), "--port", "0",
                 "--json"],
                stdout=subprocess.PIPE, stderr=errors, env=values,
            )  # fmt: skip
        assert self.process.stdout is not None
        printed = b""
        while not printed.endswith(b"}\n"):
            line = self.process.stdout.readline()
            assert line, self.errors.read_text()
            printed += line
        self.about = json.loads(printed)
        self.url = self.about["url"]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=20)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=20)

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < end, self.errors.read_text()
            time.sleep(0.05)

    def workers(self) -> dict[str, str]:
        told = self.get("/ready")
        return told.json()["workers"] if told.status_code == 200 else {}

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(20)
