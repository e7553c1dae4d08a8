"""The page of an item: its attributes, its lists, its popularity and its map."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import Store
from shoal.models.gf_cf import GFCF
from shoal.models.popularity import Popularity
from shoal.service.views.addresses import address_of_history, address_of_item, address_of_person
from tests.service.conftest import make_model
from tests.service.routes.conftest import Serve
from tests.service.views.reading import ADMIN, READ, Page, ids_in, section

ONE = shoal.Run(threads=1)


def ids_of(store: Store) -> list[str]:
    """The ids of the live version, in its order."""
    model = store.load()
    return [str(item) for item in model.items.take(range(model.n_items))]


def map_of(client: TestClient, address: str = "/item-map.json") -> dict[str, object]:
    """The map, once it is made."""
    end = time.monotonic() + 90
    while (answer := client.get(address)).status_code == 202:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert answer.status_code == 200
    members: dict[str, object] = answer.json()
    return members


def test_the_lists_are_those_of_the_library(serve: Serve, store: Store) -> None:
    text = serve().get("/item/plain").text
    model = store.load()
    leads, against = shoal.similar(model, "plain", 10), shoal.dissimilar(model, "plain", 10)
    assert ids_in(section(text, "leads")) == list(leads.items)
    assert ids_in(section(text, "against")) == list(against.items)
    widths = [
        float(width)
        for width in re.findall(r'class="plus" width="([\d.]+)"', section(text, "leads"))
    ]
    best = leads[0].score
    assert widths == pytest.approx([100 * row.score / best for row in leads], abs=0.06)
    assert section(text, "against").count('class="minus"') == len(against)


def test_what_an_item_speaks_against_is_told_with_its_weight(serve: Serve, tmp_path: Path) -> None:
    """Of the weights of item 20, which a person wrote down, the one for item 40 is −1."""
    text = section(serve(model=published(tmp_path, make_model())).get("/item/20").text, "against")
    assert ids_in(text) == ["40"]
    assert ">−1.00</span>" in text
    assert 'class="minus" width="100.0"' in text


def test_popularity_is_counted_as_by_hand(serve: Serve, store: Store) -> None:
    counts = store.load().item_counts
    assert counts is not None
    ids = ids_of(store)
    users = int(counts[ids.index("plain")])
    rank = 1 + sum(int(other) > users for other in counts)
    text = section(serve().get("/item/plain").text, "popularity")
    assert f"<dd>{users}</dd>" in text
    assert re.search(rf'<dd>{rank} <span class="quiet small">of {len(ids)}</span>', text)
    below = sum(int(other) < users for other in counts) / len(ids)
    assert f"than {below:.0%} of the items" in text
    columns = re.findall(r"<title>(\d+)(?: to (\d+))? users?: (\d+) items</title>", text)
    for low, high, number in columns:
        expected = sum(int(low) <= int(n) <= int(high or low) for n in counts)
        assert int(number) == expected
    assert sum(int(number) for _, _, number in columns) == len(ids)
    assert text.count("column here") == 1


@pytest.mark.parametrize("item", ["a/b", "50%", "..", "x y", "plain"])
def test_every_item_has_a_page_and_links_to_it(serve: Serve, item: str) -> None:
    client = serve()
    address = address_of_item(item)
    answer = client.get(address)
    assert answer.status_code == 200
    assert f"id <code>{item}</code>" in answer.text
    found = client.get("/item", params={"search": item})
    assert f'href="{address}"' in found.text.replace("&amp;", "&")


def test_addresses_of_pages() -> None:
    assert address_of_item("a/b", model="") == "/item/a%2Fb"
    assert address_of_item("..", model="m") == "/item?id=..&model=m"
    assert address_of_item(7, model="m") == "/item/7?model=m"
    assert address_of_person("ü &?") == "/person/%C3%BC%20%26%3F"
    assert address_of_history(["a", "b,c"], models="") == "/?history=a%2C%22b%2Cc%22"


def test_titles_stay_text_on_the_page_of_an_item(serve: Serve) -> None:
    answer = serve().get("/item/50%25")
    shown = Page(answer.text)
    assert "The <b>Bold</b> & the Brave" in shown.text
    assert "b" not in [tag for tag, _ in shown.tags]
    assert "<title>The &lt;b&gt;Bold" in answer.text


@pytest.mark.parametrize("item", ["nothing", "x" * 300, "a\x00b", "<script>", "Ä" * 200])
def test_unknown_items_lead_to_a_search(serve: Serve, item: str) -> None:
    answer = serve().get(f"/item/{quote(item, safe='')}")
    assert answer.status_code in (404, 422)
    assert "script" not in [tag for tag, values in Page(answer.text).tags if not values.get("src")]
    if answer.status_code == 404:
        assert 'name="search"' in answer.text


def test_an_unknown_item_is_looked_for_by_its_words(serve: Serve) -> None:
    answer = serve().get("/item/cafe")
    assert answer.status_code == 404
    assert set(ids_in(answer.text)) == {"a/b", "plain"}


def test_items_are_found_by_words_and_the_popular_ones_stand_first(serve: Serve) -> None:
    client = serve()
    assert set(ids_in(client.get("/item?search=cafe").text)) == {"a/b", "plain"}
    assert "Nothing has these words" in client.get("/item?search=zzzz").text
    first = client.get("/item")
    assert first.status_code == client.get("/item/").status_code == 200
    assert "Most people had" in first.text
    assert len(ids_in(first.text)) == 17


def published(tmp_path: Path, model: shoal.Recommender) -> Path:
    store = Store(tmp_path / "other", create=True)
    store.publish(model)
    return store.path


def some_log(items: pl.DataFrame | None = None) -> shoal.Interactions:
    rng = np.random.default_rng(1)
    rows = [
        (f"u{user}", f"i{item}")
        for user in range(40)
        for item in np.flatnonzero(rng.random(12) < (0.8 if user % 2 else 0.4))
    ]
    return shoal.read(pl.DataFrame(rows, schema=["user", "item"], orient="row"), items=items)


def test_without_an_item_table_ids_are_shown(serve: Serve, tmp_path: Path) -> None:
    client = serve(model=published(tmp_path, shoal.EASE().fit(some_log(), None, ONE)))
    text = client.get("/item/i3").text
    assert "<h1" in text
    assert ">i3</h1>" in text
    assert "no table of items" in text
    assert client.get("/item?search=i3").text.count('class="pick"') == 1


def test_long_titles_many_labels_and_texts(serve: Serve, tmp_path: Path) -> None:
    long, text = "שלום 🎬 " * 100, "A sentence. " * 40
    table = pl.DataFrame(
        {
            "item": [f"i{n}" for n in range(12)],
            "title": [long, *(f"T{n}" for n in range(1, 12))],
            "genres": ["Action|Comedy| |Drama"] * 12,
            "tags": [["x", "y"]] * 12,
            "rating": [3.25] * 12,
            "plot": [text] * 12,
            "empty": [None, *["full"] * 11],
        }
    )
    client = serve(model=published(tmp_path, shoal.EASE().fit(some_log(table), None, ONE)))
    shown = client.get("/item/i0").text
    assert f'<h1 class="clamp" dir="auto">{long}</h1>' in shown
    about = section(shown, "about")
    assert re.findall(r'<bdi class="badge">([^<]*)</bdi>', about) == [
        *("Action", "Comedy", "Drama"), "x", "y",
    ]  # fmt: skip
    assert "<bdi>3.25</bdi>" in about
    assert f'<p class="prose" dir="auto">{text}</p>' in about
    assert "empty" not in about
    assert f'<p class="prose" dir="auto">{long}</p>' in about  # all of it, below the heading
    assert "<dt>title</dt>" not in section(client.get("/item/i1").text, "about")


def test_a_model_without_weights_between_items_says_so(serve: Serve, tmp_path: Path) -> None:
    model = GFCF().fit(some_log(), None, ONE)
    text = serve(model=published(tmp_path, model)).get("/item/i0").text
    assert ids_in(section(text, "leads")) == []  # ids are titles here
    assert section(text, "leads").count('class="line"') == 10
    assert "no weights between items" in section(text, "against")


def test_a_model_that_is_the_same_for_all_says_so(serve: Serve, tmp_path: Path) -> None:
    model = Popularity().fit(some_log(), None, ONE)
    text = serve(model=published(tmp_path, model)).get("/item/i0").text
    assert "popularity recommends the same to everyone" in section(text, "leads")
    assert "no weights between items" in section(text, "against")


def test_any_live_model_can_be_asked(serve: Serve, tmp_path: Path) -> None:
    other = published(tmp_path, shoal.EASE().fit(some_log(), None, ONE))
    client = serve(also={"other": other})
    text = client.get("/item/plain").text
    links = re.findall(r'<nav class="tabs".*?</nav>', text, re.S)[0]
    assert "/item/plain?model=other" in links
    assert re.search(r'model=main" aria-current', links)
    asked = client.get("/item/i3?model=other")
    assert asked.status_code == 200
    assert 'href="/item/i1?model=other"' in section(asked.text, "leads")
    assert "/item-map.json?version=" in asked.text
    assert "&model=other" in asked.text.replace("&amp;", "&")
    missing = client.get("/item/plain?model=other")
    assert missing.status_code == 404
    assert f"{Store(other).current()} has no item plain" in Page(missing.text).text
    wrong = client.get("/item/plain?model=nobody")
    assert wrong.status_code == 404
    assert "there are main, other" in Page(wrong.text).text


def test_the_map_comes_in_the_background_and_is_kept(serve: Serve, store: Store) -> None:
    client = serve()
    data = map_of(client)
    assert data["ids"] == ids_of(store)
    assert len(list((store.path / "maps").glob("*.json"))) == 1
    version = store.current()
    headers = client.get(f"/item-map.json?version={version}").headers
    assert headers["cache-control"] == "private, max-age=86400"
    assert headers["content-type"] == "application/json"
    assert client.get("/item-map.json?version=old").headers["cache-control"] == "no-store"
    # those who do not see it read what lies nearest
    text = section(client.get("/item/plain").text, "map-heading")
    titles, xy = data["titles"], np.array(data["panels"][0]["xy"]).reshape(-1, 2)  # type: ignore[index]
    here = data["ids"].index("plain")  # type: ignore[attr-defined]
    far = np.hypot(*(xy - xy[here]).T)
    far[here] = np.inf
    nearest = [titles[place] for place in np.argsort(far, kind="stable")[:10]]  # type: ignore[index]
    shown = re.findall(r'class="clamp">([^<]*)</a>', text)
    assert [Page(title).text for title in shown] == nearest
    assert 'data-item="plain"' in text


def test_without_the_extra_the_page_says_how_to_install_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "openTSNE"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    client = serve()
    members = map_of(client)
    assert members["state"] == "missing"
    assert members["reason"] == "a map needs openTSNE: pip install 'shoal[map]'"
    assert "pip install &#39;shoal[map]&#39;" in client.get("/item/plain").text


def test_the_pages_of_items_need_the_key(serve: Serve) -> None:
    client = serve(read_key=READ, admin_key=ADMIN)
    for address in ("/item", "/item/plain", "/item-map.json"):
        assert client.get(address).status_code == 401
        assert client.get(address, auth=("x", READ)).status_code in (200, 202)


def test_without_a_model_the_page_of_an_item_says_so(serve: Serve, store: Store) -> None:
    (store.path / "CURRENT").unlink()
    answer = serve().get("/item/plain")
    assert answer.status_code == 503
    assert "no model answers yet" in answer.text
