"""`read` and `read_items`: the table of the items lines up with the log."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from shoal.data.interactions import Interactions
from shoal.data.items import item_table, read_items
from shoal.data.read import read
from shoal.errors import DataError

from .read_helpers import file, frame


def titles(log: Interactions) -> list[tuple[Any, ...]]:
    assert log.item_table is not None
    return log.item_table.rows()


def test_item_tables_line_up(tmp_path: Path) -> None:
    table = tmp_path / "items.csv"
    table.write_text("movieId,title\n40,Forty\n 7 ,Seven\n99,Other\n,Nobody\n")
    assert titles(read(frame(), items=table)) == [(7, "Seven"), (40, "Forty")]
    as_text = frame().cast({"item": pl.String})
    assert titles(read(as_text, items=table)) == [("40", "Forty"), ("7", "Seven")]
    some = pd.DataFrame({"item": [40.0], "title": ["Forty"]})
    assert titles(read(frame(), items=some)) == [(7, None), (40, "Forty")]


def test_the_item_table_may_use_the_logs_own_name_for_its_ids() -> None:
    log = frame().rename({"item": "code"})
    table = pl.DataFrame({"title": ["Seven", "Forty"], "code": [7, 40], "item": ["x", "y"]})
    found = read(log, columns={"item": "code"}, items=table)
    assert titles(found) == [(7, "Seven"), (40, "Forty")]


def test_an_item_table_of_uuids() -> None:
    ids = [uuid.UUID(int=2**100), uuid.UUID(int=2**99)]
    table = pd.DataFrame({"item": ids, "title": ["a", "b"]})
    log = read(pd.DataFrame({"user": [1, 2], "item": ids}), items=table)
    assert [t for _, t in titles(log)] == ["b", "a"]


def test_an_item_table_of_ids_alone() -> None:
    table = read_items(pl.DataFrame({"movieId": [40, 7]}))
    assert table.to_dict(as_series=False) == {"item": [40, 7]}


def test_ids_with_leading_zeros_are_no_numbers(tmp_path: Path) -> None:
    table = file("items.csv", "item,title\n007,Bond\n7,Seven\n40,Forty\n")(tmp_path)
    found = read(frame(), items=table)
    assert titles(found) == [(7, "Seven"), (40, "Forty")]
    assert found.notes == ("columns: user=user, item=item, value=rating, time=timestamp",)
    log = file("log.csv", "user,item\n1,007\n2,7\n")(tmp_path)
    assert titles(read(log, items=table)) == [("007", "Bond"), ("7", "Seven")]
    numbers = pl.DataFrame({"item": [7, 40], "title": ["Seven", "Forty"]})
    assert titles(read(log, items=numbers)) == [("007", None), ("7", "Seven")]
    decimals = file("d.csv", "item,title\n7.0,Seven\n40.0,Forty\n")(tmp_path)
    assert titles(read(frame(), items=decimals)) == [(7, "Seven"), (40, "Forty")]


def test_items_without_a_row_or_with_several_are_counted() -> None:
    log = pl.DataFrame({"user": range(5), "item": range(5)})
    table = pl.DataFrame({"item": [3, 3, 9, 9], "title": ["first", "second", "x", "y"]})
    found = read(log, items=table)
    assert titles(found)[3] == (3, "first")
    assert found.notes[1:] == (
        "the item table has rows of 1 of 5 items; is its id column the right one?",
        "1 items have several rows in the item table: the first row of each counts",
    )
    most = read(log, items=pl.DataFrame({"item": [0, 1, 2, 3]}))
    assert most.notes[1:] == ("the item table has rows of 4 of 5 items",)


def test_the_id_column_of_an_item_table_can_be_named() -> None:
    table = pl.DataFrame({"item": ["x", "y"], "nr": [7, 40], "title": ["Seven", "Forty"]})
    assert titles(read(frame(), items=table, item_id="nr")) == [(7, "Seven"), (40, "Forty")]
    with pytest.raises(DataError, match=r"no column 'no' .asked for as the item's id.*item, nr"):
        read(frame(), items=table, item_id="no")
    with pytest.raises(DataError, match="names a column of an item table: give it"):
        read(frame(), item_id="nr")


def test_attributes_of_text_files_get_types(tmp_path: Path) -> None:
    text = (
        "item,title,price,year,day,zip,mixed,blank\n"
        "7,1984,12.50,1949,2020-01-31,00501,5,\n"
        "40,2001,3,NA,,10001,five,\n"
    )
    table = read_items(file("items.csv", text)(tmp_path))
    assert table.rows() == [
        ("7", "1984", 12.5, 1949, dt.date(2020, 1, 31), "00501", "5", None),
        ("40", "2001", 3.0, None, None, "10001", "five", None),
    ]
    as_written, _ = item_table(tmp_path / "items.csv")  # texts are embedded as they are
    assert as_written["price"].to_list() == ["12.50", "3"]


def test_bad_item_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="recognised as the item's id; its columns are a, title"):
        read_items(pl.DataFrame({"a": [1], "title": ["x"]}))
    with pytest.raises(DataError, match="needs a header"):
        read_items(file("u.csv", "1,Toy Story\n2,Heat\n")(tmp_path))
    with pytest.raises(DataError, match="line 3 has 3 values"):
        read_items(file("i.csv", "item,title\n1,x\n2,y,z\n")(tmp_path))
    with pytest.raises(DataError, match="no row of the item table belongs to"):
        read(frame(), items=pl.DataFrame({"item": [1, 2], "title": ["x", "y"]}))
    with pytest.raises(DataError, match="column 'item' of the frame mixes types"):
        read(frame(), items=pd.DataFrame({"item": pd.Series([7, "x"], dtype=object)}))
