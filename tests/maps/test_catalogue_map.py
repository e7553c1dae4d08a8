"""The map that a service shows: what it holds, what is kept of it, and which colours tell."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal.maps
from shoal.data.ids import Ids
from shoal.errors import DataError
from shoal.maps.catalogue_map import (
    CatalogueMap,
    make_catalogue_map,
    read_catalogue_map,
)
from shoal.maps.choosing import scored_items
from shoal.maps.colouring import telling_colourings
from shoal.maps.item_map import item_map
from shoal.maps.responses import centre, responses
from shoal.models.ease import EASE
from shoal.run import Run

N = 40
BLOCK = np.arange(N) % 2  # even items and odd items are never seen together
ONE = Run(threads=1)


def made(n: int = N, **attributes: object) -> EASE:
    """A model of two groups of items, with weights within each group alone."""
    rng = np.random.default_rng(0)
    block = np.arange(n) % 2
    B = rng.uniform(0.5, 1.5, (n, n)) * (block[:, None] == block)
    np.fill_diagonal(B, 0)
    model = EASE()
    model.restore({"weights": B.astype(np.float32)})
    ids = [f"i{place}" for place in range(n)]
    counts = np.arange(n, 0, -1) * 10  # the first item is the most popular one
    table = pl.DataFrame({"item": ids, **attributes})
    model.restore_catalogue(Ids(pl.Series(ids), "str"), table, "", {}, item_counts=counts)
    return model


@pytest.fixture(scope="module")
def catalogue_map() -> CatalogueMap:
    model = made(
        title=[f"Film {place} {'x' * 200}" for place in range(N)],
        genres=["Even|A" if place % 2 == 0 else "Odd|B" for place in range(N)],
        year=[1940 + place for place in range(N)],
        country=["France"] * N,
    )
    return make_catalogue_map(model, "abc", ONE)


def test_it_holds_items_places_popularity_and_the_colours_that_tell(
    catalogue_map: CatalogueMap,
) -> None:
    data = json.loads(catalogue_map.content)
    assert data["ids"] == [f"i{place}" for place in range(N)]
    assert data["users"] == [10 * (N - place) for place in range(N)]
    assert {len(title) for title in data["titles"]} == {120}
    # titles differ between all items, and one country says nothing
    assert [colour["name"] for colour in data["colours"]] == ["cluster", "genres", "year"]
    assert data["colours"][1]["groups"] == ["Even", "Odd"]
    assert data["colours"][1]["codes"] == BLOCK.tolist()
    assert (data["colours"][2]["low"], data["colours"][2]["high"]) == (1940, 1979)
    assert len(data["panels"]) == 1
    assert len(data["panels"][0]["xy"]) == 2 * N


def test_the_nearest_items_are_those_of_the_picture(catalogue_map: CatalogueMap) -> None:
    data = json.loads(catalogue_map.content)
    xy = np.array(data["panels"][0]["xy"]).reshape(N, 2)
    for item in (0, 7, N - 1):
        by_hand = sorted(
            (place for place in range(N) if place != item),
            key=lambda place: float(np.hypot(*(xy[place] - xy[item]))),
        )[:10]
        expected = [(f"i{place}", data["titles"][place]) for place in by_hand]
        assert catalogue_map.nearest(f"i{item}") == expected
        # items of one group lie together
        assert {place % 2 for place in by_hand[:5]} == {item % 2}
    assert len(catalogue_map.nearest("i0", 1000)) == N - 1
    assert "i3" in catalogue_map
    assert "nothing" not in catalogue_map


def test_a_kept_map_is_read_if_it_is_whole_and_of_this_model(
    catalogue_map: CatalogueMap, tmp_path: Path
) -> None:
    file = tmp_path / "map.json"
    assert read_catalogue_map(file, "abc") is None
    file.write_bytes(catalogue_map.content)
    kept = read_catalogue_map(file, "abc")
    assert kept is not None
    assert kept.content == catalogue_map.content
    assert read_catalogue_map(file, "of another model") is None
    data = json.loads(catalogue_map.content)
    for broken in (
        catalogue_map.content[:-20],
        b"",
        b"[]",
        b"\xff\xfe",
        json.dumps({**data, "format": 99}).encode(),
        json.dumps({**data, "titles": data["titles"][1:]}).encode(),
        json.dumps({**data, "panels": []}).encode(),
    ):
        file.write_bytes(broken)
        assert read_catalogue_map(file, "abc") is None


def test_small_catalogues_have_maps_and_tiny_ones_say_why_not() -> None:
    assert len(make_catalogue_map(made(8), "abc", ONE)) == 8
    with pytest.raises(DataError, match="6 items are too few for a map"):
        make_catalogue_map(made(6), "abc", ONE)


def test_ids_stand_for_titles_where_there_are_none() -> None:
    drawn = make_catalogue_map(made(), "abc", ONE)
    assert all(item == title for item, title in drawn.nearest("i0"))


def test_colours_that_say_other_for_most_items_are_left_out() -> None:
    table = pl.DataFrame(
        {
            "item": range(100),
            "director": [f"d{place // 3}" for place in range(100)],  # 34 directors
            "kind": ["a", "b"] * 50,
            "rare": [None] * 96 + ["x", "y", "x", "x"],
            "empty": pl.Series([None] * 100, dtype=pl.String),
        }
    )
    assert [c.name for c in telling_colourings(table, 9)] == ["kind", "rare"]
    assert [c.name for c in telling_colourings(table, 1)] == ["kind"]


def test_of_a_large_catalogue_the_scores_of_popular_items_are_compared() -> None:
    model = made()
    counts = model.item_counts
    assert counts is not None
    chosen = np.array([5, 30])
    assert scored_items(chosen, counts, N) is None
    scored = scored_items(chosen, counts, 3)
    assert scored is not None
    assert scored.tolist() == [0, 1, 2, 5, 30]  # the three most popular ones, and those of the map
    whole = responses(model, chosen, ONE)
    part = responses(model, chosen, ONE, scored)
    assert np.array_equal(part, whole[:, scored])
    centre(part, np.searchsorted(scored, chosen), "ease")
    assert part[0, 3] == part[1, 4] == 0  # own scores
    near = item_map(made(), candidates=20, perplexity=5, n_clusters=2, run=ONE)
    codes = near.colouring.codes
    assert len(set(codes[BLOCK == 0])) == len(set(codes[BLOCK == 1])) == 1
    assert codes[0] != codes[1]


def test_the_script_is_well_formed_and_makes_no_markup() -> None:
    script = Path(shoal.maps.__file__).with_name("item_map.js")
    text = script.read_text()
    for way_to_make_markup in ("innerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way_to_make_markup not in text
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here to read the script")
    done = subprocess.run([node, "--check", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
