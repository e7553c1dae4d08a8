"""`read`: ids come back as they were written, or keep their type."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from shoal.data.read import read
from shoal.errors import DataError

from .read_helpers import users_of


def csv_of(ids: list[str], folder: Path) -> Path:
    path = folder / "ids.csv"
    pl.DataFrame({"user": ids, "item": [f"i{k}" for k in range(len(ids))]}).write_csv(path)
    return path


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (["12", "-3", "0"], [-3, 0, 12]),
        ([str(2**63 - 1), str(-(2**63)), "5"], [-(2**63), 5, 2**63 - 1]),
        (["1234567890123456789", "2"], [2, 1234567890123456789]),
        (["007", "7"], ["007", "7"]),
        (["12", "abc"], ["12", "abc"]),
        (["1.0", "2"], ["1.0", "2"]),
        ([str(2**63), "1"], ["1", str(2**63)]),
        (["a,b", 'say "x"', "two\nlines"], ["a,b", 'say "x"', "two\nlines"]),
        (["Ω", "naïve", "鮫", "🐟"], ["naïve", "Ω", "鮫", "🐟"]),
        (["x" * 5000, "x" * 4999 + "y"], ["x" * 5000, "x" * 4999 + "y"]),
        (["::", "a::b"], ["::", "a::b"]),
    ],
)
def test_ids_of_a_csv_come_back_as_they_were_written(
    written: list[str], found: list[Any], tmp_path: Path
) -> None:
    log = read(csv_of(written, tmp_path))
    assert users_of(log) == found
    assert log.history_of(written[0]) == ["i0"]


@pytest.mark.parametrize("word", ["NULL", "\\N", "NaN", "None", "<NA>", "null"])
def test_words_for_nothing_among_numbers_are_missing(word: str, tmp_path: Path) -> None:
    path = csv_of(["1", word, "12", "3"], tmp_path)
    with pytest.raises(DataError, match=r"'user' .user. is missing in 1 of 4 rows.*row 2") as error:
        read(path)
    assert f"({word!r})" in str(error.value)
    assert users_of(read(path, missing="drop")) == [1, 3, 12]
    as_text = pl.read_csv(path, infer_schema=False)
    assert read(as_text, missing="drop").n_users == 3


def test_somebody_may_be_called_null(tmp_path: Path) -> None:
    log = read(csv_of(["Null", "Smith", "None"], tmp_path))
    assert users_of(log) == ["None", "Null", "Smith"]
    assert "the user id 'None' or 'Null' is kept as an id" in log.notes[-1]
    with pytest.raises(DataError, match=r"missing in 1 of 3 rows, first in row 3"):
        read(csv_of(["Null", "Smith", "\\N"], tmp_path))
    dropped = read(csv_of(["Null", "Smith", "\\N"], tmp_path), missing="drop")
    assert users_of(dropped) == ["Null", "Smith"]


def test_whole_numbers_that_are_written_with_decimals(tmp_path: Path) -> None:
    assert users_of(read(csv_of(["12.0", "3.0"], tmp_path))) == [3, 12]
    decimals = pl.Series([12, 3]).cast(pl.Decimal(38, 2))
    log = pl.DataFrame({"user": decimals, "item": [1, 2]})
    assert users_of(read(log)) == [3, 12]
    for broken, complaint in (
        ("3.5", "holds fractions"),
        (str(2**70), "holds numbers beyond 64 bits"),
    ):
        column = pl.Series([broken, "1"]).cast(pl.Decimal(38, 2))
        with pytest.raises(DataError, match=f"user column of the frame {complaint}"):
            read(log.with_columns(user=column))


@pytest.mark.parametrize(
    "ids",
    [
        [-(2**63), 4, 2**63 - 1],
        ["007", "7", "a,b"],
        [uuid.UUID(int=2**100), uuid.UUID(int=2**120 + 1)],
    ],
)
def test_ids_of_a_frame_keep_their_type(ids: list[Any]) -> None:
    log = read(pd.DataFrame({"user": ids, "item": np.arange(len(ids))}))
    assert users_of(log) == ids
    assert [type(u) for u in users_of(log)] == [type(i) for i in ids]
    assert log.history_of(str(ids[1])) == [1]


def test_mixed_ids_in_pandas_name_the_column_and_the_row() -> None:
    mixed = pd.DataFrame({"user": [1, 2, 3], "item": pd.Series([5, "x", 5], dtype=object)})
    with pytest.raises(DataError, match=r"item column of the frame mixes types.*row 2 holds 'x'"):
        read(mixed)
