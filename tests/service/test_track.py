"""POST /v1/track: lists and clicks are stored once, for the variant that made the list."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.artifact import Store
from tests.service.conftest import make_model
from tests.service.experiments import LISTS, THREE, USER, USERS, variant_by_hand
from tests.service.processes import Process

AUTUMN = {"experiment": "autumn", "name": "tenfold"}


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "events.db")


@pytest.fixture
def experiment(tenfold: Store, file: Callable[[str], Path]) -> dict[str, Any]:
    """Settings of a service with the experiment of `test_experiment`."""
    return {"also": {"tenfold": tenfold.path}, "experiment": file(THREE)}


@pytest.fixture
def made(client: Any, experiment: dict[str, Any], database: str) -> Any:
    made = client(**experiment, events=database)
    assert made.app.state.service.events.count() == 0  # the tables are made by now
    return made


def track(made: Any, **body: Any) -> dict[str, Any]:
    answer = made.post("/v1/track", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return {name: told[name] for name in ("lists", "clicks", "duplicates", "deleted")}


def stored(database: str, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


LISTED = "SELECT request_id, user_id, shown, model, version, experiment, variant FROM shoal_lists"
CLICKED = "SELECT user_id, item_id, type, request_id FROM shoal_events ORDER BY id"


def told(lists: int, clicks: int, duplicates: int) -> dict[str, int]:
    return {"lists": lists, "clicks": clicks, "duplicates": duplicates, "deleted": 0}


def test_a_list_and_its_clicks_are_stored_once(made: Any, database: str) -> None:
    user = USER["tenfold"]
    answer = made.post("/v1/recommend", json={"history": [10], "user": user, "k": 2}).json()
    body = {
        "request_id": answer["request_id"],
        "user": user,
        "items": [row["item"] for row in answer["items"]],
        "model": answer["model"],
        "variant": answer["variant"],
    }
    assert track(made, **body) == told(1, 0, 0)
    assert track(made, **body) == told(0, 0, 1)
    assert track(made, **body, clicked=[30]) == told(0, 1, 1)
    assert track(made, **body, clicked=[30]) == told(0, 0, 2)
    assert track(made, **body, clicked=["30", 20, 20]) == told(0, 1, 2)
    listed = (answer["request_id"], user, '["20","30"]', "ease", answer["model"]["version"])
    (row,) = stored(database, LISTED)
    assert (*row[:2], json.loads(row[2]), *row[3:5]) == (
        *listed[:2], json.loads(listed[2]), *listed[3:],
    )  # fmt: skip
    assert row[5:] == ("autumn", "tenfold")
    assert stored(database, CLICKED) == [
        (user, "30", "click", answer["request_id"]),
        (user, "20", "click", answer["request_id"]),
    ]


def test_the_variant_is_that_of_the_request_else_that_of_the_user(made: Any, database: str) -> None:
    user = USER["filtered"]
    of_before = {"experiment": "summer", "name": "warm"}
    for number, more in enumerate(
        [{}, {"variant": None}, {"variant": AUTUMN}, {"variant": of_before}]
    ):
        track(made, request_id=f"r{number}", user=user, items=[20], **more)
    track(made, request_id="nobody", items=[20])
    rows = {row[0]: row[5:] for row in stored(database, LISTED)}
    assert rows == {
        "r0": ("autumn", "filtered"),
        "r1": (None, None),
        "r2": ("autumn", "tenfold"),
        "r3": ("summer", "warm"),
        "nobody": (None, None),
    }
    made.post("/v1/online/promote", json={"variant": "tenfold"})
    track(made, request_id="promoted", items=[20])
    assert stored(database, f"{LISTED} WHERE request_id = 'promoted'")[0][5:] == (
        "autumn", "tenfold",
    )  # fmt: skip


def test_several_lists_in_one_request(made: Any, database: str) -> None:
    tracks = [
        {"request_id": f"r{n}", "user": user, "items": [20, 30], "clicked": [20]}
        for n, user in enumerate(USER.values())
    ]
    assert track(made, tracks=[*tracks, tracks[0]]) == told(3, 3, 2)
    assert len(stored(database, LISTED)) == len(stored(database, CLICKED)) == 3


def test_without_an_experiment_lists_are_stored_without_a_variant(
    client: Any, database: str
) -> None:
    made = client(events=database)
    assert track(made, request_id="r", user="u1", items=[20], clicked=[20]) == told(1, 1, 0)
    (row,) = stored(database, LISTED)
    assert row[5:] == (None, None)
    assert row[4] == made.get("/ready").json()["model"]["version"]


def test_the_type_of_a_click_is_what_the_experiment_counts(
    client: Any, tmp_path: Path, database: str
) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("name: a\nvariants: {x: {share: 1}}\nsuccess: purchase\n")
    made = client(events=database, experiment=file)
    track(made, request_id="r", user="u1", items=[20], clicked=[20])
    assert stored(database, CLICKED) == [("u1", "20", "purchase", "r")]
    assert 'shoal_events_written_total{type="purchase"} 1.0' in made.get("/metrics").text
    told = made.get("/v1/online").json()
    assert [told["variants"][0][name] for name in ("users", "lists", "clicks")] == [1, 1, 1]


ONE = {"request_id": "r", "user": "u1", "items": [20, 30]}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"request_id": "r", "user": "u1"}, "body.items"),
        ({"user": "u1", "items": [20]}, "body.request_id"),
        ({**ONE, "request_id": None}, "body.request_id"),
        ({**ONE, "items": []}, "body.items"),
        ({**ONE, "clicked": [40]}, "body.clicked[0]"),
        ({**ONE, "clicked": [20, 1.5]}, "body.clicked[1]"),
        ({"request_id": "r", "items": [20], "clicked": [20]}, "body.user"),
        ({**ONE, "variant": "tenfold"}, "body.variant"),
        ({**ONE, "variant": {"experiment": "autumn", "name": "nobody"}}, "body.variant.name"),
        ({**ONE, "variant": {"experiment": "autumn"}}, "body.variant.name"),
        ({**ONE, "variant": {"experiment": "a\nb", "name": "x"}}, "body.variant.experiment"),
        ({**ONE, "time": "yesterday"}, "time is 'yesterday'"),
        ({**ONE, "time": -5}, "body.time"),
        ({**ONE, "click": [20]}, "body.click"),
        ({**ONE, "tracks": [ONE]}, "body.tracks"),
        ({"tracks": None}, "body.tracks"),
        ({"tracks": []}, "body.tracks"),
        ({"tracks": [ONE, {"request_id": "s"}]}, "body.tracks[1].items"),
        ({"tracks": [{**ONE, "clicked": [40]}]}, "body.tracks[0].clicked[0]"),
        ({"tracks": [ONE] * 101}, "body.tracks"),
        ({}, "body.request_id"),
    ],
)
def test_what_cannot_be_tracked(made: Any, database: str, body: Any, place: str) -> None:
    answer = made.post("/v1/track", json=body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    places = [error["place"] for error in problem["errors"]] or [problem["detail"]]
    assert places[0].startswith(place)
    assert stored(database, LISTED) == stored(database, CLICKED) == []


def test_a_list_from_before_the_deletion_of_its_user_stays_out(made: Any, database: str) -> None:
    assert made.delete("/v1/users/u1").status_code == 200
    body = {"user": "u1", "items": [20], "clicked": [20], "time": 1_700_000_000}
    assert track(made, request_id="r1", **body) == {**told(0, 0, 0), "deleted": 2}
    assert stored(database, LISTED) == stored(database, CLICKED) == []
    other = {**body, "request_id": "r2", "user": "u2"}
    mixed = track(made, tracks=[{**body, "request_id": "r1"}, other])
    assert mixed == {**told(1, 1, 0), "deleted": 2}
    assert [row[:2] for row in stored(database, LISTED)] == [("r2", "u2")]
    del body["time"]  # now: of a new person
    assert track(made, request_id="r3", **body) == told(1, 1, 0)


@pytest.mark.parametrize(
    ("route", "wrap"),
    [
        ("/v1/track", lambda shown: shown),
        ("/v1/track", lambda shown: {"tracks": [shown]}),
        ("/v1/events", lambda shown: {"impressions": [shown]}),
    ],
)
def test_while_no_model_is_loaded_a_list_is_to_be_sent_again(
    client: Any, tmp_path: Path, database: str, route: str, wrap: Any
) -> None:
    empty = Store(tmp_path / "empty", create=True)
    made = client(model=empty.path, events=database)
    assert made.app.state.service.events.count() == 0  # the tables are made by now
    answer = made.post(route, json=wrap(ONE))
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert stored(database, LISTED) == []
    named = {**ONE, "model": {"name": "ease", "version": "v1"}}
    assert made.post(route, json=wrap(named)).status_code == 200
    assert [row[3:5] for row in stored(database, LISTED)] == [("ease", "v1")]


def test_without_a_store_of_events(client: Any, experiment: dict[str, Any]) -> None:
    made = client(**experiment)
    for answer in (
        made.post("/v1/track", json=ONE),
        made.get("/v1/online"),
        made.post("/v1/online/promote", json={"variant": "tenfold"}),
    ):
        assert answer.status_code == 404
        assert "--events" in answer.json()["detail"]
    body = {"history": [10], "user": USER["tenfold"], "k": 2}
    assert made.post("/v1/recommend", json=body).json()["variant"] == AUTUMN


def test_the_report_counts_what_was_tracked(made: Any) -> None:
    clicks = dict.fromkeys(LISTS, 0)
    users = dict.fromkeys(LISTS, 0)
    for number, user in enumerate(USERS):
        name = variant_by_hand(user)
        clicked = [30] if number % 3 == 0 else []
        track(made, request_id=f"r{number}", user=user, items=[20, 30], clicked=clicked)
        clicks[name] += len(clicked)
        users[name] += 1
    made.app.state.service.reports.forget()
    report = made.get("/v1/online").json()
    for row in report["variants"]:
        assert (row["users"], row["impressions"], row["clicks"]) == (
            users[row["name"]], 2 * users[row["name"]], clicks[row["name"]],
        )  # fmt: skip
        # items 20 and 30 have 9 and 2 training users, and each list has both
        assert row["popularity"] == pytest.approx(5.5)
    assert [row["is_control"] for row in report["variants"]] == [True, False, False]
    assert made.get("/v1/online?since=1&until=2026-01-01").json()["first"] is None
    for query in ("since=x", "since=nan", "since=-1", "since=2026-01-01&since=2026-01-02", "a=1"):
        assert made.get(f"/v1/online?{query}").status_code in (400, 422)


def test_a_report_is_made_once_for_all_who_ask(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import shoal.online.report as module

    reports = []
    make = module.report

    def counted(*arguments: Any, **options: Any) -> Any:
        reports.append(1)
        time.sleep(0.1)
        return make(*arguments, **options)

    monkeypatch.setattr(module, "report", counted)
    together = range(5)  # one makes it and four wait; more are asked to come again
    with ThreadPoolExecutor(len(together)) as pool:
        answers = list(pool.map(lambda _: made.get("/v1/online").status_code, together))
    assert answers == [200] * 5
    assert len(reports) == 1
    track(made, **ONE)
    assert made.get("/v1/online?since=5").json()["left_out"]["without_user"] == 0
    assert len(reports) == 2


def test_a_client_that_is_gone_stores_nothing(made: Any, database: str) -> None:
    """The connection ends in the middle of the body."""

    async def ask() -> list[Any]:
        body = json.dumps(ONE).encode()
        messages = iter(
            [
                {"type": "http.request", "body": body[:20], "more_body": True},
                {"type": "http.disconnect"},
            ]
        )
        sent: list[Any] = []

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v1/track", "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
        }  # fmt: skip
        await made.app(scope, receive, send)
        return sent

    assert asyncio.run(ask()) == []
    assert stored(database, LISTED) == []
    assert made.post("/v1/track", json=ONE).status_code == 200


# --- two workers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, str]]:
    place = tmp_path_factory.mktemp("track")
    for name, factor in (("store", 1), ("tenfold", 10)):
        Store(place / name, create=True).publish(make_model(factor))
    (place / "experiment.yaml").write_text(THREE)
    process = Process(
        place, place / "store", "--also", f"tenfold={place / 'tenfold'}",
        "--experiment", place / "experiment.yaml", "--events", place / "events.db",
        "--workers", 2, "--threads", 1,
    )  # fmt: skip
    try:
        process.until(lambda: len(process.workers()) == 2)
        yield process, str(place / "events.db")
    finally:
        process.end()


def test_the_same_track_by_two_workers_at_once(workers: tuple[Process, str]) -> None:
    process, database = workers
    body = {"request_id": "r", "user": USER["tenfold"], "items": [20, 30], "clicked": [20]}

    def send(number: int) -> dict[str, Any]:
        answer = httpx.post(f"{process.url}/v1/track", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(40)))
    assert sum(answer["lists"] for answer in answers) == 1
    assert sum(answer["clicks"] for answer in answers) == 1
    assert sum(answer["duplicates"] for answer in answers) == 78
    assert len(stored(database, LISTED)) == len(stored(database, CLICKED)) == 1


def test_all_workers_follow_a_promotion(workers: tuple[Process, str]) -> None:
    """Each request is a new connection, which either worker may take."""
    process, _ = workers

    def lists() -> set[str]:
        answers = [process.post("/v1/recommend", history=[10], k=2).json() for _ in range(16)]
        return {str(answer["variant"] and answer["variant"]["name"]) for answer in answers}

    assert lists() == {"None"}
    assert process.post("/v1/online/promote", variant="tenfold").status_code == 200
    process.until(lambda: lists() == {"tenfold"}, seconds=15)
    assert process.post("/v1/online/promote", variant=None).status_code == 200
    process.until(lambda: lists() == {"None"}, seconds=15)


def test_a_client_that_goes_before_the_answer_has_its_track_stored(
    workers: tuple[Process, str],
) -> None:
    """The request was complete, so it counts; sent again, it is a duplicate."""
    process, database = workers
    body = {"request_id": "gone", "user": "u1", "items": [20], "clicked": [20]}
    content = json.dumps(body).encode()
    host, port = process.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/track HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(content), content)
        )
    process.until(lambda: len(stored(database, f"{LISTED} WHERE request_id = 'gone'")) == 1)
    told = process.post("/v1/track", **body).json()
    assert (told["lists"], told["clicks"], told["duplicates"]) == (0, 0, 2)


def test_workers_stay_where_their_successors_cannot_start(workers: tuple[Process, str]) -> None:
    """SIGHUP reads the file of the experiment anew; one with a mistake does not end the service."""
    process, database = workers
    file = Path(database).parent / "experiment.yaml"
    before = set(process.workers())
    assert len(before) == 2
    file.write_text(THREE.replace("0.5", "0.6"))
    process.process.send_signal(signal.SIGHUP)
    process.until(lambda: "the old ones stay" in process.errors.read_text())
    assert set(process.workers()) == before
    file.write_text(THREE.replace("autumn", "winter"))
    process.process.send_signal(signal.SIGHUP)
    process.until(lambda: len(process.workers()) == 2 and not before & set(process.workers()))
    process.until(lambda: process.get("/ready").json()["experiment"]["name"] == "winter")
