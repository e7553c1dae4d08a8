"""Refreshing by HTTP: one at a time, in a process of its own, and how it ended."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from shoal.artifact import Store
from shoal.service.refreshing import Refreshing, RefreshIsRunningError
from tests.service.routes.conftest import Serve

ADMIN = {"Authorization": "Bearer admin-key-0123456789"}
Until = Callable[[Callable[[], bool]], None]

WAITS_FOR = (
    "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)\n"
)


def running(code: str, argument: Path, ended: list[int] | None = None) -> Refreshing:
    command = [sys.executable, "-c", code, str(argument)]
    return Refreshing(argument, lambda: (ended or []).append(1), command)


def test_one_at_a_time(tmp_path: Path, until: Until) -> None:
    ended: list[int] = [0]
    go = tmp_path / "go"
    refreshing = running(WAITS_FOR + "print('{\"published\": true}')", go, ended)
    assert refreshing.state() == {"running": False}
    refreshing.start()
    assert refreshing.state()["running"]
    with pytest.raises(RefreshIsRunningError):
        refreshing.start()
    go.touch()
    until(lambda: not refreshing.state()["running"])
    state = refreshing.state()
    assert (state["exit_code"], state["result"]) == (0, {"published": True})
    assert state["ended"] >= state["started"]
    until(lambda: ended == [0, 1])
    refreshing.start()  # the next one
    until(lambda: not refreshing.state()["running"])
    refreshing.close()


@pytest.mark.parametrize(
    ("code", "exit_code", "error"),
    [
        ('print(\'{"error": "no log there"}\'); raise SystemExit(2)', 2, "no log there"),
        ("raise ValueError('deep inside')", 1, "ValueError: deep inside"),
    ],
)
def test_how_it_failed(tmp_path: Path, until: Until, code: str, exit_code: int, error: str) -> None:
    refreshing = running(code, tmp_path)
    refreshing.start()
    until(lambda: not refreshing.state()["running"])
    state = refreshing.state()
    assert (state["exit_code"], state["error"]) == (exit_code, error)
    refreshing.close()


def test_keys_are_not_handed_on(
    tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_ADMIN_KEY", "admin-key-0123456789")
    monkeypatch.setenv("SHOAL_OTHER", "kept")
    code = "import json, os; print(json.dumps([k for k in os.environ if k.startswith('SHOAL_')]))"
    refreshing = running(code, tmp_path)
    refreshing.start()
    until(lambda: not refreshing.state()["running"])
    assert "SHOAL_OTHER" in refreshing.state()["result"]
    assert "SHOAL_ADMIN_KEY" not in refreshing.state()["result"]
    refreshing.close()


def refresh_to_the_end(client: TestClient, until: Until) -> dict[str, Any]:
    begun = client.post("/v1/refresh", headers=ADMIN)
    assert begun.status_code == 202
    until(lambda: not client.get("/v1/refresh", headers=ADMIN).json()["running"])
    answer: dict[str, Any] = client.get("/v1/refresh", headers=ADMIN).json()
    return answer


def test_a_configuration_that_is_wrong(serve: Serve, tmp_path: Path, until: Until) -> None:
    config = tmp_path / "refresh.yaml"
    config.write_text("nonsense: [")
    client = serve(refresh=config, read_key="read-key-0123456789", admin_key="admin-key-0123456789")
    assert client.post("/v1/refresh").status_code == 401
    read = {"Authorization": "Bearer read-key-0123456789"}
    assert client.post("/v1/refresh", headers=read).status_code == 403
    state = refresh_to_the_end(client, until)
    assert state["exit_code"] == 2
    assert state["error"]


def test_a_new_version_answers(serve: Serve, store: Store, tmp_path: Path, until: Until) -> None:
    """The whole way, from the log and the events to the answers of the next version."""
    rows = [(f"u{u}", f"i{(u + n) % 8}") for u in range(40) for n in range(4)]
    log = pl.DataFrame(rows, schema=["user", "item"], orient="row")
    log.write_csv(tmp_path / "log.csv")
    config = tmp_path / "refresh.yaml"
    config.write_text(
        f"store: {store.path}\nlog: {{path: log.csv}}\nevents: {{url: events.sqlite}}\n"
        "model: ease\nsettings: {l2: 7}\nevaluation: {compare: false}\nthreads: 1\n"
    )
    client = serve(refresh=config, events=str(tmp_path / "events.sqlite"), poll_seconds=3600)
    event = {"user": "u0", "item": "from the events"}
    assert client.post("/v1/events", json={"events": [event]}).status_code == 200
    state = refresh_to_the_end(client, until)
    assert (state["exit_code"], state["error"]) == (0, None)
    assert state["result"]["published"]
    assert state["result"]["version"] == store.current()
    until(lambda: client.get("/v1/ready").json()["model"]["version"] == store.current())
    assert client.get("/v1/items/from%20the%20events").json()["users"] == 1


def test_without_a_configuration(serve: Serve) -> None:
    refused = serve().post("/v1/refresh")
    assert refused.status_code == 404
    assert "--refresh" in refused.json()["detail"]
