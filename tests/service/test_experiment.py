"""An experiment in the service: who gets which variant, its settings, and what everybody gets."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shoal.artifact import Store
from shoal.events import EventStore
from shoal.service import experiment as experiment_module
from tests.service.conftest import make_model
from tests.service.experiments import LISTS, THREE, USER, USERS, ask, rows, variant_by_hand
from tests.waiting import until


@pytest.fixture
def served(client: Any, file: Any, tenfold: Store, events: str) -> Any:
    made = client(also={"tenfold": tenfold.path}, experiment=file(THREE), events=events)
    experiment = made.app.state.service.experiment
    until(lambda: experiment.unreadable == "" and not experiment.faults())
    return made


def test_users_are_answered_by_their_variants(served: Any, tenfold: Store) -> None:
    counts: Counter[str] = Counter()
    for user in USERS:
        told = ask(served, user=user)
        name = variant_by_hand(user)
        assert told["variant"] == {"experiment": "autumn", "name": name}
        assert rows(told) == LISTS[name]
        assert (told["model"]["version"] == tenfold.current()) is (name == "tenfold")
        counts[name] += 1
    assert len(counts) == 3


def test_what_is_not_part_of_the_experiment_has_no_variant(served: Any) -> None:
    assert ask(served)["variant"] is None  # no user
    for user in USER.values():
        told = ask(served, user=user, model="main")
        assert told["variant"] is None
        assert rows(told) == LISTS["control"]
        told = ask(served, user=user, model="tenfold")
        assert (told["variant"], rows(told)) == (None, LISTS["tenfold"])
    similar = served.post("/v1/similar", json={"item": 10}).json()
    assert "variant" not in similar


def test_without_an_experiment_variants_are_null(client: Any) -> None:
    made = client()
    assert ask(made, user="u1")["variant"] is None
    assert made.get("/v1/recommend/u1").json()["variant"] is None
    body = {"history": [10], "candidates": [20], "user": "u1"}
    assert made.post("/v1/rank", json=body).json()["variant"] is None
    assert made.get("/ready").json()["experiment"] is None
    for call in (made.get("/v1/online"), made.post("/v1/online/promote", json={"variant": "a"})):
        assert call.status_code == 404
        assert "--experiment FILE" in call.json()["detail"]


def test_settings_of_the_request_come_first(served: Any) -> None:
    user = USER["filtered"]
    label = {"experiment": "autumn", "name": "filtered"}
    told = ask(served, user=user, filter="year < 2005", diversity=0.0)
    assert (told["variant"], rows(told)) == (label, [(20, 3), (30, 2)])
    told = ask(served, user=user, filter=None)  # null says that there is no filter
    assert (told["variant"], rows(told)[0]) == (label, (20, 3))


def test_the_short_form_rank_and_batch(served: Any) -> None:
    for name, user in USER.items():
        served.post("/v1/events", json={"events": [{"user": user, "item": 10}]})
        label = {"experiment": "autumn", "name": name}
        told = served.get(f"/v1/recommend/{user}?k=2").json()
        assert (told["variant"], rows(told)) == (label, LISTS[name])
        body = {"user": user, "candidates": [30, 40]}
        told = served.post("/v1/rank", json=body).json()
        factor = 10 if name == "tenfold" else 1
        assert (told["variant"], rows(told)) == (label, [(30, 2 * factor), (40, factor)])
        told = served.get(f"/v1/recommend/{user}?k=2&model=main").json()
        assert (told["variant"], rows(told)) == (None, LISTS["control"])
    names = [*USER, "control"]
    requests: list[dict[str, Any]] = [{"user": USER[name], "k": 2} for name in names]
    requests += [{"history": [10], "k": 2}, {"user": USER["tenfold"], "k": 2, "model": "main"}]
    told = served.post("/v1/batch", json={"requests": requests}).json()
    answers = [row["answer"] for row in told["answers"]]
    labels = [answer["variant"] and answer["variant"]["name"] for answer in answers]
    assert labels == [*names, None, None]
    lists = [LISTS[name] for name in [*names, "control", "control"]]
    assert [rows(answer) for answer in answers] == lists
    ids = [answer["request_id"] for answer in answers]
    assert ids == [f"{told['request_id']}#{n}" for n in range(len(ids))]


def test_settings_that_new_items_cannot_have_are_left_out(served: Any) -> None:
    """The request fails for what it lacks itself (texts), not for the filter of the variant."""
    new = [{"item": "n1", "text": "A new one"}]
    body = {"history": [10], "user": USER["filtered"], "new_items": new}
    told = served.post("/v1/recommend", json=body).json()
    assert told["errors"][0]["place"] == "body.new_items"


def test_ready_tells_of_the_experiment(served: Any) -> None:
    told = served.get("/ready").json()
    variants = ["control", "filtered", "tenfold"]
    assert told["experiment"] == {"name": "autumn", "promoted": None, "variants": variants}
    assert not told["degraded"]


def test_a_promotion_is_what_everybody_gets_until_it_is_undone(served: Any, events: str) -> None:
    promoted = served.post("/v1/online/promote", json={"variant": "tenfold"})
    assert promoted.status_code == 200, promoted.text
    told = promoted.json()
    assert (told["variant"], told["before"], told["activated"]) == ("tenfold", None, None)
    label = {"experiment": "autumn", "name": "tenfold"}
    for body in ({}, *({"user": user} for user in USER.values())):
        answer = ask(served, **body)
        assert (answer["variant"], rows(answer)) == (label, LISTS["tenfold"])
    assert ask(served, model="main")["variant"] is None
    assert served.get("/ready").json()["experiment"]["promoted"] == "tenfold"
    assert served.get("/v1/online").json()["promoted"] == "tenfold"
    undone = served.post("/v1/online/promote", json={"variant": None}).json()
    assert (undone["variant"], undone["before"]) == (None, "tenfold")
    assert ask(served)["variant"] is None
    assert rows(ask(served, user=USER["filtered"])) == LISTS["filtered"]
    again = served.post("/v1/online/promote", json={"variant": None})
    assert again.status_code == 409
    assert "nothing to undo" in again.json()["detail"]


def test_a_promotion_of_another_process_is_seen(
    client: Any, file: Any, tenfold: Store, events: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment_module, "POLL_SECONDS", 0.02)
    made = client(also={"tenfold": tenfold.path}, experiment=file(THREE), events=events)
    with EventStore(events) as other:
        other.promote("autumn", "filtered")
        until(lambda: rows(ask(made)) == LISTS["filtered"])
        other.promote("autumn", "gone")  # by a service with another file
        until(lambda: made.get("/ready").json()["degraded"])
        assert "no such variant" in made.get("/ready").json()["errors"][0]
        assert ask(made)["variant"] is None
        other.promote("autumn", None)
        until(lambda: not made.get("/ready").json()["degraded"])
        assert rows(ask(made, user=USER["filtered"])) == LISTS["filtered"]


def test_no_request_waits_for_promotions(
    client: Any, file: Any, tenfold: Store, events: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database does not answer, the last that is known counts, and requests go on."""
    made = client(also={"tenfold": tenfold.path}, experiment=file(THREE), events=events)
    made.post("/v1/online/promote", json={"variant": "tenfold"})

    def hangs(*_: Any) -> None:
        time.sleep(3)

    experiment = made.app.state.service.experiment
    monkeypatch.setattr(made.app.state.service.events, "promotion", hangs)
    experiment.look_now()
    time.sleep(0.1)
    began = time.monotonic()
    assert rows(ask(made)) == LISTS["tenfold"]
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ({"variant": "nobody"}, 404, "body.variant"),
        ({"variant": ""}, 422, "body.variant"),
        ({"variant": 7}, 422, "body.variant"),
        ({}, 422, "body.variant"),
        ({"variant": "tenfold", "undo": True}, 422, "body.undo"),
    ],
)
def test_what_cannot_be_promoted(served: Any, body: Any, status: int, place: str) -> None:
    answer = served.post("/v1/online/promote", json=body)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["place"] == place
    assert served.get("/ready").json()["experiment"]["promoted"] is None


def test_promoting_takes_an_admin_key(client: Any, file: Any, tenfold: Store, events: str) -> None:
    made = client(
        also={"tenfold": tenfold.path}, experiment=file(THREE), events=events,
        read_key="r" * 20, admin_key="a" * 20,
    )  # fmt: skip
    body = {"variant": "tenfold"}
    for key, status in (("r" * 20, 403), ("x" * 20, 401), ("a" * 20, 200)):
        headers = {"Authorization": f"Bearer {key}"}
        assert made.post("/v1/online/promote", json=body, headers=headers).status_code == status
        if status != 401:
            assert made.get("/v1/online", headers=headers).status_code == 200


def test_answers_agree_with_their_variants_while_models_and_promotions_change(
    client: Any, file: Any, store: Store, tenfold: Store, events: str
) -> None:
    """Whatever changes meanwhile: one variant, one version, and the list of both."""
    factors = {store.current(): 1, tenfold.current(): 10}
    made = client(
        model=store.path, also={"tenfold": tenfold.path}, experiment=file(THREE), events=events,
        threads=2, queue=1000,
    )  # fmt: skip
    until(lambda: not made.app.state.service.experiment.faults())
    running = threading.Event()
    running.set()
    seen: Counter[str] = Counter()

    def ask_on(number: int) -> None:
        user = list(USER.values())[number % 3]
        while running.is_set():
            told = ask(made, user=user)
            name = told["variant"]["name"]
            scale = factors[told["model"]["version"]] / (10 if name == "tenfold" else 1)
            assert rows(told) == [(item, score * scale) for item, score in LISTS[name]]
            seen[name] += 1

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask_on, number) for number in range(3)]
        try:
            for change in range(2, 7):
                for models, factor in ((store, change), (tenfold, 10 * change)):
                    factors[models.publish(make_model(factor), activate=False).name] = factor
                    newest = models.versions()[0].name
                    models.activate(newest)
                    variant = ["tenfold", "filtered", None][change % 3]
                    if variant or made.get("/ready").json()["experiment"]["promoted"]:
                        body = {"variant": variant}
                        assert made.post("/v1/online/promote", json=body).status_code == 200
                    before = seen.total()
                    until(lambda b=before: seen.total() > b + 10)  # type: ignore[misc]
        finally:
            running.clear()
        for future in asking:
            future.result()
    assert set(seen) == set(LISTS)
