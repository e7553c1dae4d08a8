"""Values and times of a log as numbers, whatever their column holds."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from shoal.data.sources import Source
from shoal.data.time_formats import TimeFormat, text_of
from shoal.errors import DataError


def as_numbers(source: Source, column: str, role: str, times: TimeFormat | None = None) -> pl.Expr:
    """A column as numbers: dates as seconds since 1970, null for what is no number.

    Parameters
    ----------
    source : Source
    column : str
        Name of the column in the log.
    role : {"value", "time"}
        Text that is a date is read as such for times only.
    times : TimeFormat, optional
        How times are written.

    Raises
    ------
    DataError
        The column has a type that holds no numbers, such as lists.
    """
    dtype = source.frame.collect_schema()[column]
    expression = pl.col(column)
    if isinstance(dtype, pl.Datetime | pl.Date):
        return expression.cast(pl.Datetime("us")).dt.timestamp("us") / 1e6
    if role == "time" and times is not None and (times.compact or times.pattern):
        text = text_of(column, dtype)
        expression = expression.cast(pl.String) if text is None else text
        return times.seconds(expression)
    if dtype == pl.String:
        return (
            (times or TimeFormat()).seconds(expression) if role == "time" else _numbers(expression)
        )
    if dtype == pl.Object:
        return expression.map_batches(_numbers_of_objects, return_dtype=pl.Float64)
    if dtype.is_integer() and role == "time":
        return expression.cast(pl.Int64)
    if dtype.is_numeric() or dtype == pl.Boolean:
        return expression.cast(pl.Float64, strict=False)
    raise DataError(f"{source.name}: column {column!r} ({role}) has type {dtype}, not numbers")


def _numbers(column: pl.Expr) -> pl.Expr:
    """Text as numbers, where true counts 1 and false 0."""
    text = column.str.strip_chars()
    words = text.str.to_lowercase().replace_strict(
        {"true": 1.0, "false": 0.0}, default=None, return_dtype=pl.Float64
    )
    return pl.coalesce(text.cast(pl.Float64, strict=False), words)


def _numbers_of_objects(column: pl.Series) -> pl.Series:
    """Python's numbers and dates, as pandas hands them out; null for what is neither."""

    def number(value: Any) -> float | None:
        try:
            if isinstance(value, complex):  # NumPy would drop the imaginary part
                return None
            return seconds(value) if isinstance(value, date) else float(value)
        except (TypeError, ValueError, OverflowError):
            return None

    return pl.Series([number(value) for value in column.to_list()], dtype=pl.Float64)


def seconds(bound: float | str | date, ticks: float = 1) -> float:
    """A bound of a time window as the log counts time.

    Parameters
    ----------
    bound : number or ISO date
        A number is given back as it is.
    ticks : float
        How many units of the log make a second: 1000 if it counts milliseconds since 1970.

    Raises
    ------
    DataError
        Neither a number nor an ISO date.
    """
    try:
        number = math.nan if isinstance(bound, date) else float(bound)
        if not math.isnan(number):
            return number
    except (TypeError, ValueError):
        pass
    try:
        moment = datetime.fromisoformat(str(bound))
    except ValueError as error:
        raise DataError(f"{bound!r} is neither a number nor a date such as 2024-01-31") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp() * ticks


def as_date(time: float, ticks: float = 1) -> str:
    """A time that counts from 1970 as an ISO date, with hours where it is not midnight."""
    try:
        moment = datetime.fromtimestamp(time / ticks, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time}"
    if moment.hour == moment.minute == moment.second == 0:
        return moment.date().isoformat()
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")
