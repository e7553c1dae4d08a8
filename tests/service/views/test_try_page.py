"""The pages: recommendations without a script, text that stays text, and strict policies."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import Store
from shoal.data.ids import Ids
from shoal.errors import HistoryError
from shoal.models.autorec import IAutoRec, UAutoRec
from shoal.models.mult_dae import MultDAE
from shoal.service.views.rendering import FILES, address_of_file
from tests.service.routes.conftest import Serve
from tests.service.views.reading import ADMIN, READ, Page

Fitted = Callable[[float], shoal.Recommender]


def page(client: TestClient, path: str) -> Page:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def added(shown: Page, item: str) -> str:
    """Where the + of an item that was found leads."""
    (link,) = {to for label, to in shown.links.items() if re.fullmatch(f"add .*, {item}", label)}
    return link


def test_a_person_finds_items_and_gets_recommendations(serve: Serve, store: Store) -> None:
    client = serve()
    first = page(client, "/")
    assert store.current() in first.text
    assert "the most popular items; the number says how many people had each" in first.text
    found = page(client, "/?search=cafe")
    labels = [label for label in found.links if label.endswith((", a/b", ", plain"))]
    assert labels == ["add Café Müller, a/b", "add Plain café, plain"]  # what begins so is first
    one = page(client, added(found, "a/b"))
    assert "remove a/b" in one.links
    assert "the most popular items" not in one.text
    two = page(client, added(page(client, added(found, "a/b") + "&search=dots"), re.escape("..")))
    removing = [label for label in two.links if label.startswith("remove")]
    assert removing == ["remove a/b", "remove .."]
    back = page(client, two.links["remove a/b"])
    assert "remove a/b" not in back.links


SCORE = r'<span class="hidden">score </span>([−\d.]+)<'
BAR = r'<rect class="(plus|minus)" x="([-\d.]+)" width="([\d.]+)"'


def numbers(pattern: str, text: str) -> list[float]:
    return [float(number.replace("−", "-")) for number in re.findall(pattern, text)]


def test_lists_and_reasons_are_those_of_python(serve: Serve, store: Store) -> None:
    history, less = ["a/b", "..", "o1"], ["o2"]
    text = serve().get("/?history=a/b,..,o1&less=o2").text
    best = shoal.recommend(store.load(), history, 10, less=less, because=True)
    scores = [row.score for row in best]
    assert numbers(SCORE, text) == pytest.approx(scores, abs=0.006 * max(map(abs, scores)))
    longest = max(abs(reason.contribution) for row in best for reason in row.because)
    drawn = {(sign, float(left), float(width)) for sign, left, width in re.findall(BAR, text)}
    telling = [[reason for reason in row.because if reason.contribution] for row in best]
    assert len(re.findall(BAR, text)) == sum(map(len, telling))  # all unfold
    for row, reasons in zip(best, telling, strict=True):
        for reason in reasons:
            width = round(50 * abs(reason.contribution) / longest, 1)
            bar = ("plus", 0.0, width) if reason.contribution >= 0 else ("minus", -width, width)
            near = [b for b in drawn if b[0] == bar[0] and abs(b[2] - width) < 0.11]
            assert near, (row.item, reason)
            assert all(left == (0.0 if sign == "plus" else -w) for sign, left, w in near)
    assert max(width for _, _, width in drawn) == 50.0


def test_less_never_speaks_for_an_item(serve: Serve, tmp_path: Path) -> None:
    """a adds 2 to c and 3 to d; b would take 1 from c, and adds 1 to d: less of b is 2 and 2."""
    model = shoal.EASE()
    B = [[0, 1, 2, 3], [1, 0, -1, 1], [2, -1, 0, 0], [3, 1, 0, 0]]
    model.restore({"weights": np.array(B, np.float32)})
    ids = pl.Series(["a", "b", "c", "d"])
    counts = np.array([4, 3, 2, 1])
    model.restore_catalogue(
        Ids(ids, "str"), pl.DataFrame({"item": ids}), "", {}, item_counts=counts
    )
    shoal.save(model, tmp_path / "four")
    text = serve(also={"four": tmp_path / "four"}).get("/?history=a&less=b&models=four").text
    assert numbers(SCORE, text) == [2, 2]
    bars = re.findall(r'<rect class="(plus|minus)".{0,400}?<bdi title="([^"]*)"', text, re.S)
    assert sorted(bars) == [("minus", "b"), ("plus", "a"), ("plus", "a")]
    assert text.count('<span class="quiet">less: </span>') == 1


def test_reasons_that_add_nothing_are_left_out(
    serve: Serve, fitted: Fitted, tmp_path: Path
) -> None:
    log = [("u", "a"), ("u", "b"), ("v", "a"), ("v", "c"), ("w", "b"), ("w", "d"), ("x", "d")]
    table = pl.DataFrame(log, schema=["user", "item"], orient="row")
    # a goes with b and c, b with a and d, c and d with one each: nothing of c is for d
    model = shoal.ItemKNN(k=2, shrink=0.0).fit(table, None, shoal.Run(threads=1))
    shoal.save(model, tmp_path / "knn")
    text = serve(also={"knn": tmp_path / "knn"}).get("/?history=b,c&models=knn").text
    assert "more reason" not in text
    assert len(re.findall(BAR, text)) == 3  # of b and c for a, of b for d


def test_less_of_an_item_stands_in_the_address(serve: Serve) -> None:
    client = serve()
    liking = page(client, "/?history=a/b,..")
    less = page(client, liking.links["less like this: Dots"])
    assert "remove .." in less.links
    assert "like it: Dots" in less.links
    assert [label for label in less.links if label.startswith("less like this: ")] == [
        "less like this: Café Müller"
    ]
    again = page(client, less.links["like it: Dots"])
    assert [label for label in again.links if label.startswith("less like this: ")] == [
        "less like this: Café Müller",
        "less like this: Dots",
    ]
    # of a recommended item, too
    films = [label for label in liking.links if label.startswith("less like Film")]
    assert f"remove o{films[0][-1]}" in page(client, liking.links[films[0]]).links


def test_models_side_by_side(serve: Serve, tmp_path: Path, fitted: Fitted) -> None:
    other = tmp_path / "other"
    shoal.save(fitted(1000.0), other)
    client = serve(also={"strong": other})
    both = page(client, "/?history=a/b,..&models=main,strong&k=5").text
    lists = [
        shoal.recommend(model, ["a/b", ".."], 5).items for model in (fitted(10.0), fitted(1000.0))
    ]
    common = len(set(lists[0]) & set(lists[1]))
    assert both.count("in both") == 2 * common
    assert both.count("only here") == 10 - 2 * common
    # the boxes of a form give a name several times
    assert page(client, "/?history=a/b,..&models=main&models=strong&k=5").text == both
    unknown = page(client, "/?models=no-such")
    assert "No model no-such answers here; there are main, strong" in unknown.text
    assert "the most popular items" in unknown.text
    alone = page(client, "/?history=a/b&models=strong")
    assert {to for label, to in alone.links.items() if label.startswith("remove")} == {
        "/?models=strong"
    }


def test_the_number_of_items_and_a_filter(serve: Serve) -> None:
    client = serve()
    five = client.get("/?history=a/b&k=5").text
    assert len(numbers(SCORE, five)) == 5
    assert client.get("/?k=0").status_code == 422
    chosen = client.get("/", params={"history": "a/b", "filter": "title = 'Dots'"}).text
    assert len(numbers(SCORE, chosen)) == 1
    wrong = client.get("/", params={"history": "a/b", "filter": "titel = 'Dots'"})
    assert wrong.status_code == 200
    assert "no column &#39;titel&#39;" in wrong.text
    assert "The list is not filtered" in wrong.text
    assert 'aria-invalid="true"' in wrong.text
    assert len(numbers(SCORE, wrong.text)) == 10
    none = page(client, "/?history=a/b&filter=title%20=%20%27Nothing%27")
    assert "No item is left to recommend" in none.text


def test_what_is_found_while_typing_costs_no_list(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve()
    whole = client.get("/?search=cafe&history=a/b").text

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a list was computed")

    monkeypatch.setattr("shoal.service.views.try_lists.recommend", never)
    part = client.get("/?search=cafe&history=a/b&part=found").text
    start = part.index('<div id="found"')
    found = part[start : part.index("</div>", start)]
    assert found in whole
    assert len(part) < 2000


def test_an_example_to_start_with(serve: Serve) -> None:
    client = serve()
    example = re.search(r'href="([^"]+)"[^>]*>Try these<', client.get("/").text)
    assert example is not None
    started = page(client, example[1].replace("&amp;", "&"))
    assert len([label for label in started.links if label.startswith("remove")]) == 3
    assert "the most popular items" not in started.text


def test_the_search_is_ready_before_the_first_request(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve()

    def late(*_: object) -> None:
        raise AssertionError("the search was made in a request")

    monkeypatch.setattr("shoal.service.routes.catalogue.ItemSearch", late)
    assert "Plain café" in page(client, "/?search=cafe").text


def test_a_model_without_exact_reasons_has_estimates(
    serve: Serve, tmp_path: Path, fitted: Fitted
) -> None:
    folder = tmp_path / "deep"
    model = MultDAE(n_epochs=1, factors=4)
    log = shoal.read(pl.DataFrame({"user": [1, 1, 2, 2, 3, 3], "item": list("abbcac")}))
    shoal.save(model.fit(log, None, shoal.Run(threads=1)), folder)
    client = serve(also={"deep": folder})
    text = client.get("/?history=a,b&models=deep").text
    assert "what the score loses" in text
    assert len(re.findall(BAR, text)) == 2  # c, by a and b
    assert "no table of items" in text


def test_a_model_of_ratings_is_given_the_highest(serve: Serve, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(u, i, float(rng.integers(1, 6))) for u in range(12) for i in range(8) if (u + i) % 3]
    frame = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
    log = shoal.read(frame, values="keep")
    run = shoal.Run(threads=1)
    by_user, by_item = UAutoRec(factors=3, n_epochs=2), IAutoRec(factors=3, n_epochs=2)
    for name, model in (("by-user", by_user), ("by-item", by_item)):
        shoal.save(model.fit(log, None, run), tmp_path / name)
    client = serve(also={name: tmp_path / name for name in ("by-user", "by-item")})
    text = client.get("/?history=1,2&models=by-user&k=5").text
    expected = shoal.recommend(by_user, {1: 5.0, 2: 5.0}, 5)
    assert numbers(SCORE, text) == pytest.approx([row.score for row in expected], abs=0.006)
    # one that knows the users of its training data alone says so
    refused = client.get("/?history=1,2&models=by-item")
    assert refused.status_code == 200
    assert "users that it was trained on" in refused.text


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
        # files that reports and maps contain, too, are kept where these are made
        shared = {"item_map.js": "maps", "item_map.css": "maps", "design.css": "design"}
        place = files("shoal").joinpath(shared.get(name, "service/pages"), name)
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

    monkeypatch.setattr("shoal.service.views.try_lists.recommend", rates_alone)
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
