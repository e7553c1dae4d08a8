"""Filters and boosts, against answers that a person gave."""

from __future__ import annotations

import datetime as dt
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl
import pytest

from shoal.data.ids import Ids
from shoal.errors import HistoryError
from shoal.inference import filters
from shoal.inference.filters import item_factors, item_mask
from shoal.inference.recommend import recommend, recommend_all
from shoal.models.ease import EASE
from shoal.testing import from_dense

IDS = ["a", "b", "c", "d", "e"]
# a history of "a" gives b 4, c 3, d 2 and e −1
B = np.zeros((5, 5), np.float32)
B[0] = [0, 4, 3, 2, -1]
TABLE = pl.DataFrame(
    {
        "item": IDS,
        "title": ["Up", "Io", "It", "M", "Z"],
        "year": [1990, 1985, 2001, None, 2010],
        "genres": ["Drama|Comedy", "Comedy", "Drama", None, "Comedy, War"],
        "tags": [["x"], ["y", "x"], [], None, ["z"]],
        "price": [5.0, 25.0, 10.0, 0.0, None],
        "old_price": [6.0, 20.0, 10.0, 1.0, 2.0],
        "in_stock": [True, False, True, None, True],
        "on_sale": ["yes", "no", None, "yes", "no"],
        "units": [0, 3, None, 7, -1],
        "day": [dt.date(2020, 1, 1), None, dt.date(2021, 1, 1), None, dt.date(2022, 5, 1)],
        "page count": [100, 200, 300, 400, 500],
    }
)


def model_over(table: pl.DataFrame = TABLE) -> EASE:
    model = EASE()
    model.restore({"weights": B})
    model.restore_catalogue(Ids(table["item"], "str"), table, "", {})
    return model


@pytest.fixture(scope="module")
def model() -> EASE:
    return model_over()


@pytest.mark.parametrize(
    ("condition", "items"),
    [
        ("year >= 1990 and 'Comedy' in genres and price < 20", "a"),
        ("'Comedy' in genres", "abe"),
        ("'Comedy' not in genres", "c"),  # d has no genres: neither
        ('"War" in genres', "e"),
        ("not 'Comedy' in genres", "c"),
        ("'x' in tags or 'z' in tags", "abe"),
        ("in_stock", "ace"),
        ("not in_stock", "b"),
        ("in_stock and not (year > 2005)", "ac"),
        ("on_sale = true", "ad"),
        ("year", None),  # no truth: must be compared
        ("price * 2 < 21", "acd"),
        ("price - old_price = 0", "c"),
        ("price < old_price", "ad"),
        ("price = old_price", "c"),
        ("100 / price >= 10", "ac"),  # d: a division by zero is an empty entry
        ("not 100 / price >= 10", "b"),
        ("(price + old_price) / 2 > 10", "b"),
        ("-price <= -10", "bc"),
        ("price + 5 * 2 = 20", "c"),  # * binds closer
        ("(year >= 1990) + (price < 20) + ('Comedy' in genres) = 3", "a"),
        ("(year >= 1990) + (price < 20) >= 2", "ac"),
        ("min(price, 7) = 7", "bce"),  # an empty entry is left out of a minimum
        ("max(price, old_price, 11) > 20", "b"),
        ("if(in_stock, price, old_price) >= 10", "bc"),
        ("abs(units) = 1", "e"),
        ("log(units) > 0", "bd"),  # of 0 and −1 there is none
        ("log(units) <= 0", ""),
        ("day >= '2021-01-01'", "ce"),
        ('"page count" / 100 >= 4', "de"),
        ("`page count` = 100", "a"),
        ("year in (1990, 2010)", "ae"),
        ("year not in (1990, 2010)", "bc"),
        ("title in ('Up', 'Z', 'Q')", "ae"),
        ("item = 'b' or item = 'e'", "be"),
        ("year is null", "d"),
        ("1e300 * 1e300 * price > 0", ""),  # an overflow is an empty entry
    ],
)
def test_which_items_fulfil_a_filter(model: EASE, condition: str, items: str | None) -> None:
    if items is None:
        with pytest.raises(HistoryError, match="the end stands where =, !="):
            item_mask(model, condition)
        return
    assert [i for i, yes in zip(IDS, item_mask(model, condition), strict=True) if yes] == [*items]


@pytest.mark.parametrize(
    ("boost", "factors"),
    [
        ({"in_stock": 1.5}, [1.5, 1, 1.5, 1, 1.5]),
        ({"units": 2}, [1, 2, 1, 2, 2]),  # other than 0
        ({"on_sale": 2}, [2, 1, 1, 2, 1]),
        ({"page count": 2}, [2] * 5),
        ({"year >= 2000": 2, "'Drama' in genres": 3}, [3, 1, 6, 1, 2]),
        ({"price > 20": 0.5}, [1, 0.5, 1, 1, 1]),
        ("1 + 0.5 * (year >= 2000)", [1, 1, 1.5, 1, 1.5]),
        ("year / 1000", [1.99, 1.985, 2.001, 1, 2.01]),  # empty counts as 1
        ("1 / price", [0.2, 0.04, 0.1, 1, 1]),
        ("if(in_stock, 2, 1)", [2, 1, 2, 1, 2]),
        ("min(2, 1 + units)", [1, 2, 2, 2, None]),  # e gets 0, c the 2
        ("in_stock", [1, None, 1, None, 1]),  # false is 0
        ("3", [3] * 5),
        ({}, [1] * 5),
    ],
)
def test_by_how_much_items_are_favoured(model: EASE, boost: Any, factors: list[Any]) -> None:
    if None in factors:
        with pytest.raises(HistoryError, match=r"is not from 1e-06 to 1,000,000 \(item '[be]'"):
            item_factors(model, boost)
        return
    assert item_factors(model, boost) == pytest.approx(np.array(factors, np.float32))


def test_only_items_of_the_filter_come_and_boosts_count_before_the_selection(model: EASE) -> None:
    """b 4, c 3, d 2, e −1: with c and d doubled d is as good as b, and c is the best."""
    assert recommend(model, ["a"], 3, filter="price >= 10").items == ["b", "c"]
    favoured = recommend(model, ["a"], 2, boost={"item in ('c', 'd')": 2.5})
    assert [(r.item, r.score) for r in favoured] == [("c", 7.5), ("d", 5)]
    assert [r.score for r in recommend(model, ["a"], 4, boost="2")] == [8, 6, 4, -0.5]
    both = recommend(model, ["a"], 1, filter="item != 'c'", boost={"item = 'd'": 3})
    assert [(r.item, r.score) for r in both] == [("d", 6)]


def test_a_filter_that_nothing_fulfils_gives_an_empty_list_that_says_so(model: EASE) -> None:
    empty = recommend(model, ["a"], 3, filter="year > 3000")
    assert len(empty) == 0
    assert "no item that may be recommended fulfils the filter 'year > 3000'" in empty.remarks
    assert "0 of 5 items are allowed" in empty.shortfall


def test_the_most_popular_items_are_filtered_and_boosted_too() -> None:
    model = EASE(l2=1.0).fit(from_dense(np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]])))
    items = model.items.take(np.arange(3))
    first, second, third = items
    name = f"item = {items[1]!r}"
    lists = recommend(model, ["nobody knows this"], 3, boost={name: 2})
    assert lists.fallback == "popularity"
    assert [(r.item, r.score) for r in lists] == [(second, 4), (first, 3), (third, 1)]
    assert recommend(model, ["unknown"], 3, filter=name).items == [second]


def test_everyone_gets_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(3)
    X = (rng.random((30, 12)) < 0.3).astype(np.float32)
    X[0] = 1
    log = from_dense(X)
    model = EASE(l2=5.0).fit(log)
    ids = model.items.take(np.arange(12))
    table = pl.DataFrame({"item": model.items.series, "n": np.arange(12), "good": rng.random(12)})
    model.restore_catalogue(model.items, table, "", {}, item_counts=model.item_counts)
    rules: dict[str, Any] = {"filter": "n < 10", "boost": "0.5 + good"}
    lists = recommend_all(model, log, 4, **rules)
    scores = model.score(model.histories(log))
    factors = 0.5 + table["good"].to_numpy()
    for code, user in enumerate(log.users.take(np.arange(30))):
        own = lists.filter(pl.col("user") == user)
        alone = recommend(model, log, 4, user=user, **rules)
        assert own["item"].to_list() == alone.items
        s = scores[code].astype(np.float64)
        boosted = np.where(s >= 0, s * factors, s / factors)
        boosted[X[code] > 0] = -np.inf
        boosted[10:] = -np.inf
        best = [i for i in np.argsort(-boosted)[:4] if np.isfinite(boosted[i])]
        assert own["item"].to_list() == [ids[i] for i in best]
        assert own["score"].to_numpy() == pytest.approx(boosted[best], rel=1e-5)


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ({"filter": "colour = 'red'"}, "filter: there is no column 'colour'; the columns are item"),
        ({"filter": "year >="}, "filter: the end stands where a constant"),
        ({"filter": "year >= 'soon'"}, "filter: column 'year' holds numbers"),
        ({"filter": ""}, "filter='': write conditions"),
        ({"filter": ["year"]}, r"filter=\['year'\]: give a text"),
        ({"filter": 3}, "filter=3: write conditions"),
        ({"filter": "title + 1 > 2"}, "column 'title' holds texts that are not numbers"),
        ({"filter": "tags + 1 > 2"}, "column 'tags' has type List.* no number to calculate with"),
        ({"filter": "price > 2024-01-05"}, "character 9. is a date: put it in quotes"),
        ({"filter": "price + 1"}, "the end stands where =, !="),
        ({"filter": "1 + 1 = price"}, "names no column to compare"),
        ({"filter": "Comedy in genres"}, "text in quotes is expected"),
        ({"filter": "1990 <= year < 2000"}, "where the name of a column is expected"),
        ({"filter": "year > 1990 < 2000"}, "is too much"),
        ({"filter": "sqrt(year) > 3"}, "is no function .there are min, max, abs, log, if."),
        ({"filter": "min(year) > 3"}, "takes 2 to 20 values in parentheses, and not 1"),
        ({"filter": "year > 2 ** 3"}, "'. 3' .character 11. stands where the name of a column"),
        ({"filter": "title = '\ud800'"}, "half of a character"),
        ({"boost": "title"}, "column 'title' holds texts that are not numbers"),
        ({"boost": {"title": 2}}, "column 'title' holds texts that are not true or false"),
        ({"boost": {"tags": 2}}, "column 'tags' has type List"),
        ({"boost": {"colour": 2}}, "boost: there is no column 'colour'; the columns are item"),
        ({"boost": {"in_stock": 0}}, "'in_stock' has the factor 0: give a number from"),
        ({"boost": {"in_stock": -1}}, "the factor -1"),
        ({"boost": {"in_stock": float("nan")}}, "the factor nan"),
        ({"boost": {"in_stock": float("inf")}}, "the factor inf"),
        ({"boost": {"in_stock": "2"}}, "the factor '2'"),
        ({"boost": {"in_stock": True}}, "the factor True"),
        ({"boost": {3: 2.0}}, "boost: 3 is no condition"),
        ({"boost": 2}, "boost=2: give an expression, or a mapping"),
        ({"boost": "year - 1990"}, r"the factor of 2 items .*\(item 'a' gets 0\)"),
        ({"boost": {"year > 1": 1e6, "year > 2": 1e6}}, "the factor of 4 items"),
        ({"boost": {f"year > {i}": 1.0 for i in range(60)}}, "60 conditions .* at most 50"),
    ],
)
def test_what_is_wrong_is_refused(model: EASE, rules: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HistoryError, match=complaint):
        recommend(model, ["a"], 2, **rules)


def test_a_result_is_computed_once_and_goes_with_its_model() -> None:
    model = model_over()
    with ThreadPoolExecutor(8) as pool:
        texts = [f"year > {1980 + i % 5}" for i in range(200)]
        masks = list(pool.map(item_mask, [model] * 200, texts))
    assert all((mask == masks[0]).all() for mask in masks)
    assert item_mask(model, "year > 1980") is item_mask(model, "year > 1980")
    assert not masks[0].flags.writeable
    other = TABLE.with_columns(pl.lit(1900).alias("year"))
    model.restore_catalogue(model.items, other, "", {})  # another table: nothing of the old one
    assert not item_mask(model, "year > 1980").any()
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_no_more_results_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_ROOM", 30_000)
    model = model_over()
    first = item_mask(model, "year > 1")
    for year in range(2, 100):  # texts of 1,900 characters, and masks of five items
        item_mask(model, f"year > {year}".ljust(1900))
        assert item_mask(model, "year > 1") is first  # in use all the time
    kept = filters._kept[model]
    assert 10 <= len(kept.results) <= 16
    texts = sum(len(key[1]) for key in kept.results)
    assert texts < kept.n_bytes <= 30_000
    item_factors(model, dict.fromkeys([f"year > {year}".ljust(190) for year in range(9)], 2.0))
    assert len(kept.results) <= 15
