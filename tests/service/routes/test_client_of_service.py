"""The client against the real service, on a port of this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

import shoal
from shoal.artifact import Store
from shoal.client import Client
from shoal.errors import RequestError
from shoal.service.app import create_app
from shoal.service.settings import Settings

READ, ADMIN = "read-key-0123456789", "admin-key-0123456789"
Fitted = Callable[[float], shoal.Recommender]


@pytest.fixture
def url(store: Store, tmp_path: Path) -> Iterator[str]:
    settings = Settings(
        model=store.path, threads=1, events=str(tmp_path / "events.sqlite"), read_key=READ,
        admin_key=ADMIN, log_level="error", poll_seconds=0.1,
    )  # fmt: skip
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="on"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def test_every_route(url: str, store: Store, fitted: Fitted, until: Callable[..., None]) -> None:
    first = store.current()
    with Client(url, ADMIN) as client:
        assert client.live()["status"] == "live"
        until(lambda: client.ready().get("status") == "ready")
        model = store.load()
        answer = client.recommend({"o1": 2.0, "a/b": 1.0}, k=3, explain=True)
        best = shoal.recommend(model, {"o1": 2.0, "a/b": 1.0}, 3, because=True)
        assert [row["item"] for row in answer["items"]] == best.items
        assert answer["items"][0]["because"][0]["contribution"] == pytest.approx(
            best[0].because[0].contribution, rel=1e-5
        )
        assert client.similar("o1", 2)["items"][0]["item"] == shoal.similar(model, "o1", 2).items[0]
        assert len(client.dissimilar("o1", 2)["items"]) <= 2
        assert client.complement(["o1", "o2"], 2)["items"]
        ranked = client.rank(["o1", "o2"], ["o3", "e1", "no such"])
        assert [row["item"] for row in ranked["items"]] == ["o3", "e1"]
        assert ranked["unknown"] == ["no such"]
        explained = client.explain(["o1", "o2"], "o3")
        assert explained["item"] == "o3"
        assert {reason["item"] for reason in explained["contributions"]} == {"o1", "o2"}
        assert len(client.batch([{"history": ["o1"]}, {"history": ["e1"]}])["answers"]) == 2
        with pytest.raises(RequestError, match="rat"):
            client.predict("u01", ["o2"])
        assert client.item("a/b")["item"] == "a/b"
        assert client.item("..")["item"] == ".."
        assert len(list(client.all_items(limit=5))) == 17
        assert [row["item"] for row in client.items("CAFE")["items"]] == ["a/b", "plain"]
        assert client.events({"user": "u/1", "item": "o1"})["accepted"] == 1
        ranked = client.rank(user="u/1", candidates=["o3", "e1"])
        assert [row["item"] for row in ranked["items"]] == ["o3", "e1"]
        reasons = client.explain(user="u/1", item="o3")["contributions"]
        assert [reason["item"] for reason in reasons] == ["o1"]
        shown = client.recommend(user="u/1", k=2)
        items = [row["item"] for row in shown["items"]]
        assert client.impressions(shown["request_id"], items, user="u/1", model=shown["model"])
        assert client.user("u/1")["history"] == [{"item": "o1", "weight": 1.0}]
        assert client.delete_user("u/1")["deleted"] == 1
        second = store.publish(fitted(30.0), activate=False).name
        assert [row["version"] for row in client.models()["models"]] == [second, first]
        assert client.activate(second)["live"]["version"] == second
        until(lambda: client.ready()["model"]["version"] == second)
        assert client.rollback()["live"]["version"] == first
        assert "shoal_requests_total" in client.metrics()


def test_keys_and_problems(url: str, until: Callable[..., None]) -> None:
    with Client(url, READ) as reader, Client(url) as stranger:
        until(lambda: reader.ready().get("status") == "ready")
        with pytest.raises(RequestError) as refused:
            stranger.recommend(["o1"])
        assert refused.value.status == 401
        with pytest.raises(RequestError) as refused:
            reader.rollback()
        assert refused.value.status == 403
        with pytest.raises(RequestError, match=r"body\.k") as refused:
            reader.recommend(["o1"], k=0)
        assert refused.value.status == 422
        assert refused.value.problem["errors"][0]["place"] == "body.k"
        assert refused.value.request_id == refused.value.problem["request_id"]
        with pytest.raises(RequestError) as missing:
            reader.item("nope")
        assert missing.value.status == 404


def test_nobody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", retries=1) as client,
        pytest.raises(RequestError, match="cannot be reached"),
    ):
        client.live()
