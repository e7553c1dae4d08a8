"""How the times of a column are written: as numbers or dates, the day or the month first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from shoal.data.sources import Source
from shoal.errors import DataError

NUMBER = "number"  # the time format of columns that count, so that 20230824 is no date
_SAMPLE = 10_000  # rows that decide whether a column needs a closer look

# 20230824, also with hours, minutes and seconds; the years 1900 to 2099
_DAY = r"((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
_COMPACT = rf"^{_DAY}(?:[T_ ]?([01]\d|2[0-3])([0-5]\d)([0-5]\d)?)?(?:\.0+)?Z?$"
_PARTS = r"^(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4})(?:\D|$)"  # 24.08.2023 and 8/24/2023
_YEAR_FIRST = r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})"
_MONTH = r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"

# ISO 8601, with a space for the T; without a zone it is UTC
_ISO = (
    *("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z"),
    *("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M%#z"),
)
_TWELVE_HOURS = ("%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M %p")
_MONTH_NAMES = (
    *("%d %b %Y", "%d %b %Y %H:%M", "%d %b %Y %H:%M:%S", "%d %b %Y %H:%M:%S %z"),
    *("%b %d %Y", "%b %d %Y %H:%M", "%b %d %Y %H:%M:%S", "%b %d %Y %H:%M:%S %z"),
    *("%b %d %H:%M:%S %Y", "%b %d %H:%M:%S %z %Y"),
)


@dataclass(frozen=True)
class TimeFormat:
    """How a column of times is read.

    Parameters
    ----------
    is_date : bool
        Whether its entries are dates, which become seconds since 1970.
    order : {"", "day", "month"}
        Which part of dates such as 08/09/2023 stands first, if there are such dates.
    compact : bool
        Whether numbers such as 20230824 are dates.
    named_months, twelve_hours, year_first : bool
        Whether there are dates such as 24 Aug 2023, hours such as 3:30 PM, dates such as 2023/8/24.
    pattern : str
        What the user gave (``%d/%m/%y``); nothing else is tried then.
    notes : tuple of str
        What was concluded from the entries, in words for the user.
    """

    is_date: bool = False
    order: str = ""
    compact: bool = False
    named_months: bool = False
    twelve_hours: bool = False
    year_first: bool = False
    pattern: str = ""
    notes: tuple[str, ...] = ()

    def seconds(self, text: pl.Expr) -> pl.Expr:
        """Texts as seconds since 1970 or as the numbers that they are; null for anything else."""
        text = text.str.strip_chars()
        if self.pattern:
            return _seconds(text, self.pattern)
        if self.compact:
            text = text.str.replace(_COMPACT, "${1}-${2}-${3} ${4}:${5}:${6}")
            text = text.str.replace(r" ::$", "").str.replace(r":$", "")
        if self.order:
            day_first = "${4}-${3}-${1}" if self.order == "day" else "${4}-${1}-${3}"
            text = text.str.replace(_PARTS[: -len(r"(?:\D|$)")], day_first)
        if self.year_first:
            text = text.str.replace(_YEAR_FIRST, "${1}-${2}-${3}")
        formats: tuple[str, ...] = _ISO
        if self.twelve_hours:
            formats += _TWELVE_HOURS
        if self.named_months:
            text, formats = _plain_months(text), formats + _MONTH_NAMES
        text = text.str.replace(r"^(\d{4}-\d{1,2}-\d{1,2})T", "${1} ").str.replace(" UTC$", "Z")
        moments = [_seconds(text, form) for form in formats]
        if self.compact:  # a number that is no date is an error
            return pl.coalesce(*moments)
        return pl.coalesce(text.cast(pl.Float64, strict=False), *moments)


def _seconds(text: pl.Expr, form: str) -> pl.Expr:
    moment = text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")
    return moment.dt.timestamp("us") / 1e6


def _plain_months(text: pl.Expr) -> pl.Expr:
    """Thu, 24-Aug-2023 15:30 GMT → 24 Aug 2023 15:30."""
    text = text.str.replace(r"(?i)^(mon|tue|wed|thu|fri|sat|sun)[a-z]*\b", "")
    text = text.str.replace(
        r"^\s*,?\s*(\d{1,2})[/-]([A-Za-z]{3,9})[/-](\d{4}):?", "${1} ${2} ${3} "
    )
    text = text.str.replace(_MONTH, "${1}").str.replace_all(r"[,\s]+", " ").str.strip_chars()
    return text.str.replace(r" (GMT|UTC|Z)$", "")


def recognise_times(source: Source, column: str, given: str | None = None) -> TimeFormat:
    """Find out how the times of a column are written.

    Parameters
    ----------
    source : Source
    column : str
    given : str, optional
        What the user says: ``number``, or a pattern such as ``%d/%m/%Y %H:%M``.

    Raises
    ------
    DataError
        Dates whose day and month cannot be told apart, or a pattern that is none.
    """
    dtype = source.frame.collect_schema()[column]
    if isinstance(dtype, pl.Date | pl.Datetime):
        return TimeFormat(is_date=True)
    if given is not None and given != NUMBER:
        return _given(given)
    text = text_of(column, dtype)
    if given == NUMBER or text is None:
        return TimeFormat()
    seen = _count(_entries(source, column).head(_SAMPLE))
    if not seen["entries"]:
        return TimeFormat()
    # of a few numbers that are no dates among many that are, the log is refused later
    compact = seen["compact"] > 0 and 2 * seen["compact digits"] >= seen["digits"]
    if compact and seen["digits"]:  # the head of a file may look so by chance
        counts = source.ask(partial(_count_all, column))
        n_compact, n_digits = (
            sum(part[kind] for part in counts) for kind in ("compact digits", "digits")
        )
        compact = 2 * n_compact >= n_digits
    order, notes = _order(source, column) if seen["parts"] else ("", [])
    if compact:
        dates = _entries(source, column).filter(pl.col("text").str.contains(_COMPACT))
        first = dates.head(1).collect()["text"].item()
        notes.append(
            f"{column!r}: {first} is read as the date {first[:4]}-{first[4:6]}-{first[6:8]} "
            "(--time-format number: as a number)"
        )
    return TimeFormat(
        is_date=compact or seen["digits"] < seen["entries"],
        order=order,
        compact=compact,
        named_months=seen["months"] > 0,
        twelve_hours=seen["twelve"] > 0,
        year_first=seen["year first"] > 0,
        notes=tuple(notes),
    )


def _entries(source: Source, column: str) -> pl.LazyFrame:
    """The entries of a column as texts that are not empty, and the row of each."""
    text = text_of(column, source.frame.collect_schema()[column])
    if text is None:
        raise TypeError(f"{column!r} holds neither text nor numbers")
    entries = source.frame.select(text.str.strip_chars().alias("text")).with_row_index("row")
    row = pl.col("row").cast(pl.Int64) + source.first_row  # which may be above 2³²
    return entries.with_columns(row).filter(pl.col("text") != "")


def text_of(column: str, dtype: pl.DataType) -> pl.Expr | None:
    """A column of text or whole numbers as text; None for a column of another kind."""
    if dtype == pl.String:
        return pl.col(column)
    if dtype.is_integer():
        return pl.col(column).cast(pl.String)
    if dtype.is_float():  # whole numbers with gaps, as pandas has them
        return pl.col(column).cast(pl.Int64, strict=False).cast(pl.String)
    return None


def _given(pattern: str) -> TimeFormat:
    advice = "give `number`, or a pattern such as %d/%m/%Y or %Y%m%d %H:%M"
    if "%" not in pattern:
        raise DataError(f"--time-format {pattern!r}: {advice}")
    try:
        probe = pl.DataFrame({"text": ["x"]}).select(_seconds(pl.col("text"), pattern))
        del probe
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"--time-format {pattern!r}: {reason}; {advice}") from error
    return TimeFormat(is_date=True, pattern=pattern)


def _count_all(column: str, source: Source) -> dict[str, int]:
    """How many entries of a column are written in which way."""
    return _count(_entries(source, column))


def _count(entries: pl.LazyFrame) -> dict[str, int]:
    """How many entries are written in which way."""
    text = pl.col("text")
    kinds = {
        "digits": r"^[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?$",
        "compact": _COMPACT,
        "parts": _PARTS,
        "year first": _YEAR_FIRST,
        "months": _MONTH,
        "twelve": r"(?i)[ap]m$",
    }
    counts = entries.select(
        pl.len().alias("entries"),
        *(text.str.contains(p).sum().alias(k) for k, p in kinds.items()),
        (text.str.contains(_COMPACT) & text.str.contains(kinds["digits"]))
        .sum()
        .alias("compact digits"),
    )
    return dict(counts.collect(engine="streaming").row(0, named=True))


def _dates_in_parts(column: str, source: Source) -> dict[str, Any]:
    """What the dates such as 24.08.2023 of a column are like, and the first of them."""
    parts = _entries(source, column).select(
        "row",
        "text",
        *(pl.col("text").str.extract(_PARTS, k).alias(n) for n, k in _GROUPS.items()),
    )
    parts = parts.filter(pl.col("first").is_not_null()).with_columns(
        pl.col("first", "second").cast(pl.Int64)
    )
    return dict(
        parts.select(
            pl.col("text").first(),
            pl.col("row").first(),
            pl.col("first", "second").max().name.prefix("max "),
            (pl.col("sign") == ".").all().alias("dots"),
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )


def _order(source: Source, column: str) -> tuple[str, list[str]]:
    """Whether the day or the month stands first in dates such as 24.08.2023."""
    parts = [part for part in source.ask(partial(_dates_in_parts, column)) if part["text"]]
    text, row = parts[0]["text"], parts[0]["row"]
    latest = {name: max(part[f"max {name}"] for part in parts) for name in ("first", "second")}
    ways = "--time-format %d/%m/%Y (day first) or --time-format %m/%d/%Y (month first)"
    ways = ways.replace("/", re.sub(r"\d", "", text)[:1])
    day_first, month_first = latest["first"] > 12, latest["second"] > 12
    if day_first and month_first:
        raise DataError(
            f"{source.name}: the dates of column {column!r} have the day first and the month "
            f"first: {latest['first']} and {latest['second']} both stand where a month "
            f"could; the first date is {text!r}. Write them alike, or read one kind: {ways}"
        )
    if month_first:
        return "month", [f"{column!r}: dates such as {text} are read with the month first"]
    if day_first or all(part["dots"] for part in parts):
        return "day", [f"{column!r}: dates such as {text} are read with the day first"]
    raise DataError(
        f"{source.name}: column {column!r} holds dates such as {text!r} (row "
        f"{row + 1}), and none shows whether the day or the "
        f"month is first. Say it: {ways}"
    )


_GROUPS = {"first": 1, "sign": 2, "second": 3}
