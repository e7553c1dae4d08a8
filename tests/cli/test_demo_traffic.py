"""The demo's visitors ask the service while it runs."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from shoal.cli.demo_traffic import KINDS, Asking, Player
from shoal.datasets.demo_visitors import Visitors
from shoal.events import EventStore
from tests.waiting import is_running, until

ITEMS = [f"m{n}" for n in range(30)]


class NoNetwork(Asking):
    """Notes what is asked, and answers with ten items."""

    def __init__(self, *, fails: bool = False) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._fails = fails

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        self.asked.append((path, body))
        if self._fails:
            return None
        rows = [{"item": item} for item in ITEMS[:10]]
        return {"request_id": f"request {len(self.asked)}", "items": rows}


def play(asking: Asking, n: int) -> None:
    chances = np.full((3, 30), 0.4, np.float32)
    visitors = Visitors(["ann", "bob", "cid"], ITEMS, chances, np.ones(3, np.float32))
    player = Player(asking, visitors, np.random.default_rng(0), pause=0.0)
    for _ in range(n):
        player.visit()


def test_lists_that_visitors_get_are_tracked_with_their_clicks() -> None:
    asking = NoNetwork()
    play(asking, 2_000)
    users, clicked = set(), 0
    for (path, body), (next_path, track) in zip(asking.asked, asking.asked[1:], strict=False):
        if path == "/v1/recommend" and "user" in body:
            assert next_path == "/v1/track"
            assert track["user"] == body["user"]
            assert track["request_id"].startswith("request ")
            assert track["items"] == ITEMS[:10]
            assert set(track["clicked"]) <= set(track["items"])
            clicked += len(track["clicked"])
            users.add(body["user"])
    known = users & {"ann", "bob", "cid"}
    assert len(known) == 3
    assert 80 < len(users - known) < 160  # 6 % of 2,000 are people whom nobody knows
    n_lists = sum(path == "/v1/track" for path, _ in asking.asked)
    # the mean over ten places of 0.4 / (1 + 0.12 · place) is 0.275
    assert clicked / (10 * n_lists) == pytest.approx(0.275, abs=0.02)
    others = [body for path, body in asking.asked if path == "/v1/similar" or "history" in body]
    assert len(others) == pytest.approx(2_000 * (1 - KINDS["known"] - KINDS["new"]), rel=0.2)


def test_an_answer_that_is_none_is_not_tracked() -> None:
    asking = NoNetwork(fails=True)
    play(asking, 100)
    assert {path for path, _ in asking.asked} <= {"/v1/recommend", "/v1/similar"}


def test_nobody_at_the_address_is_no_fault(tmp_path: Path) -> None:
    asking = Asking("http://127.0.0.1:9")
    assert asking.get("/ready") == 0
    assert asking.post("/v1/recommend", {"user": "ann"}) is None


@contextlib.contextmanager
def running(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo's service, which is killed at the end, and the address of its page."""
    command = [sys.executable, "-m", "shoal", "demo", "--serve", "--to", str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, "--port", "0", "--json", *words], stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = ""
            while not lines.endswith("\n}\n"):
                line = process.stdout.readline()
                assert line, f"it ended: {process.stderr and process.stderr.read()}"
                lines += line
            yield process, str(json.loads(lines)["url"])
        finally:
            process.kill()


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(status.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_the_service_gets_visits_which_end_with_it(tmp_path: Path) -> None:
    # a first start that is killed while it makes the models and the past
    command = [sys.executable, "-m", "shoal", "demo", "--serve", "--to", str(tmp_path / "d")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        until(lambda: any((tmp_path / "d").glob(".service.*/ratings.parquet")), 120)
        first.kill()
    assert not (tmp_path / "d" / "service").exists()

    with running(tmp_path / "d") as (process, url):
        assert [path.name for path in (tmp_path / "d").iterdir()] == ["service"]
        with EventStore(tmp_path / "d" / "service" / "events.db") as store:
            before = store.facts()
            until(lambda: store.facts().lists >= before.lists + 3, 120)
            until(lambda: store.facts().types["click"] > before.types["click"], 120)
        with urllib.request.urlopen(f"{url}/metrics") as reply:  # noqa: S310
            assert b'route="/v1/recommend",status="200"' in reply.read()
        (visitors,) = children(process.pid)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "request" not in err  # no line of log for each request
        until(lambda: not is_running(visitors), 10)

    with running(tmp_path / "d") as (process, _):
        until(lambda: children(process.pid), 60)  # they are started once the address is told
        (visitors,) = children(process.pid)
        process.kill()
        until(lambda: not is_running(visitors), 10)

    with running(tmp_path / "d", "--no-traffic") as (process, url):
        until(lambda: httpx.get(f"{url}/ready", timeout=60).status_code == 200, 60)
        assert children(process.pid) == []
