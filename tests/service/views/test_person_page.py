"""The page of a person: what is stored, what is recommended and why, and deletion for good."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import Store
from shoal.errors import EventsUnavailable
from shoal.events import Event, EventStore
from shoal.models.registry import by_name
from tests.service.routes.conftest import Serve
from tests.service.views.reading import ADMIN, READ, Page, ids_in, section

ORIGIN = {"Origin": "http://localhost"}
NOON = 1_700_000_000.0  # 2023-11-14 22:13 UTC


@pytest.fixture
def events(tmp_path: Path) -> str:
    """A database with what three people did."""
    place = str(tmp_path / "events.db")
    with EventStore(place) as store:
        store.append(
            [
                Event("ann", "a/b", "view", time=NOON),
                Event("ann", "50%", "buy", 9.5, time=NOON + 60),
                Event("ann", "a/b", "view", time=NOON + 120),
                Event("ann", "gone", "view", time=NOON + 180),
                Event("<b>bob</b>", "plain", "view", time=NOON),
                Event("..", "plain", "view", time=NOON),
            ]
        )
    return place


@pytest.fixture
def client(serve: Serve, events: str) -> TestClient:
    return serve(events=events)


def delete(client: TestClient, person: str, **options: Any) -> Any:
    form = {"id": person, "action": "delete"}
    headers = {**ORIGIN, **options.pop("headers", {})}
    return client.post("/person", data=form, headers=headers, follow_redirects=False, **options)


def test_the_history_has_items_times_types_values_and_weights(
    client: TestClient, serve: Serve, events: str
) -> None:
    shown = section(client.get("/person/ann").text, "events")
    rows = [" ".join(Page(row).text.split()) for row in re.findall(r"<li>(.*?)</li>", shown, re.S)]
    assert rows == [
        "gone weight 1 view 2023-11-14 22:16 unknown to the model",
        "Café Müller a/b weight 1 view 2023-11-14 22:15",
        "The <b>Bold</b> & the Brave 50% weight 1 buy 9.5 2023-11-14 22:14",
        "Café Müller a/b does not count – view 2023-11-14 22:13",
    ]
    weighing = serve(events=events, event_weights={"view": 1, "buy": 5, "rating": 2})
    shown = section(weighing.get("/person/ann").text, "events")
    assert re.findall(r"weight </span>(\d)", shown) == ["1", "1", "5"]


def test_what_is_recommended_and_why_is_what_the_api_answers(client: TestClient) -> None:
    shown = section(client.get("/person/ann").text, "list-1")
    body = {"user": "ann", "k": 10, "explain": True}
    answer = client.post("/v1/recommend", json=body).json()
    lines = re.findall(r'<div class="line">(.*?)</div>', shown, re.S)
    assert [ids_in(line)[0] if ids_in(line) else None for line in lines] == [
        str(row["item"]) for row in answer["items"]
    ]
    reasons = [re.findall(r"<li>\s*<svg.*?</li>", row, re.S) for row in shown.split('"line"')[1:]]
    for row, bars in zip(answer["items"], reasons, strict=True):
        expected = [reason["contribution"] for reason in row["because"] if reason["contribution"]]
        assert len(bars) == len(expected)
        assert sum('class="plus"' in bar for bar in bars) == sum(n > 0 for n in expected)


def test_why_there_are_no_reasons(
    client: TestClient, serve: Serve, events: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popular = tmp_path / "popular"
    log = pl.DataFrame({"user": ["u", "v", "v"], "item": ["a/b", "a/b", "plain"]})
    shoal.save(by_name("popularity")().fit(log), popular)
    shown = section(
        serve(events=events, also={"popular": popular}).get("/person/ann?models=popular").text,
        "list-1",
    )
    assert "popularity has no exact reasons" in shown
    monkeypatch.setattr("shoal.service.answers.REASONS", 5)
    shown = section(client.get("/person/ann").text, "list-1")
    assert '<div class="line">' in shown
    assert "<svg" not in shown
    assert "The history is too long to show" in shown
    assert "no exact reasons" not in shown


def test_people_are_looked_up_and_the_latest_are_listed(client: TestClient) -> None:
    page = client.get("/person")
    assert page.status_code == client.get("/person/").status_code == 200
    links = re.findall(r'<a class="pick[^>]*href="([^"]*)"', page.text)
    assert links == ["/person?id=..", "/person/%3Cb%3Ebob%3C%2Fb%3E", "/person/ann"]
    assert "4 events, 2023-11-14 22:16" in Page(page.text).text
    for link in links:
        assert client.get(link).status_code == 200
    assert client.get("/person", params={"id": "ann"}).status_code == 200
    assert 'href="/steer?user=ann"' in client.get("/person/ann").text
    assert client.get("/steer?user=ann").status_code == 200
    bob = client.get(links[1]).text
    assert '<h1 class="clamp" dir="auto">&lt;b&gt;bob&lt;/b&gt;</h1>' in bob
    assert "b" not in [tag for tag, _ in Page(bob).tags]


@pytest.mark.parametrize("person", ["nobody", "x" * 256, "%3Cscript%3E"])
def test_people_of_whom_nothing_is_stored(client: TestClient, person: str) -> None:
    answer = client.get(f"/person/{person}")
    assert answer.status_code == 404
    assert "is stored" in Page(answer.text).text
    assert 'name="id"' in answer.text  # to look somebody else up


def test_ids_that_are_none(client: TestClient) -> None:
    for person in ("x" * 257, "%20" * 300):
        assert client.get(f"/person/{person}").status_code == 422


def test_a_person_of_unknown_items_gets_the_popular_list(client: TestClient, events: str) -> None:
    with EventStore(events) as store:
        store.append([Event("new", "never seen", time=NOON)])
    text = client.get("/person/new").text
    assert "These are the most popular items: no known item in the history." in text
    assert 'class="because"' not in text


def test_looking_at_a_list_is_no_list_that_was_shown(client: TestClient, events: str) -> None:
    with EventStore(events) as store:
        store.append([Event("zoe", "gone", "view")])
    client.get("/person/zoe")
    assert "shoal_fallbacks_total{" not in client.get("/metrics").text
    client.get("/v1/recommend/zoe")
    assert "shoal_fallbacks_total{" in client.get("/metrics").text


def test_deletion_is_confirmed_first_and_then_for_good(client: TestClient, events: str) -> None:
    assert "/person/ann?confirm=delete" in client.get("/person/ann").text
    step = client.get("/person/ann?confirm=delete").text
    told = Page(section(step, "delete")).text
    assert "4 events" in told
    assert "shoal refresh" in told
    assert "a hash of the id" in told
    assert client.get("/person/ann").status_code == 200  # nothing has happened yet
    done = delete(client, "ann")
    assert (done.status_code, done.headers["location"]) == (303, "/person?deleted=ann")
    assert "were deleted for good" in client.get(done.headers["location"]).text
    assert "were deleted for good" not in client.get("/person?deleted=bob").text
    gone = client.get("/person/ann")
    assert gone.status_code == 404
    assert "this id was deleted on 20" in Page(gone.text).text
    with EventStore(events) as store:
        assert store.user("ann") == []
        assert store.is_deleted(["ann"]) == [True]
        assert store.count() == 2


def test_only_an_admin_deletes_and_only_from_our_own_page(serve: Serve, events: str) -> None:
    client = serve(events=events, read_key=READ, admin_key=ADMIN)
    assert client.get("/person/ann").status_code == 401
    reader, admin = ("x", READ), ("x", ADMIN)
    assert "Delete…" not in client.get("/person/ann", auth=reader).text
    step = client.get("/person/ann?confirm=delete", auth=reader).text
    assert "needs an admin key" in step
    assert 'method="post"' not in step
    assert delete(client, "ann").status_code == 401
    assert delete(client, "ann", auth=reader).status_code == 403
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert delete(client, "ann", auth=admin, headers=headers).status_code == 403
    assert client.get("/person/ann", auth=admin).status_code == 200
    assert "Delete…" in client.get("/person/ann", auth=admin).text
    assert delete(client, "ann", auth=admin).status_code == 303


def test_a_form_that_says_nothing_else_deletes_nobody(client: TestClient) -> None:
    for form in ({"id": "ann"}, {"action": "delete"}, {"id": "ann", "action": "keep"}):
        answer = client.post("/person", data=form, headers=ORIGIN)
        assert answer.status_code == 422
    assert client.get("/person/ann").status_code == 200


def test_without_a_store_of_events_the_page_says_how_to_have_one(serve: Serve) -> None:
    client = serve()
    page = client.get("/person")
    assert page.status_code == 200
    assert "shoal serve MODEL --events events.sqlite" in page.text
    missing = client.get("/person/ann")
    assert missing.status_code == 404
    assert "stores no events" in missing.text
    assert delete(client, "ann").status_code == 404


def test_a_database_that_is_down_is_no_error_of_the_page(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise EventsUnavailable("events.db: the disk is gone")

    for name in ("user", "history", "recent_users"):
        monkeypatch.setattr(EventStore, name, down)
    page = client.get("/person")
    assert page.status_code == 200
    assert "the disk is gone" in page.text
    assert client.get("/person/ann").status_code == 503


def test_many_events_unfold(client: TestClient, events: str) -> None:
    with EventStore(events) as store:
        store.append([Event("fan", f"o{n % 6}", time=NOON + n) for n in range(30)])
    first = client.get("/person/fan").text
    assert section(first, "events").count("<li>") == 20
    more = re.findall(r'href="(/person/fan\?events=1000)"', first)
    assert section(client.get(more[0]).text, "events").count("<li>") == 30
    assert "Show up to" not in client.get(more[0]).text


def test_lists_of_several_models_stand_side_by_side(
    serve: Serve,
    events: str,
    tmp_path: Path,
    fitted: Callable[[float], shoal.Recommender],
) -> None:
    other = Store(tmp_path / "other", create=True)
    other.publish(fitted(1000.0))
    client = serve(events=events, also={"other": other.path})
    plain = client.get("/person/ann").text
    ways = re.findall(r'<nav class="tabs".*?</nav>', plain, re.S)[0].replace("&amp;", "&")
    assert re.findall(r'href="([^"]*)"', ways) == [
        "/person/ann",
        "/person/ann?models=main",
        "/person/ann?models=other",
        "/person/ann?models=main%2Cother",
    ]
    both = client.get("/person/ann?models=main,other").text
    for number, name in ((1, "main"), (2, "other")):
        body = {"user": "ann", "k": 10, "model": name}
        best = client.post("/v1/recommend", json=body).json()["items"][0]
        assert ids_in(section(both, f"list-{number}"))[0] == best["item"]
        assert f"Recommended now by {name}" in section(both, f"list-{number}")
    assert client.get("/person/ann?models=nobody").status_code == 404


def test_the_variant_of_an_experiment_is_named_and_answers(
    serve: Serve, events: str, tmp_path: Path
) -> None:
    file = tmp_path / "autumn.yaml"
    file.write_text(
        "name: autumn\nvariants:\n  few: {share: 0.5, filter: \"title = 'Plain café'\"}\n"
        "  all: {share: 0.5}\n"
    )
    client = serve(events=events, experiment=file)
    seen = set()
    for person in ("ann", "<b>bob</b>", ".."):
        text = client.get("/person", params={"id": person}).text
        answer = client.post("/v1/recommend", json={"user": person, "k": 10}).json()
        name = answer["variant"]["name"]
        seen.add(name)
        assert f"Experiment autumn: answered by the variant {name}." in Page(text).text
        lines = re.findall(r'<div class="line">', section(text, "list-1"))
        assert len(lines) == len(answer["items"])
    assert seen <= {"few", "all"}


def test_without_a_model_the_history_is_shown_all_the_same(
    serve: Serve, store: Store, events: str
) -> None:
    (store.path / "CURRENT").unlink()
    text = serve(events=events).get("/person/ann").text
    assert section(text, "events").count("<li>") == 4
    assert "no model answers yet" in section(text, "list-1")
    assert 'href=""' not in section(text, "events")
