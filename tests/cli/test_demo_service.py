"""What ``shoal demo --serve`` makes: models, visitors, and a past that the models really made."""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread

import polars as pl
import pytest

import shoal
from shoal.artifact import Store
from shoal.cli import demo_service
from shoal.cli.demo_service import DemoFolder, prepare
from shoal.datasets.demo_visitors import Visitors
from shoal.errors import ShoalError
from shoal.events import Event, EventStore, ShownList
from shoal.online import read_experiment
from shoal.run import Run

Shoal = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DemoFolder:
    return prepare(tmp_path_factory.mktemp("demo"), Run())


@pytest.fixture(scope="module")
def events(folder: DemoFolder) -> list[Event]:
    """All events, in the order of their times."""
    visitors = Visitors.load(folder.visitors)
    with EventStore(folder.events) as store:
        found = [event for user in visitors.users for event in store.user(user)]
    return sorted(found, key=lambda event: event.time)


@pytest.fixture(scope="module")
def lists(folder: DemoFolder) -> list[ShownList]:
    import json
    import sqlite3

    with sqlite3.connect(folder.events) as connection:
        rows = connection.execute(
            "SELECT request_id, user_id, shown, model, version, time, experiment, variant "
            "FROM shoal_lists ORDER BY time"
        ).fetchall()
    return [ShownList(row[0], row[1], json.loads(row[2]), *row[3:]) for row in rows]


def test_the_store_has_versions_with_evaluations_and_the_second_model_is_another(
    folder: DemoFolder,
) -> None:
    newest, *older = Store(folder.store).versions()
    assert newest.live
    assert newest.model == "rdlae"
    assert len(older) == 2
    for version in (newest, *older):
        assert not version.error
        score = version.metrics["metrics"]["ndcg@20"]
        assert 0.3 < score["mean"] < 0.6
        assert score["se"] > 0
    assert shoal.load(folder.second).name == "item-knn"


def test_no_model_has_learned_from_the_visitors(folder: DemoFolder) -> None:
    visitors = Visitors.load(folder.visitors)
    learned_from = pl.read_parquet(folder.path / "ratings.parquet")["user"].unique()
    assert len(visitors.users) == demo_service.N_VISITORS
    assert not set(visitors.users) & set(learned_from)
    assert len(learned_from) == 4000 - demo_service.N_VISITORS


def test_visitors_watched_first_and_were_then_shown_lists_until_now(
    events: list[Event], lists: list[ShownList]
) -> None:
    now = time.time()
    watched = [event.time for event in events if event.type == "watch"]
    assert max(watched) <= now - 14 * 86_400
    assert all(now - 15 * 86_400 < shown.time <= now for shown in lists)
    assert lists[-1].time > now - 86_400
    assert 3_000 < len(lists) < 9_000


def test_variants_are_those_of_the_experiment_and_clicks_are_of_shown_films(
    folder: DemoFolder, events: list[Event], lists: list[ShownList]
) -> None:
    experiment = read_experiment(folder.experiment)
    for shown in lists:
        assert shown.experiment == experiment.name
        assert shown.variant == experiment.variant_of(shown.user)
        assert shown.model == ("item-knn" if shown.variant == "neighbours" else "rdlae")
    by_request = {shown.request_id: shown for shown in lists}
    clicks = [event for event in events if event.type == "click"]
    for click in clicks:
        shown = by_request[click.request_id]
        assert (click.user, click.item in shown.items) == (shown.user, True)
        assert shown.time <= click.time <= shown.time + 60
    share = len(clicks) / sum(len(shown.items) for shown in lists)
    assert 0.03 < share < 0.2


def test_lists_are_what_the_model_of_the_variant_answers(
    folder: DemoFolder, events: list[Event], lists: list[ShownList]
) -> None:
    models = {"rdlae": shoal.load(folder.store), "item-knn": shoal.load(folder.second)}
    settings = {"recent": {"filter": "year >= 2014"}}
    of_user = defaultdict(list)
    for event in events:
        of_user[event.user].append(event)
    seen = set()
    for shown in lists[:: len(lists) // 40]:
        history = [e.item for e in of_user[shown.user] if e.time < shown.time]
        answer = shoal.recommend(
            models[shown.model], history, 10, **settings.get(str(shown.variant), {})
        )
        assert [row.item for row in answer] == list(shown.items)
        seen.add(shown.variant)
    assert seen == {"control", "neighbours", "recent"}


def test_a_second_start_makes_nothing(folder: DemoFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(demo_service, "_make", made)
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    assert prepare(folder.path.parent, Run()).path == folder.path
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")} == before


def test_an_interrupted_start_leaves_nothing_and_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: DemoFolder, run: Run) -> None:
        (folder.path / "ratings.parquet").write_bytes(b"half")
        raise KeyboardInterrupt

    def quick(folder: DemoFolder, run: Run) -> None:
        assert not any(folder.path.iterdir())
        folder.about.write_text('{"seed": 3}')

    monkeypatch.setattr(demo_service, "_make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, Run())
    assert not any(tmp_path.iterdir())
    monkeypatch.setattr(demo_service, "_make", quick)
    folder = prepare(tmp_path, Run(seed=3))
    assert [path.name for path in tmp_path.iterdir()] == ["service"]
    assert prepare(tmp_path, Run()).path == folder.path
    with pytest.raises(ShoalError, match="made with --seed 3: leave --seed out"):
        prepare(tmp_path, Run(seed=4))
    folder.about.write_text("no JSON")
    with pytest.raises(ShoalError, match="no folder that the demo made"):
        prepare(tmp_path, Run())


def test_a_port_in_use_is_told_before_the_work(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ShoalError, match=f"port {port} of 127.0.0.1 is in use"):
            demo_service.serve(
                tmp_path, port, Run(), with_traffic=False, open_page=False, as_json=True
            )
    assert not any(tmp_path.iterdir())


def test_a_browser_shows_the_page_once_there_is_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loading(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self) -> None:
            Loading.asked += 1
            self.send_response(200 if Loading.asked > 2 else 503)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    shown = Queue[str]()
    monkeypatch.setattr("webbrowser.open", shown.put)
    with ThreadingHTTPServer(("127.0.0.1", 0), Loading) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        demo_service._open_when_ready(url)  # nobody sees it: the output is no terminal
        assert Loading.asked == 0
        monkeypatch.setattr(demo_service, "is_terminal", lambda _: True)
        demo_service._open_when_ready(url)
        assert shown.get(timeout=20) == f"{url}/"
        assert Loading.asked == 3
        server.shutdown()


def test_options_of_serving_are_refused_without_it(shoal_command: Shoal, tmp_path: Path) -> None:
    for option in (["--no-traffic"], ["--open"], ["--port", "9000"]):
        code, _, err = shoal_command("demo", "--to", tmp_path / "d", *option)
        assert code != 0
        assert f"{option[0]} does nothing without --serve" in err
    assert not (tmp_path / "d").exists()
