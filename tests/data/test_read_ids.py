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
