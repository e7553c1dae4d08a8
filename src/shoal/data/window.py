"""The time window of a log: since ≤ time < until."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from shoal.data.sources import Source
from shoal.data.time_formats import TimeFormat
from shoal.data.times import seconds
from shoal.errors import DataError

_COUNTS_SECONDS = 1e8  # from 1973 on; smaller times count something else
_COMPACT_DATE = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")


def time_window(
    source: Source,
    roles: Mapping[str, str],
    bounds: tuple[Any, Any],
    times: TimeFormat,
    latest_time: Callable[[], float],
) -> tuple[pl.Expr, str]:
    """Whether a row lies in the time window, and in words where the others lie.

    Parameters
    ----------
    source : Source
    roles : mapping of role to column name
    bounds : (since, until)
        Numbers or dates; None where there is no bound.
    times : TimeFormat
        How the log writes times.
    latest_time : callable
        Finds the latest time of the log, as a number.

    Raises
    ------
    DataError
        The log has no times, a bound is neither a number nor a date, or it is a date and the log
        does not count seconds since 1970.
    """
    since, until = bounds
    in_window, outside = pl.lit(value=True), []
    if since is None and until is None:
        return in_window, ""
    if "time" not in roles:
        raise DataError(f"{source.name} has no time column for since/until: --columns time=…")
    latest = latest_time()
    since, until = (_as_date(bound, times, latest) for bound in bounds)
    ticks = ticks_per_second(latest)
    if since is not None:
        in_window &= pl.col("time") >= _number(since, source, roles["time"], times, latest, ticks)
        outside.append(f"before {bounds[0]}")
    if until is not None:
        in_window &= pl.col("time") < _number(until, source, roles["time"], times, latest, ticks)
        outside.append(f"from {bounds[1]} on")
    return in_window, " and ".join(outside)


def ticks_per_second(latest: float) -> float:
    """Whether times count seconds, milli-, micro- or nanoseconds since 1970, by the latest one."""
    # the year 5138 in seconds is 1973 in milliseconds, and so on
    return next((ticks for ticks in (1e9, 1e6, 1e3) if latest > 1e8 * ticks), 1.0)


def latest_of(rows: pl.LazyFrame) -> float:
    """The latest time of rows with a column ``time`` of numbers; 0 if there is none."""
    times = rows.select(pl.col("time").cast(pl.Float64))
    return times.filter(pl.col("time").is_finite()).max().collect().item() or 0.0


def _as_date(bound: Any, times: TimeFormat, latest: float) -> Any:
    """A bound such as 20230824 as a date, if the log's times are dates or seconds since 1970."""
    text = str(bound).strip()
    if _COMPACT_DATE.fullmatch(text) and (times.is_date or latest > _COUNTS_SECONDS):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return bound


def _number(
    bound: Any, source: Source, column: str, times: TimeFormat, latest: float, ticks: float
) -> float:
    """A bound as the log counts time."""
    number = seconds(bound, ticks)
    try:
        float(bound)
    except (TypeError, ValueError):  # a date
        if not times.is_date and latest < _COUNTS_SECONDS < number:
            raise DataError(
                f"{source.name}: the times of column {column!r} end at {latest:,.10g}, so they do "
                f"not count seconds since 1970, and {bound} is a date: give a number for "
                "since/until, or say how times are written: --time-format %Y%m%d"
            ) from None
    return number
