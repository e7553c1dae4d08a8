"""A new version takes over while requests are answered; a broken one changes nothing."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shoal.artifact import Store, save
from shoal.service.live import LiveModel
from tests.service.conftest import make_model
from tests.waiting import until

REQUESTS, SWAPS = 2000, 10


def test_each_answer_under_swaps_is_of_exactly_one_version(client: Any, store: Store) -> None:
    factors = {store.current(): 1.0}  # version → what all its scores are multiplied by
    made = client(model=store.path, threads=2, queue=1000)
    answered: Counter[str] = Counter()
    running = threading.Event()
    running.set()

    def ask(number: int) -> None:
        answer = made.post("/v1/recommend", json={"history": [10, 40], "k": 2, "explain": True})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        factor = factors[told["model"]["version"]]
        assert [(row["item"], row["score"]) for row in told["items"]] == [
            (20, 4 * factor),
            (30, 3 * factor),
        ]
        for row in told["items"]:
            assert sum(why["contribution"] for why in row["because"]) == row["score"]
        answered[told["model"]["version"]] += 1

    def publish() -> None:
        for factor in range(2, SWAPS + 2):
            version = store.publish(make_model(factor), activate=False).name
            factors[version] = float(factor)
            before = answered.total()
            store.activate(version)
            until(lambda v=version: answered[v] > 0 or not running.is_set())  # type: ignore[misc]
            until(lambda b=before: answered.total() > b + 5 or not running.is_set())  # type: ignore[misc]

    with ThreadPoolExecutor(4) as pool:
        publishing = pool.submit(publish)
        asked = 0
        while asked < REQUESTS or not publishing.done():
            list(pool.map(ask, range(60)))
            asked += 60
        running.clear()
        publishing.result()
    assert set(answered) == set(factors)
    assert made.app.state.service.live.swaps == SWAPS + 1


def test_a_request_keeps_its_version_and_the_old_one_is_freed_after_it(
    client: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.service.routes import recommend

    made = client(model=store.path)
    live = made.app.state.service.live
    old, first = weakref.ref(live.served), live.served.version
    model = weakref.ref(live.served.model)
    begun, go_on = threading.Event(), threading.Event()
    real = recommend.recommend_to

    def slow(*args: Any, **options: Any) -> Any:
        begun.set()
        assert go_on.wait(20)
        return real(*args, **options)

    monkeypatch.setattr(recommend, "recommend_to", slow)
    gc.disable()  # it has to be freed by the end of the request, not by a search for cycles
    try:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(made.post, "/v1/recommend", json={"history": [10], "k": 1})
            assert begun.wait(20)
            second = store.publish(make_model(2)).name
            until(lambda: live.served.version == second)
            assert old() is not None
            go_on.set()
            answer = asked.result().json()
        assert answer["model"]["version"] == first
        assert answer["items"][0]["score"] == 3
        until(lambda: old() is None and model() is None, 5)
    finally:
        gc.enable()
    again = made.post("/v1/recommend", json={"history": [10], "k": 1}).json()
    assert (again["model"]["version"], again["items"][0]["score"]) == (second, 6)


def point_to(store: Store, text: str) -> None:
    """Change the pointer in one step: the service may read it at any moment."""
    new = store.path / "CURRENT.new"
    new.write_text(text)
    new.replace(store.path / "CURRENT")


def test_a_broken_version_leaves_the_old_one_and_ready_tells(client: Any, store: Store) -> None:
    made = client(model=store.path)
    first = store.current()
    broken = store.publish(make_model(2), activate=False).name
    arrays = store.folder(broken) / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-10])
    point_to(store, broken + "\n")
    until(lambda: made.get("/ready").json()["degraded"])
    told = made.get("/ready")
    assert told.status_code == 200
    assert told.json()["status"] == "degraded"
    assert told.json()["model"]["version"] == first
    assert broken in told.json()["errors"][0]
    assert "truncated" in told.json()["errors"][0]
    answer = made.post("/v1/recommend", json={"history": [10], "k": 1}).json()
    assert (answer["model"]["version"], answer["items"][0]["score"]) == (first, 3)
    assert 'shoal_model_degraded{live="main"} 1.0' in made.get("/metrics").text
    assert 'shoal_model_failures_total{live="main"} 1.0' in made.get("/metrics").text
    point_to(store, first + "\n")
    until(lambda: not made.get("/ready").json()["degraded"])
    assert 'shoal_model_degraded{live="main"} 0.0' in made.get("/metrics").text


@pytest.mark.parametrize("pointer", ["", "../../etc", "no-such-version", "\x00"])
def test_a_pointer_that_leads_nowhere(client: Any, store: Store, pointer: str) -> None:
    made = client(model=store.path)
    point_to(store, pointer)
    until(lambda: made.get("/ready").json()["degraded"])
    assert made.post("/v1/recommend", json={"history": [10]}).status_code == 200


def test_a_service_without_a_model_lives_and_says_why_it_is_not_ready(
    client: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    folder.mkdir()
    made = client(model=folder)
    assert made.get("/live").json()["status"] == "live"
    told = made.get("/ready")
    assert told.status_code == 503
    assert str(folder) in told.json()["detail"]
    refused = made.post("/v1/recommend", json={"history": [10]})
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["content-type"] == "application/problem+json"
    folder.rmdir()
    store = Store(folder, create=True)
    store.publish(make_model())
    until(lambda: made.get("/ready").status_code == 200)
    assert made.post("/v1/recommend", json={"history": [10]}).status_code == 200


def test_a_model_folder_that_is_saved_again_is_served_anew(client: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save(make_model(), folder)
    made = client(model=folder)

    def score() -> float:
        answer = made.post("/v1/recommend", json={"history": [10], "k": 1})
        return answer.json()["items"][0]["score"]

    assert score() == 3
    save(make_model(5), folder)
    until(lambda: score() == 15)


def test_a_version_that_failed_is_tried_again_after_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveModel(store.path)
    tries = []

    def fails_once(version: str) -> Any:
        tries.append(version)
        if len(tries) == 1:
            raise MemoryError("an allocation failed")
        return real(version)

    real = live._load
    monkeypatch.setattr(live, "_load", fails_once)
    assert not live.look()
    assert not live.look()
    assert len(tries) == 1  # not at every look
    assert live.trouble is not None
    assert "MemoryError" in live.trouble.reason
    monkeypatch.setattr("shoal.service.live.RETRY_SECONDS", 0.0)
    assert live.look()
    assert live.trouble is None
    assert live.served is not None


def test_metrics_name_the_version_that_answers(client: Any, store: Store) -> None:
    made = client(model=store.path)
    first = store.current()
    second = store.publish(make_model(2)).name
    until(lambda: made.get("/ready").json()["model"]["version"] == second)
    made.post("/v1/recommend", json={"history": [10]})
    made.post("/v1/recommend", json={"history": []})
    made.post("/v1/recommend", json={"history": [10], "k": 0})
    made.post("/v1/recommend", json={"history": [10, "moon"], "exclude": [20, 30, 40]})
    text = made.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

    def info(version: str) -> list[str]:
        return [v for k, v in values.items() if k.startswith("shoal_model_info") and version in k]

    assert info(second) == ["1.0"]
    assert info(first) == ["0.0"]
    assert values['shoal_model_swaps_total{live="main"}'] == "2.0"
    assert values['shoal_requests_total{route="/v1/recommend",status="200"}'] == "3.0"
    assert values['shoal_requests_total{route="/v1/recommend",status="422"}'] == "1.0"
    assert values['shoal_request_seconds_count{route="/v1/recommend"}'] == "4.0"
    assert values['shoal_fallbacks_total{reason="empty history"}'] == "1.0"
    assert values['shoal_empty_answers_total{route="/v1/recommend"}'] == "1.0"
    assert values["shoal_unknown_items_total"] == "1.0"
    assert values["shoal_requests_in_flight"] == "1.0"  # the one for the metrics
