"""The page of the last hour: its numbers are those of the requests that were really made."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import Store
from shoal.service.metrics import BOUNDS
from shoal.service.recent import RecentHour
from shoal.service.totals import Interval
from tests.service.routes.conftest import Serve, service_of
from tests.service.views.reading import text_of

Fitted = Callable[[float], shoal.Recommender]
Until = Callable[[Callable[[], bool]], None]


def tiles(answer: Any) -> dict[str, str]:
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", answer.text)
    return {name: html.unescape(value) for name, value in found}


def recent_of(client: TestClient) -> RecentHour:
    return service_of(client).recent


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metrics are read when a test says so, and not by the clock."""
    monkeypatch.setattr(RecentHour, "start", RecentHour.sample)


def test_tiles_count_what_was_asked(serve: Serve, quiet: None, tmp_path: Path) -> None:
    client = serve(events=str(tmp_path / "events.db"))
    recent = recent_of(client)
    for _ in range(6):
        assert client.post("/v1/recommend", json={"history": ["a/b"]}).status_code == 200
    assert client.post("/v1/recommend", json={"history": ["nobody"]}).status_code == 200
    assert client.post("/v1/recommend", json={"history": 5}).status_code == 422
    events = [{"user": "u", "item": "a/b", "type": t} for t in ("view", "view", "buy")]
    assert client.post("/v1/events", json={"events": events}).status_code == 200
    client.get("/v1/ready")
    client.get("/now")
    interval = recent.sample()
    assert interval is not None
    assert interval.requests == {"2xx": 8, "4xx": 1}
    shown = tiles(client.get("/now"))
    assert shown["faults"] == "0"
    assert shown["popular list instead"] == "1"
    assert shown["refused"] == "0"
    rate = float(shown["requests"])
    assert rate == pytest.approx(9 / interval.seconds, rel=0.1, abs=0.01)
    per_minute = float(shown["events"].replace(",", ""))
    assert per_minute == pytest.approx(3 * 60 / interval.seconds, rel=0.1, abs=0.1)
    said = text_of(client.get("/now?minutes=10"))
    assert "view" in said
    assert "Nobody has asked yet" not in said


def test_latencies_are_shown_in_milliseconds(serve: Serve, quiet: None) -> None:
    client = serve()
    recent = recent_of(client)
    place = BOUNDS.index(0.003)  # all of them took 2 to 3 ms
    latencies = tuple(4 if each == place else 0 for each in range(len(BOUNDS) + 1))
    recent._intervals.append(Interval(time.time(), 5.0, {"2xx": 3, "5xx": 1}, latencies))
    answer = client.get("/now")
    shown = tiles(answer)
    assert shown["latency"] == "2.5 ms"  # half way through the bucket
    assert "99 % within 3.0 ms" in text_of(answer)  # 2.99
    assert (shown["requests"], shown["faults"]) == ("0.80", "1")
    assert '<div class="bad"><dt>faults' in answer.text
    endless = (98,) + (0,) * (len(BOUNDS) - 1) + (2,)  # two of a hundred took more than 5 s
    recent._intervals[-1] = Interval(time.time(), 5.0, {"2xx": 100}, endless)
    assert "1 % took over 5 s" in text_of(client.get("/now"))
    recent._intervals[-1] = Interval(time.time(), 5.0)
    assert tiles(client.get("/now"))["latency"] == "–"


def test_charts_have_a_gap_where_nothing_is_known(serve: Serve, quiet: None) -> None:
    client = serve()
    recent, now = recent_of(client), time.time()
    for minutes_ago in (50, 49, 48, 20, 19, 18):
        recent._intervals.append(
            Interval(now - 60 * minutes_ago, 60.0, requests={"2xx": 60 * minutes_ago})
        )
    page = client.get("/now").text
    svg = re.findall(r"<svg class=\"chart\".*?</svg>", page, re.S)
    line = re.findall(r'<path class="line-1" d="(.*?)"', svg[0])
    dots = re.findall(r'<circle class="dot-1"', svg[0])
    assert len(dots) == 6 or line[0].count("M") >= 2  # minutes are two bins of 30 s apart
    assert "Where the line is broken, nothing is known." in svg[0]
    assert "at most 50." in html.unescape(svg[0])  # 50 a second, 50 minutes ago
    for one in svg:
        assert 'role="img"' in one
        assert "<title" in one
        assert "<desc" in one
    assert "style=" not in page
    assert "<script>" not in page


def test_a_swap_stands_in_the_list_and_in_the_charts(
    serve: Serve, store: Store, fitted: Fitted, until: Until, quiet: None
) -> None:
    client = serve(poll_seconds=0.02)
    before = store.current()
    assert "The version of the start still answers" in text_of(client.get("/now"))
    after = store.publish(fitted(99.0)).name
    until(lambda: client.get("/ready").json()["model"]["version"] == after)
    answer = client.get("/now")
    assert f"{after} just now; before: {before}" in text_of(answer)
    assert f"{after} since" in answer.text  # the mark in the charts
    assert answer.text.count('class="marker"') == len(re.findall('class="chart"', answer.text))


def test_states_without_numbers_say_what_to_do(
    serve: Serve, quiet: None, store: Store, tmp_path: Path
) -> None:
    client = serve()
    recent = recent_of(client)
    said = text_of(client.get("/now"))
    assert "has just been started" in said
    assert "shoal serve STORE --events events.sqlite" in said
    recent.sample()
    said = text_of(client.get("/now"))
    assert "Nobody has asked yet" in said
    assert "curl http://localhost/v1/recommend" in said
    empty = serve(model=Store(tmp_path / "empty", create=True).path)
    answer = empty.get("/now")
    assert answer.status_code == 200
    assert "missing" in text_of(answer)
    assert client.get("/now?minutes=5").status_code == 422


def test_without_a_key_nobody_looks(serve: Serve) -> None:
    client = serve(read_key="read-key-0123456789")
    for path in ("/now", "/models"):
        assert client.get(path).status_code == 401
        assert client.get(path, auth=("me", "read-key-0123456789")).status_code == 200
