"""`read` and `read_items`: the table of the items lines up with the log."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from shoal.data.interactions import Interactions
from shoal.data.items import read_items
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
