"""The pages: recommendations without a script, text that stays text, and strict policies."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import Store
from shoal.errors import HistoryError
from shoal.service.views.rendering import FILES, address_of_file
from tests.service.routes.conftest import Serve

READ, ADMIN = "read-key-0123456789", "admin-key-0123456789"


class Page(HTMLParser):
    """The links, the text, and the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}  # by what they say to those who cannot see
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag == "a" and values.get("aria-label"):
            self.links[str(values["aria-label"])] = str(values["href"])

    def handle_data(self, data: str) -> None:
        self.text += data


def page(client: TestClient, path: str) -> Page:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def test_a_person_finds_items_and_gets_recommendations(serve: Serve, store: Store) -> None:
    client = serve()
    first = page(client, "/")
    assert store.current() in first.text
    assert "the most popular items" in first.text
    found = page(client, "/?search=cafe")
    assert {label for label in found.links if label.startswith("add")} == {"add a/b", "add plain"}
    one = page(client, found.links["add a/b"])
    assert "remove a/b" in one.links
    assert "the most popular items" not in one.text
    two = page(client, page(client, found.links["add a/b"] + "&search=dots").links["add .."])
    assert {label for label in two.links if label.startswith("remove")} == {
        "remove a/b",
        "remove ..",
    }
    # the list is what Python gives for the same history, with the same first reason
    best = shoal.recommend(store.load(), ["a/b", ".."], 10, because=3)
    scores = re.findall(r'class="score">([-\d.]+)<', client.get("/?history=a/b,..").text)
    assert [float(score) for score in scores] == pytest.approx(
        [row.score for row in best], abs=0.006 * best[0].score
    )  # three digits of the largest
    bars = re.findall(
        r'class="(plus|minus)".* width="([\d.]+)"', client.get("/?history=a/b,..").text
    )
    reasons = [reason.contribution for row in best for reason in row.because]
    assert [sign == "plus" for sign, _ in bars] == [reason >= 0 for reason in reasons]
    assert max(float(width) for _, width in bars) == 40.0
    back = page(client, two.links["remove a/b"])
    assert "remove a/b" not in back.links


def test_titles_stay_text(serve: Serve) -> None:
    client = serve()
    shown = page(client, "/?history=50%25,%3Cscript%3Ealert(1)%3C/script%3E&search=%22%3E%3Cimg%3E")
    assert "The <b>Bold</b> & the Brave" in shown.text
    assert "<script>alert(1)</script>" in shown.text  # an id that is unknown
    assert "b" not in [tag for tag, _ in shown.tags]
    assert [a.get("src") for tag, a in shown.tags if tag == "script"] == [
        address_of_file("page.js")
    ]
    assert [
        a
        for tag, a in shown.tags
        if tag == "img" and not str(a.get("src")).startswith("/static/icon.svg")
    ] == []
    assert ("value", '">\u003cimg>') in [pair for _, a in shown.tags for pair in a.items()]


def test_nothing_comes_from_elsewhere_and_nothing_is_inline(serve: Serve) -> None:
    client = serve()
    for path in ("/", "/?history=o1", "/docs"):
        answer = client.get(path)
        policy = dict(
            part.strip().partition(" ")[::2]
            for part in answer.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        for tag, values in Page(answer.text).tags:
            assert "style" not in values
            assert not any(name.startswith("on") for name in values)
            assert tag != "style"
            assert tag != "script" or values.get("src")
            for name in ("src", "href", "action"):
                target = values.get(name)
                assert target is None or re.match(r"/(?!/)|#", target), target


def test_files_of_the_pages_are_there(serve: Serve) -> None:
    client = serve()
    for name, media_type in FILES.items():
        answer = client.get(f"/static/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        package, folder = ("shoal.maps", "") if "item_map" in name else ("shoal.service", "pages")
        place = files(package).joinpath(folder, name)
        assert answer.content == place.read_bytes()
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/try.html").status_code == 404
    assert "Apache License" in files("shoal.service").joinpath("pages/swagger/LICENSE").read_text()


def test_the_page_needs_the_key_as_a_password(serve: Serve) -> None:
    client = serve(read_key=READ, admin_key=ADMIN)
    refused = client.get("/")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert client.get("/", auth=("anybody", "wrong-key-0123456789")).status_code == 401
    assert client.get("/", auth=("anybody", READ)).status_code == 200
    # a password is no key of the API: browsers send it along with what other sites make them ask
    assert client.get("/v1/models", auth=("anybody", ADMIN)).status_code == 401
    assert client.post("/v1/models/rollback", auth=("anybody", ADMIN)).status_code == 401
    broken = base64.b64encode(b"no colon").decode()
    assert client.get("/", headers={"Authorization": f"Basic {broken}"}).status_code == 401
    assert client.get("/", headers={"Authorization": "Basic ???"}).status_code == 401
    assert client.get("/docs").status_code == 200


@pytest.mark.parametrize("history", ['"a,b', "x" * 300, ",,,", "\x00,a"])
def test_histories_that_are_odd(serve: Serve, history: str) -> None:
    answer = serve().get("/", params={"history": history})
    assert answer.status_code in (200, 422)


def test_a_model_that_takes_no_histories_has_a_page(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rates_alone(*_: object, **__: object) -> None:
        raise HistoryError("it rates for the users that it was trained on")

    monkeypatch.setattr("shoal.service.views.try_page.recommend", rates_alone)
    for path in ("/", "/?history=o1"):
        answer = serve().get(path)
        assert answer.status_code == 200
        assert "it rates for the users that it was trained on" in answer.text


def test_a_service_without_documentation(serve: Serve) -> None:
    client = serve(docs=False)
    assert client.get("/docs").status_code == 404
    assert '/docs"' not in client.get("/").text


def test_without_a_model_the_page_says_so(serve: Serve, store: Store) -> None:
    (store.path / "CURRENT").unlink()
    answer = serve().get("/")
    assert answer.status_code == 503
    assert "No model answers yet" in answer.text


def test_errors_are_pages_for_people_and_problems_for_programs(serve: Serve) -> None:
    client = serve()
    wrong = client.get("/", params={"history": "x" * 300})
    assert wrong.status_code == 422
    assert "at most 256 characters" in Page(wrong.text).text
    missing = client.get("/no-such-page", headers={"Accept": "text/html"})
    assert (missing.status_code, missing.headers["content-type"]) == (
        404,
        "text/html; charset=utf-8",
    )
    assert client.get("/no-such-page").headers["content-type"] == "application/problem+json"
    api = client.get("/v1/no-such-route", headers={"Accept": "text/html"})
    assert api.headers["content-type"] == "application/problem+json"


def test_files_are_kept_by_browsers_until_they_change(serve: Serve) -> None:
    client = serve()
    address = re.search(r'href="(/static/design.css\?v=[0-9a-f]+)"', client.get("/").text)
    assert address is not None
    assert "immutable" in client.get(address[1]).headers["cache-control"]
    assert "immutable" not in client.get("/static/design.css").headers["cache-control"]
