"""One pass over a log: the rows that can be used and are asked for, and a count of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import polars as pl

from shoal.data.columns import EVENT, ROLES
from shoal.data.placeholders import count_placeholders, judge_placeholders
from shoal.data.report import PreparationStep
from shoal.data.sources import Source, first_rows
from shoal.data.time_formats import TimeFormat
from shoal.data.times import as_numbers
from shoal.data.where import parse_where
from shoal.data.window import time_window
from shoal.errors import DataError

Missing = Literal["error", "drop"]
Values = Literal["binary", "keep", "log1p"]

_LARGEST = 1e30  # the largest value of an interaction: sums of such values fit into float32


@dataclass(frozen=True)
class RowRules:
    """Which rows of a log to keep; the parameters are those of `shoal.read`."""

    min_value: float | None = None
    values: Values = "binary"
    missing: Missing = "error"
    since: float | str | None = None
    until: float | str | None = None
    where: str | None = None
    weights: Mapping[str, float] | None = None


@dataclass(frozen=True)
class _Filter:
    """A condition that some rows do not fulfil, as an expression over the columns of the scan.

    Parameters
    ----------
    name, why : str
        What the step is called in the report, and what is wrong with the rows left out.
    keep : expression
        Whether a row is kept.
    always_said : bool
        Whether the report has the step even if it left nothing out.
    """

    name: str
    keep: pl.Expr
    why: str
    always_said: bool = True


def scan(
    source: Source,
    roles: Mapping[str, str],
    rules: RowRules,
    *,
    times: TimeFormat | None = None,
    file_order: bool = False,
) -> tuple[pl.DataFrame, list[PreparationStep], list[str]]:
    """Read the rows of a log that are complete and within the rules.

    Parameters
    ----------
    source : Source
    roles : mapping of role to column name
        From `find_roles`.
    rules : RowRules
    times : TimeFormat, optional
        How the times are written.
    file_order : bool
        Whether to keep each row's number in a column ``row``, counted from 0.

    Returns
    -------
    frame : DataFrame
        Columns ``user``, ``item``, and ``value``, ``time`` and ``row`` where there are such.
    steps : list of PreparationStep
        How many rows were left out, and why.
    notes : list of str
        What a person should know about the ids.

    Raises
    ------
    DataError
        No row; entries that are missing and not to be dropped, or values that are not positive;
        a time window for a log without times.
    """
    times = times or TimeFormat()
    rows = rows_by_role(source, roles, rules, times)
    named = [role for role in ROLES if role in roles or (role == "value" and rules.weights)]
    columns = [*named, *(["row"] if file_order else [])]
    filters = _filters(rows, source, roles, rules, times)
    counts, frame = _collect(rows, roles, filters, columns)
    if counts["all"] == 0:
        raise DataError(f"{source.name} has no row")
    placeholders, notes = judge_placeholders(rows, filters[0].keep, counts)
    if placeholders:  # read again, with these entries empty
        rows = rows.with_columns(
            pl.when(~pl.col(role).is_in(words)).then(pl.col(role)).alias(role)
            for role, words in placeholders.items()
        )
        filters = _filters(rows, source, roles, rules, times)
        counts, frame = _collect(rows, roles, filters, columns)
    if rules.missing == "error":
        _refuse_missing(rows, source, roles, filters[0].keep, counts)
    if rules.values == "log1p" or (rules.values == "binary" and rules.min_value is None):
        _refuse_not_positive(rows, source, roles, rules, filters, counts)
    return frame, _steps(filters, counts), notes


def rows_by_role(
    source: Source, roles: Mapping[str, str], rules: RowRules, times: TimeFormat
) -> pl.LazyFrame:
    """The columns in use under the names of their roles, ``row`` (from 0), and ``chosen``."""
    schema = source.frame.collect_schema()
    chosen, event = pl.lit(value=True), []
    if rules.where is not None:
        chosen = parse_where(rules.where).expression(schema).fill_null(value=False)
    if rules.weights is not None:
        event = _weighted(roles[EVENT], rules.weights)
    frame = source.frame.select(
        *(pl.col(roles[role]).alias(role) for role in ("user", "item")),
        *(
            as_numbers(source, roles[role], role, times).alias(role)
            for role in ("value", "time")
            if role in roles
        ),
        *event,
        chosen.alias("chosen"),
    ).with_row_index("row")
    if source.typed:
        return frame
    ids = (pl.col(role).str.strip_chars().replace("", None) for role in ("user", "item"))
    in_use = [role for role in ("user", "item", "value", "time", EVENT) if role in roles]
    return frame.with_columns(ids).filter(~pl.all_horizontal(pl.col(*in_use).is_null()))


def _weighted(column: str, weights: Mapping[str, float]) -> list[pl.Expr]:
    """The event of each row, and its weight as the row's value: null for other events."""
    event = pl.col(column).cast(pl.String).str.strip_chars().replace("", None)
    value = event.replace_strict(dict(weights), default=None, return_dtype=pl.Float64)
    return [event.alias(EVENT), value.alias("value")]


def _filters(
    rows: pl.LazyFrame,
    source: Source,
    roles: Mapping[str, str],
    rules: RowRules,
    times: TimeFormat,
) -> list[_Filter]:
    """What a row must fulfil, in the order of the report; the first two are always there."""
    schema, always = rows.collect_schema(), pl.lit(value=True)
    lacking = [_lacking(role, schema[role]) for role in roles]
    filters = [
        _Filter("where", pl.col("chosen"), f"not {rules.where}", rules.where is not None),
        _Filter(
            "missing", ~pl.any_horizontal(*lacking), "a column has no value", always_said=False
        ),
        _Filter("event", always, "", always_said=False),
        _Filter("value", always, "", always_said=False),
    ]
    if rules.weights is not None:
        others = f"{roles[EVENT]} is none of {', '.join(rules.weights)}"
        filters[2] = _Filter("event", pl.col("value").is_not_null(), others)
    if rules.min_value is not None:
        name = roles.get("value", "weight")
        too_low = f"{name} below {rules.min_value:g}"
        filters[3] = _Filter("value", pl.col("value") >= rules.min_value, too_low)
    in_window, outside = time_window(rows, source, roles, (rules.since, rules.until), times)
    return [*filters, _Filter("time window", in_window, outside, bool(outside))]


def _lacking(role: str, dtype: pl.DataType) -> pl.Expr:
    """Whether the entry of a row is missing, or no number where one is needed."""
    column = pl.col(role)
    lacks = column.is_null()
    if role in ("value", "time"):
        lacks |= ~column.cast(pl.Float64).is_finite()
    elif dtype.is_float():
        lacks |= column.is_nan()
    return lacks | (column.abs() > _LARGEST) if role == "value" else lacks


def _collect(
    rows: pl.LazyFrame, roles: Mapping[str, str], filters: list[_Filter], columns: list[str]
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Count the rows that each filter leaves, and keep those that all leave, in one pass."""
    schema = rows.collect_schema()
    left = list(accumulate((f.keep for f in filters), lambda a, b: a & b))
    not_positive = left[_VALUE] & ~_positive() if "value" in columns else pl.lit(value=False)
    counts, frame = pl.collect_all(
        [
            rows.select(
                pl.len().alias("all"),
                *(
                    (_lacking(role, schema[role]) & left[0]).sum().alias(f"lacks {role}")
                    for role in roles
                ),
                *count_placeholders(schema),
                *(keep.sum().alias(f.name) for f, keep in zip(filters, left, strict=True)),
                not_positive.sum().alias("not positive"),
            ),
            rows.filter(left[-1]).select(columns),
        ],
        engine="streaming",
    )
    return counts.row(0, named=True), frame


_VALUE = 3  # the place of the filter by value


def _positive() -> pl.Expr:
    """Whether a value is above zero as the float32 that it is kept as."""
    return pl.col("value").cast(pl.Float32) > 0


def _refuse_missing(
    rows: pl.LazyFrame,
    source: Source,
    roles: Mapping[str, str],
    chosen: pl.Expr,
    counts: Mapping[str, Any],
) -> None:
    schema = rows.collect_schema()
    for role, column in roles.items():
        n_lacking = counts[f"lacks {role}"]
        if not n_lacking:
            continue
        where = first_rows(rows, _lacking(role, schema[role]) & chosen)
        is_number = role in ("value", "time")
        wrong = "missing or not a finite number" if is_number else "missing"
        leave_out = f", or leave the column out: --columns {role}=none" if is_number else ""
        if role == "time":
            wrong = "missing, or neither a number nor a date that is known"
            leave_out += ", or say how times are written: --time-format %d/%m/%Y"
        raise DataError(
            f"{source.name}: column {column!r} ({role}) is {wrong} in {n_lacking:,} of "
            f"{counts['all']:,} rows, first in row {', '.join(map(str, where))}"
            f"{_what_stands_there(source, column, where[0])}. Mend them, drop "
            f"them with missing='drop' (--missing drop){leave_out}"
        )


def _what_stands_there(source: Source, column: str, row: int) -> str:
    """The entry of a row, counted from 1, for a message; nothing if it is empty."""
    entry = source.frame.select(column).slice(row - 1, 1).collect()[column].to_list()
    return f" ({entry[0]!r:.60})" if entry and entry[0] is not None else ""


def _refuse_not_positive(
    rows: pl.LazyFrame,
    source: Source,
    roles: Mapping[str, str],
    rules: RowRules,
    filters: list[_Filter],
    counts: Mapping[str, Any],
) -> None:
    if not counts["not positive"]:
        return
    wrong = ~_positive()
    for condition in filters[: _VALUE + 1]:
        wrong &= condition.keep
    where = first_rows(rows, wrong)
    lowest = rows.filter(wrong).select(pl.col("value").min()).collect().item()
    if rules.values == "log1p":
        ways = "Choose rows by min_value (--min-value 1): a logarithm is for counts"
    elif lowest < 0:
        ways = (
            "Say from which value on a row is a liking: min_value (--min-value X); keep ratings as "
            "they are for a model of ratings: values='keep' (--values keep); or ignore the column: "
            "--columns value=none"
        )
    else:
        ways = (
            "Say what counts as one with min_value (--min-value 1), or ignore the column: "
            "--columns value=none"
        )
    raise DataError(
        f"{source.name}: column {roles.get('value')!r} is zero or negative in "
        f"{counts['not positive']:,} rows, first in row {', '.join(map(str, where))}; an "
        f"interaction needs a positive one. {ways}"
    )


def _steps(filters: list[_Filter], counts: Mapping[str, Any]) -> list[PreparationStep]:
    """What was left out, step by step."""
    steps, before = [], counts["all"]
    for condition in filters:
        after = counts[condition.name]
        if condition.always_said or after < before:
            steps.append(PreparationStep(condition.name, before, after, condition.why))
        before = after
    return steps
