"""The page Steer: sliders that work without scripts, what moved, and what is missing."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import polars as pl
import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import save
from shoal.models.registry import create
from shoal.service import steering
from shoal.testing import from_dense
from shoal.testing.toys import two_groups
from tests.service.routes.conftest import Serve, service_of
from tests.service.routes.test_knobs import store_events
from tests.service.views.reading import plain

Until = Callable[[Callable[[], bool]], None]


class Page:
    """What a person reads and can do on the page."""

    def __init__(self, client: TestClient, address: str = "/steer", status: int = 200) -> None:
        answer = client.get(address)
        assert answer.status_code == status, answer.text
        self.html = answer.text
        assert "style=" not in self.html
        assert "<script>" not in self.html
        self.text = plain(self.html)
        self.sliders = {
            unescape(name): float(value)
            for name, value in re.findall(
                r'<input type="range" id="[^"]+" name="knob\.([^"]+)"[^>]* value="([^"]+)"',
                self.html,
            )
        }
        self.labels = re.findall(r'<label for="(knob-\d+)"', self.html)
        lists = re.findall(r'<ol class="list moves">(.*?)</ol>', self.html, re.DOTALL)
        self.lists = [re.findall(r'href="/item/([^"]+)"', part) for part in lists]
        self.moves = re.findall(r'class="badge[^"]*">(.*?)</span>\s*</div>', self.html, re.DOTALL)

    def cost(self) -> str:
        found = re.search(r'<section class="card" id="cost"(.*?)</section>', self.html, re.DOTALL)
        assert found is not None
        return plain(found[1])


@pytest.fixture
def client(serve: Serve) -> TestClient:
    made = serve()
    made.get("/v1/knobs")  # waits until they are there
    return made


def test_each_knob_is_a_labelled_slider_of_a_form_that_needs_no_script(client: TestClient) -> None:
    page = Page(client)
    names = [knob["name"] for knob in client.get("/v1/knobs").json()["knobs"]]
    assert list(page.sliders) == names
    assert set(page.sliders.values()) == {0}
    assert len(page.labels) == len(names)
    assert re.search(r'<form method="get" action="/steer"[^>]*data-live=', page.html)
    assert "Turn the list</button>" in page.html
    assert 'class="button without-script"' in page.html
    assert page.lists == []  # one list until a knob is turned
    assert page.html.count('href="/item/') == 10
    assert "No knob turned · show the list" in page.text
    assert set(re.findall(r'type="range".*? (min="\S+" max="\S+" step="\S+")', page.html)) == {
        'min="-1" max="1" step="0.05"'
    }
    assert "Turn a knob to see it" in page.cost()


@pytest.mark.parametrize(
    ("level", "limit", "step"),
    [("0.35", "1", "0.05"), ("-2.5", "2.5", "0.05"), ("3", "3", "0.05"), ("1.23", "1.25", "0.01")],
)
def test_a_slider_widens_to_the_level_of_an_address(
    client: TestClient, level: str, limit: str, step: str
) -> None:
    first, second = list(Page(client).sliders)[:2]
    page = Page(client, "/steer?" + urlencode({f"knob.{first}": level}))
    assert page.sliders == {first: float(level), second: 0}
    ranges = re.findall(r'type="range".*? min="(\S+)" max="(\S+)" step="(\S+)"', page.html)
    assert ranges == [(f"-{limit}", limit, step), ("-1", "1", "0.05")]


def test_both_lists_are_those_of_the_api(client: TestClient) -> None:
    name = next(iter(Page(client).sliders))
    address = "/steer?" + urlencode({"history": "o1,o2", f"knob.{name}": "1.5"})
    page = Page(client, address)
    assert page.sliders[name] == 1.5
    for place, body in enumerate(({}, {"steer": {name: 1.5}})):
        asked = {"history": ["o1", "o2"], "k": 10, **body}
        rows = client.post("/v1/recommend", json=asked).json()["items"]
        from urllib.parse import quote

        wanted = [quote(row["item"], safe="") for row in rows if row["item"] != ".."]
        assert [item for item in page.lists[place] if item != ".."] == wanted
    before, after = page.lists
    assert page.html.count(">new</span>") == len(set(after) - set(before))
    assert page.html.count(">gone</span>") == len(set(before) - set(after))


def test_the_address_holds_everything_and_reset_turns_nothing(client: TestClient) -> None:
    first, second = list(Page(client).sliders)[:2]
    query = {"history": "o1", f"knob.{first}": "2", f"knob.{second}": "-1"}
    page = Page(client, "/steer?" + urlencode(query))
    reset = re.search(r'href="([^"]+)">Reset all', page.html)
    assert reset is not None
    assert parse_qs(urlsplit(unescape(reset[1])).query) == {"history": ["o1"]}
    removed = re.search(r'href="([^"]+)" aria-label="remove o1"', page.html)
    assert removed is not None
    kept = parse_qs(urlsplit(unescape(removed[1])).query)
    assert kept == {f"knob.{first}": ["2"], f"knob.{second}": ["-1"]}
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', page.html))
    assert hidden["history"] == "o1"
    found = Page(client, "/steer?search=plain&" + urlencode(query))
    added = re.search(r'<a class="pick" href="([^"]+)"', found.html)
    assert added is not None
    assert parse_qs(urlsplit(unescape(added[1])).query)["history"] == ["o1,plain"]


def test_knobs_of_another_version_are_named_and_left_out(client: TestClient) -> None:
    name = next(iter(Page(client).sliders))
    address = "/steer?" + urlencode({f"knob.{name}": "1", "knob.Nothing like it": "2"})
    page = Page(client, address)
    assert re.search("has no knob “Nothing like it” ?: left out", page.text)
    assert page.sliders[name] == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"knob.{name}": "nan"}, "from −3"),
        ({"knob.{name}": "4"}, "from −3"),
        ({"knob.{name}": "much"}, "no number"),
        ({"knobs": "1"}, "no such field"),
        ({"model": "none"}, "no model"),
    ],
)
def test_wrong_addresses_are_told_as_pages(
    client: TestClient, query: dict[str, str], message: str
) -> None:
    name = next(iter(Page(client).sliders))
    given = {key.replace("{name}", name): value for key, value in query.items()}
    status = 404 if "model" in query else 422
    page = Page(client, "/steer?" + urlencode(given), status)
    assert message in page.text
    assert "<h1>" in page.html


def test_a_stored_user_and_the_cost_in_accuracy(serve: Serve, tmp_path: Path, until: Until) -> None:
    store_events(tmp_path / "events.db", 12, 8)
    client = serve(events=str(tmp_path / "events.db"))
    client.get("/v1/knobs")
    page = Page(client)
    assert "s11" in page.text  # who was active lately
    name = next(iter(page.sliders))
    address = "/steer?" + urlencode({"user": "s3", f"knob.{name}": "1"})
    until(lambda: "NDCG at 10" in Page(client, address).cost())
    cost = Page(client, address).cost()
    assert "12 stored users" in cost
    assert "95 %" in cost
    assert not re.search(r'id="cost"[^>]*data-refresh', Page(client, address).html)
    unknown = Page(client, "/steer?user=nobody")
    assert "unknown user" in unknown.text


def test_while_the_cost_is_measured_the_page_says_so_and_looks_again(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(steering._Measured, "measure", lambda *_: go_on.wait(30))
    store_events(tmp_path / "events.db", 2, 8)
    client = serve(events=str(tmp_path / "events.db"))
    client.get("/v1/knobs")
    name = next(iter(Page(client).sliders))
    page = Page(client, "/steer?" + urlencode({f"knob.{name}": "1"}))
    assert "being measured" in page.cost()
    assert re.search(r'id="cost"[^>]*data-refresh="2"', page.html)
    go_on.set()


def test_while_knobs_are_prepared_the_page_says_so(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    go_on, real = threading.Event(), steering.knobs
    monkeypatch.setattr(steering, "knobs", lambda model: go_on.wait(30) and real(model))
    client = serve()
    page = Page(client)
    assert "being prepared" in page.text
    assert 'data-refresh="2"' in page.html
    go_on.set()
    until(lambda: bool(Page(client).sliders))


def test_without_a_store_of_events_the_page_says_how_to_get_one(client: TestClient) -> None:
    name = next(iter(Page(client).sliders))
    page = Page(client, "/steer?" + urlencode({f"knob.{name}": "1"}))
    assert "--events" in page.cost()
    assert "A stored user" not in page.text


def test_a_model_without_knobs_and_no_model_at_all(serve: Serve, tmp_path: Path) -> None:
    save(create("popularity").fit(from_dense(two_groups())), tmp_path / "popular")
    page = Page(serve(model=tmp_path / "popular"))
    assert "the same to everyone" in page.text
    assert "compressed-elsa" in page.text
    (tmp_path / "empty").mkdir()
    page = Page(serve(model=tmp_path / "empty"), status=503)
    assert "No model answers yet" in page.text


def test_several_models_are_tabs_and_levels_stay_with_their_model(
    serve: Serve, tmp_path: Path
) -> None:
    save(create("item-knn").fit(from_dense(two_groups())), tmp_path / "also")
    client = serve(also={"other": tmp_path / "also"})
    service_of(client).wait_for_models()
    client.get("/v1/knobs?model=other")
    page = Page(client, "/steer?history=o1&model=other")
    assert 'aria-current="page">other <span class="kind">item-knn</span>' in page.html
    assert ">main <span" in page.html
    assert len(page.sliders) == 2
    assert all(name.replace(", ", "").isdigit() for name in page.sliders)  # no item table: ids
    assert "These knobs have no names: train with --items" in page.text
    made_of = re.findall(r"made of (\d+) ?; (\d+)", page.text)  # begins with the two of the name
    assert [", ".join(two) for two in made_of] == list(page.sliders)
    assert "have no names" not in Page(client, "/steer?history=o1").text


def test_a_name_that_holds_for_most_members_says_so(serve: Serve, tmp_path: Path) -> None:
    log = from_dense(two_groups())
    # Sea is true of half of the odd items, Land of all the even ones
    genres = [("Sea" if i % 4 == 1 else None) if i % 2 else "Land" for i in range(24)]
    table = pl.DataFrame({"item": log.items.series, "genres": genres})
    model = shoal.EASE(l2=5.0).fit(log)
    model.restore_catalogue(log.items, table, "", {}, item_counts=log.item_counts)
    save(model, tmp_path / "half")
    client = serve(model=tmp_path / "half")
    shares = {k["name"]: k["share"] for k in client.get("/v1/knobs").json()["knobs"]}
    assert shares["Land"] == 1
    assert 0.4 < shares["Sea"] < 0.6
    page = Page(client)
    assert set(page.sliders) == {"Sea", "Land"}
    assert "mostly Sea" in page.text
    assert "mostly Land" not in page.text
    assert "have no names" not in page.text


def test_titles_are_text_whatever_is_in_them(serve: Serve, tmp_path: Path) -> None:
    log = from_dense(two_groups())
    bad = ["<script>window.ran=1</script>", "שלום עולם", "🐟" * 60, "x" * 500]
    titles = [bad[i % 4] + str(i) for i in range(24)]
    genres = ['"><img src=x>' if i % 2 else "A & B" for i in range(24)]
    table = pl.DataFrame({"item": log.items.series, "title": titles, "genres": genres})
    model = shoal.EASE(l2=5.0).fit(log)
    model.restore_catalogue(log.items, table, "", {}, item_counts=log.item_counts)
    save(model, tmp_path / "bad")
    client = serve(model=tmp_path / "bad")
    client.get("/v1/knobs")
    page = Page(client, "/steer?history=101,103")
    assert set(page.sliders) == {'"><img src=x>', "A & B"}
    assert "<img src=x>" not in page.html
    assert "<script>window" not in page.html
    turned = Page(client, "/steer?" + urlencode({"history": "101", 'knob."><img src=x>': "1"}))
    assert turned.sliders['"><img src=x>'] == 1
