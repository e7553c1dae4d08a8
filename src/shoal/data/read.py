"""`read`: one function from any log to `Interactions`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from shoal.data import ids as ids_module
from shoal.data.columns import find_roles, is_rank
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.items import read_items
from shoal.data.prepare import Duplicates, Entries, prepare_entries
from shoal.data.report import PreparationStep
from shoal.data.sources import UNREADABLE, Source, explain, first_rows, open_source
from shoal.errors import DataError
from shoal.kernels.arrays import Int
from shoal.run import Progress, Silent

Missing = Literal["error", "drop"]
Values = Literal["binary", "keep"]

_LARGEST = 1e30  # a sum of such values still fits into float32
# ISO 8601, with a space for the T; without a zone it is UTC
_DATE_FORMATS = (
    *("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z"),
    *("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M%#z"),
)


def read(
    log: Any,
    *,
    columns: Mapping[str, str] | None = None,
    min_value: float | None = None,
    values: Values = "binary",
    duplicates: Duplicates = "last",
    missing: Missing = "error",
    since: float | str | None = None,
    until: float | str | None = None,
    min_item_users: int = 0,
    min_user_items: int = 0,
    k_core: int = 0,
    items: Any = None,
    vectors: Any = None,
    cold_items: bool = False,
    file_order: bool = False,
    progress: Progress | None = None,
) -> Interactions:
    """Read and prepare an interaction log.

    Parameters
    ----------
    log : path or frame
        CSV, TSV, JSON lines, Parquet, Arrow/Feather, ``.npz`` (scipy CSR), MovieLens ``::``
        files (also gzipped text, and patterns such as ``logs/*.parquet``); or a polars or pandas
        frame, an Arrow table, a scipy sparse matrix. Files are streamed: only the rows and
        columns that are kept take memory.
    columns : mapping of role to column name, optional
        Roles are ``user``, ``item``, ``value``, ``time``; those not given are guessed from
        common names, and the guess is in `notes` of the result. "none" leaves a role empty.
    min_value : float, optional
        Keep rows whose value is at least this (4 for "four stars and more").
    values : {"binary", "keep"}
        Whether kept rows count 1 each, or their value.
    duplicates : {"last", "first", "sum"}
        What to do with several rows of the same user and item: keep the latest or the earliest
        by time, or add the values. Equal times (or no times) go to the larger value for "last",
        the smaller for "first", so that the order of the rows never matters.
    missing : {"error", "drop"}
        What to do with rows that lack a user, an item, a value or a time. Blank lines of text
        files are no rows.
    since, until : number or ISO date, optional
        Keep since ≤ time < until: a number as the log counts time, or a date, in UTC unless it
        names a zone, for logs that count (milli-, micro-, nano-)seconds since 1970.
    min_item_users, min_user_items : int
        One pass each, in this order: items with at least so many users, then users with at
        least so many items (as the papers do).
    k_core : int
        Repeat until every user and every item has at least so many.
    items : path or frame, optional
        Item attributes: an id column named like the log's item column or ``item``, and any
        others (``title`` is shown beside ids).
    vectors : path, optional
        A vector for each item, which models such as L3AE read: Parquet with an id column and a
        column of lists, or ``.npy`` in the order of `items`.
    cold_items : bool
        Take items that have a vector and no interaction into the catalogue.
    file_order : bool
        Remember each interaction's row in the log; `split(protocol="mult-vae")` uses it.
    progress : Progress, optional

    Returns
    -------
    Interactions

    Raises
    ------
    DataError
        Missing or ambiguous columns, missing or non-numeric values, ids of mixed types, nothing
        left after filtering; the message names the file, the column, the row and the way out.
    """
    for name, choice, known in (
        ("values", values, Values),
        ("duplicates", duplicates, Duplicates),
        ("missing", missing, Missing),
    ):
        if choice not in get_args(known):
            raise DataError(f"{name}={choice!r}: give one of {', '.join(get_args(known))}")
    progress = progress or Silent()
    source = open_source(log)
    with progress.step(f"reading {source.name}"):
        try:
            names = source.frame.collect_schema().names()
            roles, notes = find_roles(source, names, columns)
            if (min_value is not None or values == "keep" or duplicates == "sum") and (
                "value" not in roles
            ):
                raise DataError(
                    f"{source.name} has no value column, which min_value, values='keep' and "
                    f"duplicates='sum' need; its columns: {', '.join(names)}. "
                    "Say which: --columns value=…"
                )
            rows = _rows(source, roles)
            window = _window(rows, source, roles, since, until)
            needed = [*roles, *(["row"] if file_order else [])]
            frame, steps = _collect(rows, source, roles, min_value, values, missing, window, needed)
        except DataError:
            raise
        except UNREADABLE as error:
            raise explain(source, error) from error
        entries = _encode(frame, source, values, file_order)
    with progress.step("preparing"):
        interactions = prepare_entries(
            entries,
            steps,
            duplicates=duplicates,
            min_item_users=min_item_users,
            min_user_items=min_user_items,
            k_core=k_core,
        )
        ranks = "time" in roles and is_rank(roles["time"])
        if ranks:
            notes.append(f"{roles['time']!r} is taken as the order of each user's own interactions")
        interactions = replace(
            interactions,
            notes=tuple(notes),
            preparation={"min_value": min_value, "values": values},
            times_are_ranks=ranks,
        )
        if vectors is not None:
            from shoal.data.vectors import Vectors  # the room beside, which reads tables with this

            order = items if Path(vectors).suffix.lower() == ".npy" else None
            given = Vectors.read(vectors, order)
            interactions = interactions.with_vectors(given.ids, given.matrix, add_items=cold_items)
        elif cold_items:
            raise DataError("cold items are known by their vectors: give them (--vectors FILE)")
        if items is not None:
            interactions = interactions.with_item_table(read_items(items, roles["item"]))
    return interactions


def _rows(source: Source, roles: Mapping[str, str]) -> pl.LazyFrame:
    """The columns in use under the names of their roles, and ``row``, counted from 0."""
    frame = source.frame.select(
        *(pl.col(roles[r]).alias(r) for r in ("user", "item")),
        *(_number(source, roles[r], r).alias(r) for r in ("value", "time") if r in roles),
    ).with_row_index("row")
    if source.typed:
        return frame
    text = (pl.col(r).str.strip_chars().replace("", None) for r in ("user", "item"))
    return frame.with_columns(text).filter(~pl.all_horizontal(pl.col(*roles).is_null()))


def _number(source: Source, column: str, role: str) -> pl.Expr:
    """The column as numbers; datetimes as seconds since 1970."""
    dtype = source.frame.collect_schema()[column]
    expression = pl.col(column)
    if isinstance(dtype, pl.Datetime | pl.Date):
        return expression.cast(pl.Datetime("us")).dt.timestamp("us") / 1e6
    if dtype == pl.String:
        text = expression.str.strip_chars()
        number = text.cast(pl.Float64, strict=False)
        if role == "value":
            return number
        text = text.str.replace(r"^([0-9-]{10})T", "${1} ").str.replace(" UTC$", "Z")
        dates = (
            text.str.to_datetime(f, strict=False, time_unit="us", time_zone="UTC")
            for f in _DATE_FORMATS
        )
        return pl.coalesce(number, *(d.dt.timestamp("us") / 1e6 for d in dates))
    if dtype == pl.Object:
        return expression.map_batches(_numbers_of_objects, return_dtype=pl.Float64)
    if dtype.is_integer() and role == "time":
        return expression.cast(pl.Int64)
    if dtype.is_numeric() or dtype == pl.Boolean:
        return expression.cast(pl.Float64, strict=False)
    raise DataError(f"{source.name}: column {column!r} ({role}) has type {dtype}, not numbers")


def _numbers_of_objects(column: pl.Series) -> pl.Series:
    """Python's numbers and dates, as pandas hands them out; null for what is neither."""

    def number(given: Any) -> float | None:
        try:
            if isinstance(given, complex):  # NumPy would drop the imaginary part
                return None
            return seconds(given) if isinstance(given, date) else float(given)
        except (TypeError, ValueError, OverflowError):
            return None

    return pl.Series([number(v) for v in column.to_list()], dtype=pl.Float64)


def seconds(bound: float | str | date, ticks: float = 1) -> float:
    """A bound of a time window as the log counts time.

    Parameters
    ----------
    bound : number or ISO date
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


def _window(
    rows: pl.LazyFrame,
    source: Source,
    roles: Mapping[str, str],
    since: float | str | None,
    until: float | str | None,
) -> tuple[pl.Expr, str]:
    """Whether a row lies in the time window, and what is said of those that do not."""
    inside, why, ticks = pl.lit(True), [], 1.0
    if since is None and until is None:
        return inside, ""
    if "time" not in roles:
        raise DataError(f"{source.name} has no time column for since/until: --columns time=…")
    if not all(isinstance(bound, int | float | None) for bound in (since, until)):
        times = rows.select(pl.col("time").cast(pl.Float64))
        latest = times.filter(pl.col("time").is_finite()).max().collect().item() or 0
        # the year 5138 in seconds is 1973 in milliseconds, and so on
        ticks = next((t for t in (1e9, 1e6, 1e3) if latest > 1e8 * t), 1.0)
    if since is not None:
        inside &= pl.col("time") >= seconds(since, ticks)
        why.append(f"before {since}")
    if until is not None:
        inside &= pl.col("time") < seconds(until, ticks)
        why.append(f"from {until} on")
    return inside, " and ".join(why)


def _collect(
    rows: pl.LazyFrame,
    source: Source,
    roles: Mapping[str, str],
    min_value: float | None,
    values: Values,
    missing: Missing,
    window: tuple[pl.Expr, str],
    needed: list[str],
) -> tuple[pl.DataFrame, list[PreparationStep]]:
    """Scan once: count what is missing or filtered, and keep the rest, of the columns needed."""
    schema = rows.collect_schema()
    lacking = {r: _lacking(r, schema[r]) for r in roles}
    complete = ~pl.any_horizontal(*lacking.values())
    high = pl.lit(True) if min_value is None else pl.col("value") >= min_value
    # judged as the float32 that they are kept as
    positive = pl.lit(True) if "value" not in roles else pl.col("value").cast(pl.Float32) > 0
    inside, outside = window
    counts, kept = pl.collect_all(
        [
            rows.select(
                pl.len().alias("all"),
                *(e.sum().alias(f"lacks {r}") for r, e in lacking.items()),
                complete.sum().alias("complete"),
                (complete & high).sum().alias("high"),
                (complete & high & ~positive).sum().alias("not positive"),
                (complete & high & inside).sum().alias("window"),
            ),
            rows.filter(complete & high & inside).select(needed),
        ],
        engine="streaming",
    )
    count = counts.row(0, named=True)
    if count["all"] == 0:
        raise DataError(f"{source.name} has no row")
    for role in roles:
        if count[f"lacks {role}"] and missing == "error":
            where = first_rows(rows, lacking[role])
            wrong = "missing" if role in ("user", "item") else "missing or not a finite number"
            leave_out = f", or leave the column out: --columns {role}=none"
            raise DataError(
                f"{source.name}: column {roles[role]!r} ({role}) is {wrong} in "
                f"{count[f'lacks {role}']:,} of {count['all']:,} rows, first in row "
                f"{', '.join(map(str, where))}. Mend them, drop them with missing='drop' "
                f"(--missing drop){leave_out if role in ('value', 'time') else ''}"
            )
    steps = []
    if count["complete"] < count["all"]:
        steps.append(
            PreparationStep("missing", count["all"], count["complete"], "a column has no value")
        )
    if min_value is not None:
        why = f"{roles['value']} below {min_value:g}"
        steps.append(PreparationStep("value", count["complete"], count["high"], why))
    if count["not positive"] and (min_value is None or values == "keep"):
        where = first_rows(rows, complete & high & ~positive)
        raise DataError(
            f"{source.name}: column {roles['value']!r} is zero or negative in "
            f"{count['not positive']:,} rows, first in row {', '.join(map(str, where))}; an "
            "interaction needs a positive one. Say what counts as one with min_value "
            "(--min-value 1), or ignore the column: --columns value=none"
        )
    if outside:
        steps.append(PreparationStep("time window", count["high"], count["window"], outside))
    return kept, steps


def _lacking(role: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(role)
    lacks = column.is_null()
    if role in ("value", "time"):
        lacks |= ~column.cast(pl.Float64).is_finite()
    elif dtype.is_float():
        lacks |= column.is_nan()
    return lacks | (column.abs() > _LARGEST) if role == "value" else lacks


def _encode(frame: pl.DataFrame, source: Source, values: Values, file_order: bool) -> Entries:
    """The columns as numbers; each is taken out of the frame, to let go of it."""
    coded: dict[str, tuple[Int, Ids]] = {}
    for role in ("user", "item"):
        codes, found = ids_module.encode(
            frame.drop_in_place(role), f"the {role} column of {source.name}"
        )
        numbers = None if source.typed else ids_module.text_to_numbers(found)
        if numbers is not None:
            rank, found = numbers
            codes = rank[codes]
        coded[role] = codes, found
    value = time = None
    if "value" in frame.columns:
        value = frame.drop_in_place("value").to_numpy().astype(np.float32)
    if "time" in frame.columns:
        time = frame.drop_in_place("time").to_numpy()
    if time is not None and time.dtype != np.int64:
        whole = (np.floor(time) == time) & (np.abs(time) < 2**63)
        time = time.astype(np.int64) if whole.all() else time
    return Entries(
        *coded["user"],
        *coded["item"],
        value=value,
        time=time,
        row=frame["row"].to_numpy().astype(np.int64) if file_order else None,
        keep_value=values == "keep",
        name=source.name,
    )
