"""`read`: times in any writing are seconds since 1970."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from shoal.data.read import read
from shoal.data.times import seconds
from shoal.errors import DataError

from .read_helpers import facts


@pytest.mark.parametrize(
    ("written", "since_1970"),
    [
        ("86400", 86_400),
        ("86400.5", 86_400.5),
        ("1970-01-02", 86_400),
        ("1970-01-02 01:00", 90_000),
        ("1970-01-02 01:00:05", 90_005),
        ("1970-01-02T01:00:05", 90_005),
        ("1970-01-02T01:00:05Z", 90_005),
        ("1970-01-02 01:00:05.25", 90_005.25),
        ("1970-01-02T01:00:05+01:00", 86_405),
        ("1970-01-02 01:00:05.5-0130", 95_405.5),
        ("1970-01-02 01:00:05 UTC", 90_005),
        (" 1970-01-02 ", 86_400),
    ],
)
def test_times_written_as_text(written: str, since_1970: float, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f'user,item,ts\n1,1,"{written}"\n2,2,1970-01-01\n')
    assert facts(read(path))["times"] == [since_1970, 0]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([dt.date(1970, 1, 2), dt.date(1970, 1, 1)]),
        pl.Series([dt.datetime(1970, 1, 2), dt.datetime(1970, 1, 1)]),
        pl.Series([86_400_000, 0]).cast(pl.Datetime("ms")),
        pl.Series([86_400 * 10**9, 0]).cast(pl.Datetime("ns")),
        pl.Series([86_400_000, 0])
        .cast(pl.Datetime("ms", "UTC"))
        .dt.convert_time_zone("Asia/Tokyo"),
    ],
)
def test_datetime_columns_are_seconds(column: pl.Series) -> None:
    log = read(pl.DataFrame({"user": [1, 2], "item": [1, 2], "ts": column}))
    assert facts(log)["times"] == [86_400, 0]


def test_bounds_of_a_time_window() -> None:
    assert seconds("1970-01-02") == 86_400
    assert seconds("1970-01-02T00:00:00+01:00") == 82_800
    assert seconds(dt.date(1970, 1, 2), 1000) == 86_400_000
    assert seconds("12.5") == seconds(12.5, 1000) == 12.5
    for odd in ("soon", "", "2020-13-01", float("nan"), None):
        with pytest.raises(DataError, match="neither a number nor a date such as"):
            seconds(odd)  # type: ignore[arg-type]
