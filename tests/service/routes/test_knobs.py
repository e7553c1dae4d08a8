"""Knobs by HTTP: what there is to turn, lists that are turned, and what that costs."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import Store, save
from shoal.events import Event, EventStore
from shoal.models.registry import create
from shoal.service import steering
from shoal.service.live import Served
from shoal.service.problems import Problem
from shoal.service.shared import Service
from shoal.testing import from_dense
from shoal.testing.toys import two_groups
from tests.service.routes.conftest import Serve, service_of

Until = Callable[[Callable[[], bool]], None]


def names(client: TestClient) -> list[str]:
    answer = client.get("/v1/knobs")
    assert answer.status_code == 200
    return [knob["name"] for knob in answer.json()["knobs"]]


def recommended(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/recommend", json={"history": ["o1", "o2"], "k": 5, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_knobs_are_the_two_circles_of_the_models_users(serve: Serve, store: Store) -> None:
    found = serve().get("/v1/knobs").json()
    assert found["source"] == "clusters"
    assert (found["lowest"], found["highest"]) == (-3, 3)
    assert found["model"]["version"] == store.current()
    assert len(found["knobs"]) == 2
    odd = {"a/b", "50%", "..", *(f"o{n}" for n in range(6))}
    for knob in found["knobs"]:
        items = {row["item"] for row in knob["items"]}
        assert items <= odd or not items & odd
        assert all(row["attributes"]["title"] for row in knob["items"])


def test_a_list_is_turned_and_its_cost_is_told(serve: Serve) -> None:
    client = serve()
    plain = recommended(client)
    assert "steering" not in plain
    even = next(
        knob
        for knob in client.get("/v1/knobs").json()["knobs"]
        if knob["items"][0]["item"] in {"x y", "plain", *(f"e{n}" for n in range(6))}
    )
    turned = recommended(client, steer={even["name"]: 3})
    members = {"x y", "plain", *(f"e{n}" for n in range(6))}
    assert {row["item"] for row in turned["items"]} <= members
    told = turned["steering"]
    assert told["levels"] == {even["name"]: 3}
    before = {row["item"] for row in plain["items"]}
    assert told["changed"] == sum(row["item"] not in before for row in turned["items"])
    assert told["kept"] < 1
    assert f"{told['changed']} of 5 items" in told["note"]


def test_level_0_gives_the_same_list_to_the_bit(serve: Serve) -> None:
    client = serve()
    plain = recommended(client)
    zero = recommended(client, steer=dict.fromkeys(names(client), 0))
    assert zero["items"] == plain["items"]
    assert zero["steering"]["changed"] == 0
    assert zero["steering"]["levels"] == {}


def test_a_batch_and_somebody_unknown_are_steered_too(serve: Serve) -> None:
    client = serve()
    name = names(client)[0]
    bodies = [{"history": [], "steer": {name: 2}}, {"history": ["o1"], "steer": {"none": 1}}]
    answers = client.post("/v1/batch", json={"requests": bodies}).json()["answers"]
    assert answers[0]["answer"]["fallback"]["answered_by"] == "popularity"
    assert answers[0]["answer"]["steering"]["levels"] == {name: 2}
    assert answers[1]["status"] == 422
    assert "there is no knob 'none'" in answers[1]["error"]["detail"]


@pytest.mark.parametrize(
    ("steer", "place"),
    [
        ({"Film": 3.5}, "body.steer.Film"),
        ({"Film": "1"}, "body.steer.Film"),
        ({"Film": None}, "body.steer.Film"),
        ({"Film": True}, "body.steer.Film"),
        (["Film"], "body.steer"),
        ({f"k{n}": 1 for n in range(101)}, "body.steer"),
        ({"nobody calls it so": 1}, "body.steer"),
    ],
)
def test_wrong_levels_are_told_with_their_place(serve: Serve, steer: Any, place: str) -> None:
    answer = serve().post("/v1/recommend", json={"history": ["o1"], "steer": steer})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["place"] == place


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_levels_that_are_no_numbers_are_refused(serve: Serve, number: str) -> None:
    body = f'{{"history": ["o1"], "steer": {{"Film": {number}}}}}'
    answer = serve().post(
        "/v1/recommend", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {400, 422}


def test_models_without_knobs_say_why(serve: Serve, tmp_path: Path) -> None:
    save(create("popularity").fit(from_dense(two_groups())), tmp_path / "popular")
    client = serve(model=tmp_path / "popular")
    for answer in (
        client.get("/v1/knobs"),
        client.post("/v1/recommend", json={"history": [101], "steer": {"x": 1}}),
    ):
        assert answer.status_code == 422
        assert "the same to everyone" in answer.json()["detail"]


def test_knobs_of_another_live_model(serve: Serve, tmp_path: Path) -> None:
    save(create("item-knn").fit(from_dense(two_groups())), tmp_path / "also")
    client = serve(also={"other": tmp_path / "also"})
    service_of(client).wait_for_models()
    found = client.get("/v1/knobs?model=other").json()
    assert found["model"]["name"] == "item-knn"
    assert all(isinstance(row["item"], int) for knob in found["knobs"] for row in knob["items"])
    assert client.get("/v1/knobs?model=none").status_code == 404


def test_while_knobs_are_made_requests_are_told_to_come_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    go_on, real, calls = threading.Event(), steering.knobs, []

    def slow(model: shoal.Recommender) -> shoal.Knobs:
        calls.append(model)
        assert go_on.wait(30)
        return real(model)

    monkeypatch.setattr(steering, "knobs", slow)
    monkeypatch.setattr(steering, "WAIT", 0.05)
    client = serve()
    for answer in (
        client.get("/v1/knobs"),
        client.post("/v1/recommend", json={"history": ["o1"], "steer": {"x": 1}}),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "being prepared" in answer.json()["detail"]
    assert client.post("/v1/recommend", json={"history": ["o1"]}).status_code == 200
    go_on.set()
    until(lambda: client.get("/v1/knobs").status_code == 200)
    assert len(calls) == 1


def test_one_request_waits_for_knobs_and_no_other_thread(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    go_on, real = threading.Event(), shoal.knobs

    def slow(model: shoal.Recommender) -> shoal.Knobs:
        assert go_on.wait(60)
        return real(model)

    monkeypatch.setattr(steering, "knobs", slow)
    service = service_of(serve())
    served = service.live.served
    assert served is not None
    made: list[shoal.Knobs] = []
    first = threading.Thread(target=lambda: made.append(service.steering.ready_knobs(served)))
    first.start()
    until(service.steering._waiting.locked)
    with pytest.raises(Problem, match="being prepared"):
        service.steering.ready_knobs(served)
    go_on.set()
    first.join(60)
    assert len(made) == 1
    assert service.steering.ready_knobs(served) is made[0]


def test_a_fault_while_knobs_are_made_is_told_and_keeps_no_model(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: shoal.Recommender) -> shoal.Knobs:
        raise ZeroDivisionError("of a bug")

    monkeypatch.setattr(steering, "knobs", broken)
    client = serve()
    assert client.get("/v1/knobs").status_code == 500
    assert client.get("/v1/knobs").status_code == 500


def store_events(place: Path, n_users: int, n_items: int) -> None:
    rng = np.random.default_rng(2)
    odd = ["a/b", "50%", "..", *(f"o{n}" for n in range(6))]
    events = [
        Event(f"s{user}", str(item), time=1000.0 * user + n)
        for user in range(n_users)
        for n, item in enumerate(rng.choice(odd, n_items, replace=False))
    ]
    with EventStore(place) as store:
        store.append(events)


def live_knobs(service: Service) -> tuple[Served, shoal.Knobs]:
    """The version that answers, and its knobs."""
    served = service.live.served
    assert served is not None
    return served, service.steering.ready_knobs(served)


def test_the_cost_in_accuracy_is_measured_on_stored_users(serve: Serve, tmp_path: Path) -> None:
    store_events(tmp_path / "events.db", 12, 8)
    client = serve(events=str(tmp_path / "events.db"))
    service = service_of(client)
    served, made = live_knobs(service)
    by_members = {made[0].weights[served.model.items.lookup(["o1"])[0]] > 0: made[0].name}
    by_members |= {made[1].weights[served.model.items.lookup(["o1"])[0]] > 0: made[1].name}
    # these people had odd items next, so that turning them to the even ones finds nothing
    cost = service.steering.cost(served, made, {by_members[False]: 3}, wait=60)
    assert cost is not None
    assert cost.n_users == 12
    assert cost.after["recall@10"] <= cost.before["recall@10"]
    assert cost.difference["ndcg@10"].high < 0
    again = service.steering.cost(served, made, {by_members[False].upper(): 3, by_members[True]: 0})
    assert again is cost


def test_without_enough_events_the_cost_says_what_is_missing(serve: Serve, tmp_path: Path) -> None:
    store_events(tmp_path / "events.db", 3, 5)
    for options, message in (
        ({"events": str(tmp_path / "events.db")}, "no stored user has 6 items"),
        ({}, "--events"),
    ):
        service = service_of(serve(**options))
        served, made = live_knobs(service)
        with pytest.raises(shoal.ShoalError, match=message):
            service.steering.cost(served, made, {made[0].name: 1}, wait=60)


def test_people_who_come_later_are_measured_by_the_same_version(
    serve: Serve, tmp_path: Path
) -> None:
    service = service_of(serve(events=str(tmp_path / "empty.db")))
    served, made = live_knobs(service)
    with pytest.raises(shoal.ShoalError, match="no stored user has 6 items"):
        service.steering.cost(served, made, {made[0].name: 1}, wait=60)
    store_events(tmp_path / "empty.db", 12, 8)
    cost = service.steering.cost(served, made, {made[0].name: 1}, wait=60)
    assert cost is not None
    assert cost.n_users == 12


@pytest.mark.parametrize("by", ["request", "page"])
def test_nothing_is_kept_of_a_person_who_is_deleted(serve: Serve, tmp_path: Path, by: str) -> None:
    store_events(tmp_path / "events.db", 12, 8)
    client = serve(events=str(tmp_path / "events.db"))
    service = service_of(client)
    served, made = live_knobs(service)
    first = service.steering.cost(served, made, {made[0].name: 1}, wait=60)
    assert first is not None
    assert first.n_users == 12
    kept = weakref.ref(service.steering._measured[served.model])
    if by == "request":
        assert client.delete("/v1/users/s3").json()["deleted"] == 8
    else:
        form = {"id": "s3", "action": "delete"}
        headers = {"Origin": "http://localhost"}
        answer = client.post("/person", data=form, headers=headers, follow_redirects=False)
        assert answer.status_code == 303
    gc.collect()
    assert kept() is None
    again = service.steering.cost(served, made, {made[0].name: 1}, wait=60)
    assert again is not None
    assert again.n_users == 11


def test_people_whom_another_process_deletes_are_measured_no_more(
    serve: Serve, tmp_path: Path
) -> None:
    store_events(tmp_path / "events.db", 12, 8)
    service = service_of(serve(events=str(tmp_path / "events.db")))
    served, made = live_knobs(service)

    def n_users(level: float) -> int:
        cost = service.steering.cost(served, made, {made[0].name: level}, wait=60)
        assert cost is not None
        return cost.n_users

    assert n_users(1) == 12
    with EventStore(tmp_path / "events.db") as other:
        assert other.delete_user("s3") == 8
    assert n_users(2) == 11
    assert n_users(3) == 11
