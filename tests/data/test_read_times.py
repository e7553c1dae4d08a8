"""`read`: times in any writing are seconds since 1970."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shoal.data.read import read
from shoal.data.sources import Source
from shoal.data.time_formats import recognise_times
from shoal.data.times import as_date, seconds
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


DAY = int(dt.datetime(2023, 8, 24, tzinfo=dt.UTC).timestamp())  # the 24th of August 2023
HALF_PAST_THREE = DAY + (15 * 60 + 30) * 60


@pytest.mark.parametrize(
    ("written", "seconds_of_them"),
    [
        (["20230824", "20230825"], [DAY, DAY + 86_400]),
        ([20230824, 20230825], [DAY, DAY + 86_400]),
        ([20230824.0, 20230825.0], [DAY, DAY + 86_400]),
        (["20230824153000", "202308241530"], [HALF_PAST_THREE] * 2),
        (["20230824T153000", "20230824"], [HALF_PAST_THREE, DAY]),
        (["2023-08-24", "20230824"], [DAY, DAY]),
        (["24.08.2023", "3.9.2023"], [DAY, DAY + 10 * 86_400]),
        (["8.9.2023", "24.08.2023 15:30"], [DAY + 15 * 86_400, HALF_PAST_THREE]),
        (["8/24/2023", "9/3/2023"], [DAY, DAY + 10 * 86_400]),
        (["24/08/2023 15:30", "03/09/2023"], [HALF_PAST_THREE, DAY + 10 * 86_400]),
        (["24-08-2023", "03-09-2023"], [DAY, DAY + 10 * 86_400]),
        (["8/24/2023 3:30 PM", "8/24/2023 12:00:00 AM"], [HALF_PAST_THREE, DAY]),
        (["2023/8/24", "2023/08/24 15:30"], [DAY, HALF_PAST_THREE]),
        (["24 Aug 2023", "August 24, 2023"], [DAY, DAY]),
        (["Thu Aug 24 15:30:00 2023", "24-Aug-2023"], [HALF_PAST_THREE, DAY]),
        (["Thu, 24 Aug 2023 16:30:00 +0100", "24 Aug 2023"], [HALF_PAST_THREE, DAY]),
        (["24/Aug/2023:15:30:00 +0000", "24/Aug/2023:00:00:00 +0000"], [HALF_PAST_THREE, DAY]),
    ],
)
def test_dates_as_people_write_them(written: list[Any], seconds_of_them: list[int]) -> None:
    log = read(pl.DataFrame({"user": [1, 2], "item": [1, 2], "ts": written}))
    assert facts(log)["times"] == seconds_of_them
    assert log.times_are_dates


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        (["8/9/2023", "9/3/2023"], r"'8/9/2023' .row 1., .*--time-format %d/%m/%Y .day first"),
        (["08-09-2023", "09-03-2023"], r"'08-09-2023' .*--time-format %d-%m-%Y .day first"),
        (["8/24/2023", "24/8/2023"], "have the day first and the month first: 24 and 24"),
        (["2023-08-24", "8/24/23"], r"row 2 .'8/24/23'.*--time-format"),
        (["soon", "2023-08-24"], r"row 1 .'soon'."),
        ([20230824, 20230230], r"row 2 .20230230."),  # no such day
        ([20230824, 20230825, 0], r"row 3 .0."),
    ],
)
def test_dates_that_are_not_clear_are_shown(written: list[Any], complaint: str) -> None:
    n = range(len(written))
    with pytest.raises(DataError, match=f"column 'ts'.*{complaint}"):
        read(pl.DataFrame({"user": n, "item": n, "ts": written}))


@pytest.mark.parametrize(
    ("written", "pattern", "first"),
    [
        ("8/9/2023", "%m/%d/%Y", DAY - 15 * 86_400),
        ("8/9/2023", "%d/%m/%Y", DAY + 15 * 86_400),
        ("24.8.23 15:30", "%d.%m.%y %H:%M", HALF_PAST_THREE),
        ("20230824", "number", 20230824),
        ("20230824", "%Y%m%d", DAY),
    ],
)
def test_the_format_of_times_can_be_said(written: str, pattern: str, first: int) -> None:
    log = read(
        pl.DataFrame({"user": [1, 1], "item": [1, 2], "ts": [written] * 2}), time_format=pattern
    )
    assert facts(log)["times"] == [first] * 2


@pytest.mark.parametrize("pattern", ["dmy", "%H", ""])
def test_what_is_no_format_is_refused(pattern: str) -> None:
    with pytest.raises(DataError, match=f"--time-format '{pattern}'.*%d/%m/%Y"):
        read(pl.DataFrame({"user": [1], "item": [1], "ts": ["x"]}), time_format=pattern)


@pytest.mark.parametrize("until", ["2023-08-25", "20230825", 20230825])
def test_a_window_of_compact_dates(until: Any) -> None:
    log = pl.DataFrame({"user": [1, 2], "item": [1, 2], "ts": [20230824, 20230825]})
    assert facts(read(log, until=until))["times"] == [DAY]
    in_seconds = log.with_columns(ts=pl.Series([DAY, DAY + 86_400]))
    assert facts(read(in_seconds, until=until))["times"] == [DAY]


def test_a_date_does_not_bound_a_log_that_counts_years() -> None:
    log = pl.DataFrame({"user": [1, 2], "item": [1, 2], "date": [2021, 2023]})
    with pytest.raises(DataError, match="end at 2,023, so they do not count seconds"):
        read(log, until="2022-01-01")
    assert facts(read(log, until=2022))["times"] == [2021]


def test_times_are_written_as_dates() -> None:
    assert as_date(DAY) == "2023-08-24"
    assert as_date(HALF_PAST_THREE) == "2023-08-24 15:30:00"


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


def test_a_part_of_a_log_may_begin_after_the_row_2_32() -> None:
    frame = pl.DataFrame({"user": [1, 2], "item": [1, 2], "time": [" ", "01/02/2024"]})
    part = Source(frame.lazy(), "the log", first_row=2**32 + 5)
    with pytest.raises(DataError, match=r"'01/02/2024' \(row 4294967303\)"):
        recognise_times(part, "time")
