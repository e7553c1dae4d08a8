"""Colours of a map: by an attribute of the items, or by cluster."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shoal.errors import (
    DataError,
)
from shoal.maps.colouring import MISSING, OTHER, by_attribute, by_cluster


def test_of_several_values_the_first_one_colours() -> None:
    table = pl.DataFrame({"item": range(6), "g": ["A|B", "B", "A", None, "", "B|A"]})
    found = by_attribute(table, "g")
    assert found.groups == ("A", "B", MISSING)
    assert found.codes.tolist() == [0, 1, 0, 2, 2, 1]
    assert found.counts == {"A": 2, "B": 2, MISSING: 2}
    assert found.texts[0] == "A|B"
    assert found.named == 2
    lists = pl.DataFrame({"item": range(3), "g": [["x", "y"], [], None]})
    assert by_attribute(lists, "g").codes.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        (["Action, Comedy", "Action", "Drama, Action"], ("Action", "Drama")),
        (["Action;Comedy", "Action", "Drama;Action"], ("Action", "Drama")),
        (["['Action', 'Comedy']", '["Drama"]', "[]"], ("Action", "Drama", MISSING)),
        # names with a comma are one label
        (
            ["Tolkien, J. R. R.", "King, Stephen", "King, Stephen"],
            ("King, Stephen", "Tolkien, J. R. R."),
        ),
        (["Toys, Games", "Books", "Books"], ("Books", "Toys, Games")),
    ],
)
def test_several_labels_are_split(values: list[str], groups: tuple[str, ...]) -> None:
    table = pl.DataFrame({"item": range(len(values)), "g": values})
    assert by_attribute(table, "g").groups == groups


def test_numbers_in_text_are_a_scale() -> None:
    table = pl.DataFrame({"item": range(3), "price": ["12.50", "3", ""]})
    values = by_attribute(table, "price").values
    assert values is not None
    assert np.array_equal(values, [12.5, 3, np.nan], equal_nan=True)
    codes = pl.DataFrame({"item": range(3), "zip": ["01", "02", "01"]})
    assert by_attribute(codes, "zip").groups == ("01", "02")


def test_more_groups_than_colours_are_other() -> None:
    values = [f"g{i:02}" for i in range(15) for _ in range(1 + (i < 9))] + [None]
    found = by_attribute(pl.DataFrame({"item": range(len(values)), "g": values}), "g")
    assert found.groups == (*(f"g{i:02}" for i in range(9)), OTHER, MISSING)
    assert found.counts[OTHER] == 6
    assert found.counts[MISSING] == 1


def test_numbers_and_dates_are_a_scale() -> None:
    table = pl.DataFrame(
        {
            "item": range(4),
            "year": [1990, None, 2000, 1995],
            "when": pl.Series(["2001-01-01", "2002-01-01", None, "2001-07-02"]).str.to_date(),
            "odd": [1.0, float("nan"), float("inf"), 3.0],
        }
    )
    found = by_attribute(table, "year")
    assert found.groups == ()
    assert found.values is not None
    assert np.array_equal(found.values, [1990, np.nan, 2000, 1995], equal_nan=True)
    assert found.texts == ("1990", "", "2000", "1995")
    dates = by_attribute(table, "when").values
    assert dates is not None
    assert dates[0] == 2001
    assert 2001.49 < dates[3] < 2001.51
    odd = by_attribute(table, "odd").values
    assert odd is not None
    assert np.isfinite(odd).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        (pl.Series([None, None], dtype=pl.String), "no item has a value"),
        (pl.Series([float("nan"), None]), "no item has a finite"),
        (pl.Series([b"a", b"b"]), "has type Binary"),
    ],
)
def test_columns_without_colours(column: pl.Series, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        by_attribute(pl.DataFrame({"item": [1, 2], "a": column}), "a")
    with pytest.raises(DataError, match="they have: none"):
        by_attribute(pl.DataFrame({"item": [1, 2]}), "a")


def test_clusters_of_points_in_one_place() -> None:
    found = by_cluster(np.ones((8, 2)), 3, [f"t{i}" for i in range(8)], 0)
    assert sum(found.counts.values()) == 8
    assert all(found.counts.values())
