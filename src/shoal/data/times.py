"""Values and times of a log as numbers, whatever their column holds."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from shoal.data.sources import Source
from shoal.errors import DataError

# ISO 8601, with a space for the T; without a zone it is UTC
_DATE_FORMATS = (
    *("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z"),
    *("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M%#z"),
)


def as_numbers(source: Source, column: str, role: str) -> pl.Expr:
    """A column as numbers: dates as seconds since 1970, null for what is no number.

    Parameters
    ----------
    source : Source
    column : str
        Name of the column in the log.
    role : {"value", "time"}
        Text that is a date is read as such for times only.

    Raises
    ------
    DataError
        The column has a type that holds no numbers, such as lists.
    """
    dtype = source.frame.collect_schema()[column]
    expression = pl.col(column)
    if isinstance(dtype, pl.Datetime | pl.Date):
        return expression.cast(pl.Datetime("us")).dt.timestamp("us") / 1e6
    if dtype == pl.String:
        return _numbers_of_text(expression, dates=role == "time")
    if dtype == pl.Object:
        return expression.map_batches(_numbers_of_objects, return_dtype=pl.Float64)
    if dtype.is_integer() and role == "time":
        return expression.cast(pl.Int64)
    if dtype.is_numeric() or dtype == pl.Boolean:
        return expression.cast(pl.Float64, strict=False)
    raise DataError(f"{source.name}: column {column!r} ({role}) has type {dtype}, not numbers")


def _numbers_of_text(column: pl.Expr, *, dates: bool) -> pl.Expr:
    """Text as numbers, and ISO dates as seconds since 1970 where they are asked for."""
    text = column.str.strip_chars()
    number = text.cast(pl.Float64, strict=False)
    if not dates:
        return number
    text = text.str.replace(r"^([0-9-]{10})T", "${1} ").str.replace(" UTC$", "Z")
    moments = (
        text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")
        for form in _DATE_FORMATS
    )
    return pl.coalesce(number, *(moment.dt.timestamp("us") / 1e6 for moment in moments))


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
