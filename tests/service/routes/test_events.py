"""Events by HTTP: stored before the answer, seen by the next request, deleted for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shoal.events import Event, EventStore
from shoal.service import stored
from tests.service.routes.conftest import Serve

READ, ADMIN = "read-key-0123456789", "admin-key-0123456789"


def event(user: str, item: str, **more: Any) -> dict[str, Any]:
    return {"user": user, "item": item, **more}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


def test_the_next_request_sees_the_event(serve: Serve, database: Path) -> None:
    client = serve(events=str(database), event_weights={"view": 1, "buy": 5})
    unknown = client.post("/v1/recommend", json={"user": "u/1", "k": 3}).json()
    assert unknown["fallback"] == {"answered_by": "popularity", "reason": "unknown user"}
    sent = [event("u/1", "o1"), event("u/1", "o2", type="buy", value=9.5, time=1.7e9)]
    answer = client.post("/v1/events", json={"events": sent})
    assert answer.status_code == 200
    assert [answer.json()[n] for n in ("accepted", "duplicates", "impressions")] == [2, 0, 0]
    mine = client.post("/v1/recommend", json={"user": "u/1", "k": 3}).json()
    history = {"o2": 5.0, "o1": 1.0}  # o2 was in 2023
    same = client.post("/v1/recommend", json={"history": history, "k": 3}).json()
    assert mine["fallback"] is None
    assert mine["items"] == same["items"]
    assert all(
        row["item"].startswith("o") or row["item"] in ("a/b", "50%", "..") for row in mine["items"]
    )
    kept = client.get("/v1/users/u%2F1").json()
    assert kept["user"] == "u/1"
    assert kept["history"] == [{"item": i, "weight": w} for i, w in history.items()]
    assert [(e["item"], e["type"], e["value"]) for e in kept["events"]] == [
        ("o1", "view", None),
        ("o2", "buy", 9.5),
    ]
    assert kept["events"][1]["time"] == 1.7e9
    metrics = client.get("/metrics").text
    assert 'shoal_events_written_total{type="buy"} 1.0' in metrics
    assert 'shoal_events_written_total{type="view"} 1.0' in metrics


def test_what_is_sent_again_counts_once(serve: Serve, database: Path) -> None:
    client = serve(events=str(database))
    body = {"events": [event("u", "o1"), event("u", "o2")]}
    for accepted, duplicates in ((2, 0), (0, 2)):
        answer = client.post("/v1/events", json=body, headers={"Idempotency-Key": "k-1"}).json()
        assert (answer["accepted"], answer["duplicates"]) == (accepted, duplicates)
    with EventStore(database) as kept:
        assert kept.count() == 2
    other = client.post(
        "/v1/events", json={"events": [event("u", "o3")]}, headers={"Idempotency-Key": "k-1"}
    )
    assert other.status_code == 422
    for key in ("", "k" * 129):
        refused = client.post("/v1/events", json=body, headers={"Idempotency-Key": key})
        assert refused.status_code == 422


def test_an_event_in_another_form_is_told_the_right_one(serve: Serve, database: Path) -> None:
    client = serve(events=str(database))
    forms: list[tuple[Any, str]] = [
        (event("u", "o1"), 'body: put the event into a list: {"events": [{"user": …, "item": …}]}'),
        ({"user_id": "u", "item_id": "o1"}, "body: put the event into a list"),
        ([event("u", "o1")], 'body: give a JSON object such as {"events": [{"user": "u1"'),
        (
            {"events": [{"user_id": "u", "itemId": "o1"}]},
            "body.events[0].user_id: there is no such field; did you mean user? (and 3 more)",
        ),
        ({"events": [event("u", "o1", timestamp=1)]}, "body.events[0].timestamp: there is no"),
        ({"impressions": [{"request": "r", "items": ["o1"]}]}, "body.impressions[0].request: "),
    ]
    for body, detail in forms:
        answer = client.post("/v1/events", json=body)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(detail)
    with EventStore(database) as kept:
        assert kept.count() == 0


def test_a_request_is_stored_whole_or_not_at_all(serve: Serve, database: Path) -> None:
    client = serve(events=str(database), event_weights={"view": 1})
    shown = {"request_id": "r1", "items": ["o1", "o2"]}
    late = {"request_id": "r2", "items": ["o1"], "time": 1e11}  # a day in the year 5138
    for wrong in (
        {"impressions": [shown], "events": [event("u", "o1", type="vew")]},
        {"impressions": [shown, late], "events": [event("u", "o1")]},
    ):
        assert client.post("/v1/events", json=wrong).status_code == 422
    with EventStore(database) as kept:
        assert (kept.facts().events, kept.facts().lists) == (0, 0)
    right = {"impressions": [shown], "events": [event("u", "o1")]}
    key = {"Idempotency-Key": "k"}
    for stored_now, before in ((1, 0), (0, 1)):
        told = client.post("/v1/events", json=right, headers=key).json()
        assert (told["accepted"], told["impressions"]) == (stored_now, stored_now)
        assert (told["duplicates"], told["deleted"]) == (before, 0)
    other = {**right, "impressions": [{**shown, "request_id": "r3"}]}
    assert client.post("/v1/events", json=other, headers=key).status_code == 422
    with EventStore(database) as kept:
        assert (kept.facts().events, kept.facts().lists) == (1, 1)


def test_lists_that_were_shown_are_joined_to_what_came_of_them(
    serve: Serve, database: Path
) -> None:
    client = serve(events=str(database))
    shown = client.post("/v1/recommend", json={"history": ["o1"], "k": 4}).json()
    items = [row["item"] for row in shown["items"]]
    impression = {
        "request_id": shown["request_id"], "items": items, "user": "u", "model": shown["model"],
    }  # fmt: skip
    click = event("u", items[1], type="click", request_id=shown["request_id"])
    both = client.post("/v1/events", json={"impressions": [impression], "events": [click]}).json()
    assert (both["accepted"], both["impressions"]) == (1, 1)
    again = client.post("/v1/events", json={"impressions": [impression]}).json()
    assert again["impressions"] == 0
    with EventStore(database) as kept:
        (clicks,) = kept.clicks()
    assert (clicks.model, clicks.version) == (shown["model"]["name"], shown["model"]["version"])
    assert (clicks.lists, clicks.impressions, clicks.clicks) == (1, 4, 1)


def test_a_user_is_deleted_for_good(serve: Serve, database: Path) -> None:
    client = serve(events=str(database), read_key=READ, admin_key=ADMIN)
    read, admin = ({"Authorization": f"Bearer {key}"} for key in (READ, ADMIN))
    client.post("/v1/events", json={"events": [event("u", "o1"), event("v", "o1")]}, headers=read)
    assert client.delete("/v1/users/u", headers=read).status_code == 403
    answer = client.delete("/v1/users/u", headers=admin).json()
    assert (answer["user"], answer["deleted"]) == ("u", 1)
    assert client.get("/v1/users/u", headers=read).json()["events"] == []
    assert len(client.get("/v1/users/v", headers=read).json()["events"]) == 1
    with EventStore(database) as kept:
        assert kept.is_deleted(["u", "v"]) == [True, False]


def test_what_was_before_a_deletion_is_not_stored_again(serve: Serve, database: Path) -> None:
    client = serve(events=str(database))
    assert client.delete("/v1/users/u").status_code == 200
    lists = [
        {"request_id": "r1", "user": "u", "items": ["o1"], "time": 1_700_000_000},
        {"request_id": "r2", "user": "v", "items": ["o1"], "time": 1_700_000_000},
    ]
    events = [event(name, "o1", time=1_700_000_000, id=f"id {name}") for name in ("u", "v")]
    for stored_now in (1, 0):
        told = client.post("/v1/events", json={"impressions": lists, "events": events}).json()
        assert {n: told[n] for n in ("accepted", "duplicates", "deleted", "impressions")} == {
            "accepted": stored_now, "duplicates": 1 - stored_now, "deleted": 2,
            "impressions": stored_now,
        }  # fmt: skip
    with EventStore(database) as kept:
        assert (kept.facts().lists, kept.facts().users) == (1, 1)


def test_ready_tells_that_the_file_vanished(serve: Serve, database: Path) -> None:
    client = serve(events=str(database))
    assert client.post("/v1/events", json={"events": [event("u", "o1")]}).status_code == 200
    assert not client.get("/v1/ready").json()["degraded"]
    for ending in ("", "-wal", "-shm"):
        Path(f"{database}{ending}").unlink(missing_ok=True)
    assert client.get("/v1/users/u").json()["events"] == []
    told = client.get("/v1/ready")
    assert told.status_code == 200
    assert (told.json()["status"], told.json()["degraded"]) == ("degraded", True)
    (error,) = told.json()["errors"]
    assert error.startswith(f"events: {database} was removed while it was in use")


def test_recommendations_go_on_without_the_database(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.sqlite"
    file.write_bytes(b"this is no database " * 200)
    client = serve(events=str(file))
    refused = client.post("/v1/events", json={"events": [event("u", "o1")]})
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert "Retry-After" in refused.headers
    assert client.get("/v1/users/u").status_code == 503
    for body, by in (({"user": "u"}, "popularity"), ({"user": "u", "history": ["o1"]}, "ease")):
        answer = client.post("/v1/recommend", json=body)
        assert answer.status_code == 200
        assert answer.json()["fallback"] == {
            "answered_by": by,
            "reason": "the stored events of users cannot be read at the moment",
        }
        assert answer.json()["items"]
    ready = client.get("/v1/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert "file is not a database" in ready.json()["errors"][0]
    EventStore(tmp_path / "good.sqlite").close()
    file.write_bytes((tmp_path / "good.sqlite").read_bytes())  # restored
    monkeypatch.setattr(stored, "PAUSE", 0.0)
    assert client.post("/v1/events", json={"events": [event("u", "o1")]}).status_code == 200


def test_a_database_that_is_down_is_not_asked_by_every_request() -> None:
    asked: list[str] = []
    now = [0.0]

    class Down:
        def history(self, user: str, *, limit: int) -> dict[str, float]:
            asked.append(user)
            raise stored.EventsUnavailable("no answer")

    histories = stored.StoredHistories(Down(), lambda: now[0])  # type: ignore[arg-type]
    for now[0] in (0.0, 1.0, 4.9, 5.1, 6.0):
        with pytest.raises(stored.EventsUnavailable, match="no answer"):
            histories.history("u", 10)
    assert len(asked) == 2


def test_a_service_without_events_says_so(serve: Serve) -> None:
    client = serve()
    answer = client.post("/v1/events", json={"events": [event("u", "o1")]})
    assert answer.status_code == 404
    assert "--events" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "body: give events"),
        ({"events": [{"user": "u"}]}, "body.events[0].item"),
        ({"events": [event("u", "o1"), event("u", "")]}, "body.events[1].item"),
        ({"events": [event("u", "o1", time="yesterday evening")]}, "time"),
        ({"events": [event("u", "o1", time=-1)]}, "body.events[0].time"),
        ({"events": [event("u", "o1", value="much")]}, "body.events[0].value"),
        ({"events": [event("u", "o1", kind="view")]}, "body.events[0].kind"),
        ({"events": [event("u\x07", "o1")]}, "user"),
        ({"events": [event("u", "o1", type="rent")]}, "rent"),
        ({"events": [event("u", "o1")] * 1001}, "body.events"),
        ({"impressions": [{"request_id": "r", "items": []}]}, "body.impressions[0].items"),
    ],
)
def test_bad_events(serve: Serve, database: Path, body: dict[str, Any], place: str) -> None:
    client = serve(events=str(database), event_weights={"view": 1})
    answer = client.post("/v1/events", json=body)
    assert answer.status_code == 422
    assert place in answer.json()["detail"]
    with EventStore(database) as kept:
        assert kept.count() == 0  # all or none


def test_events_of_another_process_count_too(serve: Serve, database: Path) -> None:
    client = serve(events=str(database))
    with EventStore(database) as other:
        other.append([Event("u", "o1")])
    answer = client.post("/v1/recommend", json={"user": "u"}).json()
    assert answer["fallback"] is None
