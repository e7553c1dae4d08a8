"""The client against the real service, on a port of this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def served(store: Store, folder: Path, **settings: Any) -> Iterator[str]:
    """The address of a service on a store, with its events in a folder."""
    values = {"model": store.path, "events": str(folder / "events.sqlite"), **settings}
    app = create_app(Settings(threads=1, log_level="error", poll_seconds=0.1, **values))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="on"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def url(store: Store, tmp_path: Path) -> Iterator[str]:
    with served(store, tmp_path, read_key=READ, admin_key=ADMIN) as address:
        yield address


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


EXPERIMENT = """
name: autumn
variants:
  control: {share: 0.5}
  other: {share: 0.5, model: other}
"""


@pytest.fixture
def experiment(store: Store, fitted: Fitted, tmp_path: Path) -> Iterator[str]:
    """A service with two models and an experiment."""
    other = Store(tmp_path / "other", create=True)
    other.publish(fitted(1000.0))
    file = tmp_path / "experiment.yaml"
    file.write_text(EXPERIMENT)
    with served(store, tmp_path, also={"other": other.path}, experiment=file) as address:
        yield address


def test_models_and_experiments(
    experiment: str, store: Store, tmp_path: Path, until: Callable[..., None]
) -> None:
    main, other = store.current(), Store(tmp_path / "other").current()
    with Client(experiment) as client:
        until(lambda: client.ready().get("status") == "ready")
        until(lambda: {m["status"] for m in client.ready()["models"].values()} == {"ready"})
        for ask in (
            lambda **how: client.recommend(["o1"], k=2, **how),
            lambda **how: client.similar("o1", 2, **how),
            lambda **how: client.dissimilar("o1", 2, **how),
            lambda **how: client.complement(["o1", "o2"], 2, **how),
            lambda **how: client.rank(["o1"], ["o2"], **how),
            lambda **how: client.explain(["o1"], "o2", **how),
            lambda **how: client.items("o1", **how),
            lambda **how: client.item("o1", **how),
        ):
            assert ask()["model"]["version"] == main
            assert ask(model="other")["model"]["version"] == other
            with pytest.raises(RequestError, match="there are main, other") as missing:
                ask(model="nobody")
            assert missing.value.status == 404
        assert len(list(client.all_items(limit=5, model="other"))) == 17

        shown: dict[str, int] = {"control": 0, "other": 0}
        for number in range(12):
            answer = client.recommend(["o1"], user=f"u{number}", k=3)
            name = answer["variant"]["name"]
            assert answer["model"]["version"] == (main if name == "control" else other)
            first = answer["items"][0]["item"]
            told = client.track(answer, user=f"u{number}", clicked=[first])
            assert (told["lists"], told["clicks"], told["duplicates"]) == (1, 1, 0)
            again = client.track(answer, user=f"u{number}", clicked=[first])
            assert (again["lists"], again["clicks"], again["duplicates"]) == (0, 0, 2)
            shown[name] += 1
        outside = client.recommend(["o1"], user="u0", k=3, model="main")
        assert client.track(outside, user="u0")["lists"] == 1  # and it counts for no variant
        batch = client.batch([{"history": ["o1"], "user": "u0"}, {"history": ["e1"]}])
        for row in batch["answers"]:
            assert client.track(row["answer"], user="u0", items=["o2"])["lists"] == 1
        assert client.track("by its id", user="u1", items=["o2"])["lists"] == 1
        report = client.online(until=4e9)  # a window for which no report was made before
        first = client.recommend(["o1"], user="u0", k=1)["variant"]["name"]
        second = client.recommend(["o1"], user="u1", k=1)["variant"]["name"]
        shown[first] += 1  # of the batch, the request with a user
        shown[second] += 1  # by its id
        assert {row["name"]: row["lists"] for row in report["variants"]} == shown

        assert client.promote("other")["variant"] == "other"
        assert client.recommend(["o1"], k=1)["variant"]["name"] == "other"
        assert client.online()["promoted"] == "other"
        assert client.undo_promotion()["before"] == "other"
        assert client.recommend(["o1"], k=1)["variant"] is None
        with pytest.raises(RequestError) as refused:
            client.promote("nobody")
        assert refused.value.status == 404
