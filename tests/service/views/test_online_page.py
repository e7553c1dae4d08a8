"""The page of the experiment: the report in numbers, empty states, and decisions that are asked."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import Store
from shoal.events import EventStore
from shoal.online import Experiment, read_experiment
from shoal.service.views.online_page import EXAMPLE
from tests.service.routes.conftest import Serve
from tests.service.views.reading import ADMIN, ORIGIN, READ, hidden_fields, send, text_of

Fitted = Callable[[float], shoal.Recommender]
FILE = """\
name: autumn
variants:
  control: {share: 0.5}
  diverse: {share: 0.5, diversity: 0.3}
guards: {coverage: 0.8}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "autumn.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def running(serve: Serve, file: Path, tmp_path: Path) -> TestClient:
    return serve(experiment=file, events=str(tmp_path / "events.db"))


def show_lists(
    client: TestClient, experiment: Experiment, clicks: dict[str, int], n_users: int = 160
) -> dict[str, int]:
    """Each user sees a list of five items and clicks on as many as the variant says; the users."""
    users = dict.fromkeys(clicks, 0)
    tracks = []
    items = ["a/b", "50%", "..", "x y", "plain"]
    for n in range(n_users):
        user = f"u{n}"
        name = experiment.variant_of(user)
        users[name] += 1
        clicked = items[: clicks[name]]
        track = {"request_id": f"r{n}", "user": user, "items": items, "clicked": clicked}
        tracks.append(track)
    for begin in range(0, n_users, 80):
        answer = client.post("/v1/track", json={"tracks": tracks[begin : begin + 80]})
        assert answer.status_code == 200, answer.text
    return users


def test_without_an_experiment_the_page_shows_a_file_to_begin_with(
    serve: Serve, tmp_path: Path
) -> None:
    answer = serve().get("/online")
    assert answer.status_code == 200
    assert "No experiment yet" in text_of(answer)
    shown = re.search(r'<code id="example">(.*?)</code>', answer.text, re.S)
    assert shown is not None
    written = tmp_path / "shown.yaml"
    written.write_text(html.unescape(shown[1]))
    experiment = read_experiment(written)  # it can be used as it stands there
    assert list(experiment.variants) == ["control", "diverse"]
    assert written.read_text() == EXAMPLE


def test_without_a_store_of_events_the_page_says_what_is_missing(serve: Serve, file: Path) -> None:
    said = text_of(serve(experiment=file).get("/online"))
    assert "Experiment: autumn" in said
    assert "Nothing is stored" in said
    assert "--events events.sqlite" in said
    assert "50 % of the users" in said


def test_without_a_list_the_page_says_how_to_send_them(running: TestClient) -> None:
    answer = running.get("/online")
    said = text_of(answer)
    assert "No list was shown yet" in said
    command = re.search(r"-d '(\{.*?\})'", html.unescape(answer.text), re.S)
    assert command is not None
    sent = running.post(
        "/v1/track", content=command[1], headers={"Content-Type": "application/json"}
    )
    assert sent.status_code == 200, sent.text  # it can be used as it stands there
    assert (sent.json()["lists"], sent.json()["clicks"]) == (1, 1)


def test_the_numbers_are_those_of_what_was_shown(running: TestClient, file: Path) -> None:
    experiment = read_experiment(file)
    users = show_lists(running, experiment, {"control": 1, "diverse": 4})
    answer = running.get("/online")
    said = text_of(answer)
    assert "users 160 lists shown 160 items shown 800" in said
    for name, clicks in (("control", 1), ("diverse", 4)):
        n = users[name]
        assert f"{clicks * n:,} of {5 * n:,}" in said
    assert "20.00 %" in said
    assert "80.00 %" in said
    assert "+60.00 %" in said
    assert "more clicks" in said
    assert "diverse gets more clicks than control" in said
    assert "The numbers of users fit the shares" in said
    assert "it shows 1.00 times as many different items as control; the guard asks for 0.8" in said
    assert "300.0 % more clicks" in said  # 80 % instead of 20 %
    report = running.get("/v1/online").json()
    interval = report["variants"][1]["difference"]["interval"]
    assert f"+{100 * interval['low']:.2f} % to +{100 * interval['high']:.2f} %" in said
    bars = re.findall(r'<svg class="interval".*?</svg>', answer.text, re.S)
    assert len(bars) == 3  # two rates and one difference
    assert all('role="img"' in bar for bar in bars)


def test_lost_users_are_a_warning(running: TestClient, file: Path) -> None:
    experiment = read_experiment(file)
    lost = [u for u in range(400) if experiment.variant_of(f"u{u}") == "diverse"][::2]
    tracks = [
        {"request_id": f"r{u}", "user": f"u{u}", "items": ["a/b", "50%"], "clicked": []}
        for u in range(400)
        if u not in lost
    ]
    for begin in range(0, len(tracks), 80):
        sent = {"tracks": tracks[begin : begin + 80]}
        assert running.post("/v1/track", json=sent).status_code == 200
    answer = running.get("/online")
    said = text_of(answer)
    assert "The numbers of users do not fit the shares (p = " in said
    assert f"users instead of about {round(len(tracks) / 2)}" in said
    asked = text_of(running.get("/online?confirm=promote&variant=diverse"))
    assert "the comparison cannot be trusted" in asked
    assert "button danger" in running.get("/online?confirm=promote&variant=diverse").text


def test_a_variant_is_promoted_after_a_question_and_that_is_undone(
    running: TestClient, file: Path
) -> None:
    show_lists(running, read_experiment(file), {"control": 1, "diverse": 1}, 80)
    asked = running.get("/online?confirm=promote&variant=diverse")
    said = text_of(asked)
    assert "Give everybody diverse?" in said
    assert "50 % of the users get it" in said
    assert "diversity 0.3" in said
    assert "It is not known yet whether it gets more clicks than control." in said
    assert "danger" not in asked.text  # nothing is known to be wrong
    fields = hidden_fields(asked)
    assert fields == {"variant": "diverse", "before": ""}
    body = {"history": ["a/b"], "k": 1}  # nobody in particular
    assert running.post("/v1/recommend", json=body).json()["variant"] is None
    done = send(running, "/online/promote", fields)
    assert done.status_code == 303
    assert "Everybody gets diverse from now on" in text_of(running.get(done.headers["location"]))
    told = running.post("/v1/recommend", json=body).json()["variant"]
    assert told == {"experiment": "autumn", "name": "diverse"}
    again = send(running, "/online/promote", {"variant": "control", "before": ""})
    assert again.status_code == 409  # asked by a page that does not know of the decision
    assert "diverse is promoted" in text_of(again)
    undone = send(running, "/online/undo", hidden_fields(running.get("/online?confirm=undo")))
    assert undone.status_code == 303
    assert "own variants again" in text_of(running.get(undone.headers["location"]))
    assert running.post("/v1/recommend", json=body).json()["variant"] is None
    assert "nothing to undo" in text_of(running.get("/online?confirm=undo"))


def test_a_variant_that_is_a_version_becomes_the_live_one(
    serve: Serve, store: Store, fitted: Fitted, tmp_path: Path
) -> None:
    live = store.current()
    new = store.publish(fitted(50.0), activate=False).name
    path = tmp_path / "versions.yaml"
    path.write_text(
        f"name: versions\nvariants:\n  old: {{share: 0.5}}\n  new: {{share: 0.5, version: {new}}}\n"
    )
    client = serve(experiment=path, events=str(tmp_path / "events.db"))
    asked = client.get("/online?confirm=promote&variant=new")
    assert f"version {new} is made the live one" in text_of(asked)
    assert store.current() == live
    assert send(client, "/online/promote", hidden_fields(asked)).status_code == 303
    assert store.current() == new


def test_a_variant_that_is_worse_is_promoted_by_a_red_button(
    running: TestClient, file: Path
) -> None:
    show_lists(running, read_experiment(file), {"control": 4, "diverse": 1})
    assert "75.0 % fewer clicks" in text_of(running.get("/online"))  # 20 % instead of 80 %
    asked = running.get("/online?confirm=promote&variant=diverse")
    assert "It gets fewer clicks than control." in text_of(asked)
    assert '<button class="button danger" type="submit">Promote diverse' in asked.text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"variant": "nobody"}, 404),
        ({"variant": ""}, 422),
        ({"variant": "diverse", "before": "control"}, 409),
        ({"variant": "diverse", "more": "1"}, 422),
    ],
)
def test_forms_that_make_no_sense_decide_nothing(
    running: TestClient, fields: dict[str, str], status: int
) -> None:
    assert send(running, "/online/promote", fields).status_code == status
    assert running.get("/v1/online").json()["promoted"] is None


def test_only_administrators_on_our_own_pages_decide(
    serve: Serve, file: Path, tmp_path: Path
) -> None:
    events = str(tmp_path / "events.db")
    client = serve(experiment=file, events=events, read_key=READ, admin_key=ADMIN)
    assert client.get("/online").status_code == 401
    asked = client.get("/online?confirm=promote&variant=diverse", auth=("", READ))
    assert "This needs an admin key" in text_of(asked)
    assert "<form" not in asked.text
    fields = {"variant": "diverse", "before": ""}
    assert send(client, "/online/promote", fields).status_code == 401
    assert send(client, "/online/promote", fields, auth=("", READ)).status_code == 403
    elsewhere = {**ORIGIN, "Origin": "http://evil.example"}
    for path in ("/online/promote", "/online/undo"):
        sent = client.post(path, data=fields, headers=elsewhere, auth=("", ADMIN))
        assert sent.status_code == 403
    with EventStore(events) as kept:
        assert kept.promotion("autumn") is None
    assert send(client, "/online/promote", fields, auth=("", ADMIN)).status_code == 303
    with EventStore(events) as kept:
        assert kept.promotion("autumn") == "diverse"


def test_a_database_that_is_down_is_said(serve: Serve, file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "events.db"
    damaged.write_bytes(b"this is no database" * 1000)
    answer = serve(experiment=file, events=str(damaged)).get("/online")
    assert answer.status_code == 200
    assert "notice bad" in answer.text
    assert "50 % of the users" in text_of(answer)


def test_an_unknown_variant_and_what_an_address_claims(running: TestClient) -> None:
    asked = running.get("/online", params={"confirm": "promote", "variant": "<b>x</b>"})
    assert "That cannot be done" in text_of(asked)
    assert "<b>x</b>" not in asked.text
    assert "Everybody gets" not in text_of(running.get("/online?done=promoted"))
    assert running.get("/online?done=other").status_code == 422
