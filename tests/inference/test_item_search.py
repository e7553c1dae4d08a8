"""Finding items by words of their titles, whatever their case and accents, and by their ids."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.inference.item_search import ItemSearch

TITLES = {
    "b/1": "Café Müller",
    "b/2": "The Café",
    "c%3": "CAFE",
    "d": "Straße der Wünsche",
    "e": "<b>Bold</b> & brave",
    "f": "Größe 42",
    "g": None,
}


@pytest.fixture(scope="module")
def model() -> shoal.Recommender:
    rng = np.random.default_rng(0)
    # the later an item in the catalogue, the more users have it: 1 user of the first, 7 of the last
    rows = [(f"u{u}", item) for n, item in enumerate(sorted(TITLES)) for u in range(n + 1)]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    log = pl.DataFrame(rows, schema=["user", "item"], orient="row")
    items = pl.DataFrame({"item": list(TITLES), "title": list(TITLES.values())})
    return shoal.Popularity().fit(shoal.read(log, items=items))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("cafe", ["c%3", "b/1", "b/2"]),  # the title, then what begins with it
        ("CAFÉ", ["c%3", "b/1", "b/2"]),
        ("muller cafe", ["b/1"]),
        ("Mu\u0308ller", ["b/1"]),  # decomposed
        ("strasse", ["d"]),
        ("wunsche STRASSE", ["d"]),
        ("<b>", ["e"]),
        ("b/", ["b/2", "b/1"]),
        ("%", ["c%3"]),
        ("42", ["f"]),
        ("g", ["g", "f"]),  # the id before "Größe"
        ("nothing like it", []),
        (".*", []),
        ("", ["g", "f", "e", "d", "c%3", "b/2", "b/1"]),
        (" \t ", ["g", "f", "e", "d", "c%3", "b/2", "b/1"]),
    ],
)
def test_search(model: shoal.Recommender, text: str, ids: list[str]) -> None:
    assert model.items.take(ItemSearch(model).find(text)) == ids


def test_items_without_titles_are_found_by_ids() -> None:
    log = pl.DataFrame({"user": [1, 1, 2], "item": [7, 71, 71]})
    model = shoal.Popularity().fit(shoal.read(log))
    assert model.items.take(ItemSearch(model).find("7")) == [7, 71]
    assert model.items.take(ItemSearch(model).find("71")) == [71]
