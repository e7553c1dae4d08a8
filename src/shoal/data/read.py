"""`read`: one function from any log to `Interactions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shoal.data import ids as ids_module
from shoal.data.columns import find_roles
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions, Step
from shoal.data.prepare import Duplicates, Entries, prepare_entries
from shoal.data.sources import Source, first_rows, open_source
from shoal.errors import DataError
from shoal.run import Progress, Silent

Missing = Literal["error", "drop"]
Values = Literal["binary", "keep"]


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
        What to do with rows that lack a user, an item, a value or a time.
    since, until : number or ISO date, optional
        Keep since ≤ time < until.
    min_item_users, min_user_items : int
        One pass each, in this order: items with at least so many users, then users with at
        least so many items (as the papers do).
    k_core : int
        Repeat until every user and every item has at least so many.
    items : path or frame, optional
        Item attributes: an id column named like the log's item column or ``item``, and any
        others (``title`` is shown beside ids).
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
    progress = progress or Silent()
    source = open_source(log)
    with progress.step(f"reading {source.name}"):
        try:
            frame, notes, steps = _collect(
                source, columns, min_value, values, missing, since, until, duplicates
            )
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{source.name} cannot be parsed: {str(error).splitlines()[0]}") from (
                error
            )
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
        interactions = replace(interactions, notes=tuple(notes))
        if items is not None:
            interactions = interactions.with_item_table(read_items(items))
    return interactions


def read_items(table: Any) -> pl.DataFrame:
    """Read item attributes; the id column is renamed to ``item``.

    Raises
    ------
    DataError
        No column can be recognised as the item id.
    """
    source = open_source(table)
    if not source.has_header:
        raise DataError(f"{source.name}: an item table needs a header that names its columns")
    names = source.frame.collect_schema().names()
    # the id is looked for as in a log; a log's other roles mean nothing here
    roles, _ = find_roles(source, ["user", *names], {"user": "user"} if "user" in names else None)
    frame = source.frame.collect().rename({roles["item"]: "item"})
    return frame.filter(pl.col("item").is_not_null())


def _number(source: Source, column: str, role: str) -> pl.Expr:
    """The column as numbers; datetimes as seconds since 1970."""
    dtype = source.frame.collect_schema()[column]
    expression = pl.col(column)
    if isinstance(dtype, pl.Datetime | pl.Date):
        return expression.cast(pl.Datetime("us")).dt.timestamp("us") / 1e6
    if dtype == pl.String and role == "time":
        # ISO 8601 with or without time, else a number written as text
        dates = expression.str.to_datetime(strict=False, time_unit="us", time_zone="UTC")
        return pl.coalesce(
            expression.cast(pl.Float64, strict=False), dates.dt.timestamp("us") / 1e6
        )
    if dtype.is_integer() and role == "time":
        return expression.cast(pl.Int64)
    if dtype.is_numeric() or dtype in (pl.String, pl.Boolean):
        return expression.cast(pl.Float64, strict=False)
    raise DataError(f"{source.name}: column {column!r} ({role}) has type {dtype}, not numbers")


def seconds(bound: float | str, times_in_ms: bool = False) -> float:
    """A bound of a time window as the log counts time.

    Parameters
    ----------
    bound : number or ISO date
    times_in_ms : bool
        Whether the log counts milliseconds since 1970.

    Raises
    ------
    DataError
        Neither a number nor an ISO date.
    """
    try:
        return float(bound)
    except ValueError:
        pass
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(str(bound))
    except ValueError as error:
        raise DataError(f"{bound!r} is neither a number nor a date such as 2024-01-31") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp() * (1000 if times_in_ms else 1)


def _collect(
    source: Source,
    columns: Mapping[str, str] | None,
    min_value: float | None,
    values: Values,
    missing: Missing,
    since: float | str | None,
    until: float | str | None,
    duplicates: Duplicates,
) -> tuple[pl.DataFrame, list[str], list[Step]]:
    """Scan once: count what is missing or filtered, and keep the rest."""
    names = source.frame.collect_schema().names()
    roles, notes = find_roles(source, names, columns)
    needs_value = min_value is not None or values == "keep" or duplicates == "sum"
    if needs_value and "value" not in roles:
        raise DataError(
            f"{source.name} has no value column, which min_value, values='keep' and "
            f"duplicates='sum' need; its columns: {', '.join(names)}. "
            "Say which: --columns value=…"
        )
    if (since is not None or until is not None) and "time" not in roles:
        raise DataError(f"{source.name} has no time column for since/until: --columns time=…")

    frame = source.frame.with_row_index("row").select(
        pl.col("row"),
        *(pl.col(roles[r]).alias(r) for r in ("user", "item")),
        *(_number(source, roles[r], r).alias(r) for r in ("value", "time") if r in roles),
    )
    if not source.typed:
        frame = frame.with_columns(
            *(pl.col(r).str.strip_chars().replace("", None) for r in ("user", "item"))
        )
    lacking = {r: _lacking(r) for r in roles}
    complete = ~pl.any_horizontal(*lacking.values())
    high = pl.lit(True) if min_value is None else pl.col("value") >= min_value
    times_in_ms = False
    if "time" in roles and any(isinstance(b, str) for b in (since, until)):
        top = frame.select(pl.col("time").max()).collect().item()
        times_in_ms = top is not None and top > 1e11
    window = pl.lit(True)
    if since is not None:
        window &= pl.col("time") >= seconds(since, times_in_ms)
    if until is not None:
        window &= pl.col("time") < seconds(until, times_in_ms)

    positive = pl.lit(True) if "value" not in roles else pl.col("value") > 0
    counts, kept = pl.collect_all(
        [
            frame.select(
                pl.len().alias("all"),
                *(e.sum().alias(f"lacks {r}") for r, e in lacking.items()),
                complete.sum().alias("complete"),
                (complete & high).sum().alias("high"),
                (complete & high & ~positive).sum().alias("not positive"),
                (complete & high & window).sum().alias("window"),
            ),
            frame.filter(complete & high & window),
        ],
        engine="streaming",
    )
    count = counts.row(0, named=True)
    if count["all"] == 0:
        raise DataError(f"{source.name} has no row")
    steps = []
    for role in roles:
        if count[f"lacks {role}"] and missing == "error":
            rows = first_rows(frame.drop("row"), lacking[role])
            raise DataError(
                f"{source.name}: column {roles[role]!r} ({role}) is missing or not a number in "
                f"{count[f'lacks {role}']:,} of {count['all']:,} rows, first in row "
                f"{', '.join(map(str, rows))}. Mend them, drop them with missing='drop' "
                "(--missing drop)"
                + (
                    f", or leave the column out: --columns {role}=none"
                    if role in ("value", "time")
                    else ""
                )
            )
    if count["complete"] < count["all"]:
        steps.append(Step("missing", count["all"], count["complete"], "a column has no value"))
    if min_value is not None:
        steps.append(
            Step("value", count["complete"], count["high"], f"{roles['value']} below {min_value:g}")
        )
    if count["not positive"] and (min_value is None or values == "keep"):
        rows = first_rows(frame.drop("row"), complete & high & ~positive)
        raise DataError(
            f"{source.name}: column {roles['value']!r} is zero or negative in "
            f"{count['not positive']:,} rows, first in row {', '.join(map(str, rows))}; an "
            "interaction needs a positive one. Say what counts as one with min_value "
            "(--min-value 1), or ignore the column: --columns value=none"
        )
    if since is not None or until is not None:
        why = " and ".join(
            s
            for s in (
                since is not None and f"before {since}",
                until is not None and f"from {until} on",
            )
            if s
        )
        steps.append(Step("time window", count["high"], count["window"], why))
    return kept, notes, steps


def _lacking(role: str) -> pl.Expr:
    column = pl.col(role)
    if role in ("value", "time"):
        return column.is_null() | column.cast(pl.Float64).is_nan()
    return column.is_null()


def _encode(frame: pl.DataFrame, source: Source, values: Values, file_order: bool) -> Entries:
    coded: dict[str, tuple[NDArray[np.int32], Ids]] = {}
    for role in ("user", "item"):
        column = frame[role]
        if column.dtype.is_float() and column.is_nan().any():
            row = int(frame["row"][int(column.is_nan().arg_max() or 0)]) + 1
            raise DataError(f"{source.name}: the {role} of row {row} is NaN")
        codes, found = ids_module.encode(column, f"the {role} column of {source.name}")
        numbers = None if source.typed else ids_module.text_to_numbers(found)
        if numbers is not None:
            rank, found = numbers
            codes = rank[codes]
        coded[role] = codes, found
    value = frame["value"].to_numpy().astype(np.float32) if "value" in frame.columns else None
    time = frame["time"].to_numpy() if "time" in frame.columns else None
    if time is not None and time.dtype != np.int64 and np.equal(np.floor(time), time).all():
        time = time.astype(np.int64)
    return Entries(
        *coded["user"],
        *coded["item"],
        value=value,
        time=time,
        row=frame["row"].to_numpy().astype(np.int64) if file_order else None,
        keep_value=values == "keep",
        name=source.name,
    )
