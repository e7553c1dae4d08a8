"""One pass over a log: the rows that can be used and are asked for, and a count of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any, Literal

import polars as pl

from shoal.data.columns import EVENT, ROLES
from shoal.data.pieces import ROWS, Budget, collect_in_pieces
from shoal.data.placeholders import judge_placeholders, placeholder_flags
from shoal.data.report import PreparationStep
from shoal.data.sources import Source, first_rows
from shoal.data.time_formats import TimeFormat
from shoal.data.times import as_numbers
from shoal.data.where import parse_where
from shoal.data.window import time_window
from shoal.errors import DataError, NoRowsError

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
    memory: int | None = None,
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
    memory : int, optional
        Bytes that the rows and their numbering may take; by default 80 % of what is free.

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
    MemoryBudgetError
        The rows that are kept do not fit the memory.
    """
    budget = Budget.of(source.name, memory)
    times = times or TimeFormat()
    rows = rows_by_role(source, roles, rules, times)
    named = [role for role in ROLES if role in roles or (role == "value" and rules.weights)]
    columns = [*named, *(["row"] if file_order else [])]
    filters = _filters(rows, source, roles, rules, times)
    pieces = partial(_pieces, source, roles, rules, times)
    counts, frame = _collect(pieces, roles, rows.collect_schema(), filters, columns, budget)
    if counts["all"] == 0:
        raise NoRowsError(f"{source.name} has no row")
    placeholders, notes = judge_placeholders(rows, filters[0].keep, counts)
    if placeholders:  # read again, with these entries empty
        empty = [
            pl.when(~pl.col(role).is_in(words)).then(pl.col(role)).alias(role)
            for role, words in placeholders.items()
        ]
        rows = rows.with_columns(empty)
        filters = _filters(rows, source, roles, rules, times)
        emptied = partial(pieces, empty)
        counts, frame = _collect(emptied, roles, rows.collect_schema(), filters, columns, budget)
    if rules.missing == "error":
        _refuse_missing(rows, source, roles, filters[0].keep, counts)
    if rules.values == "log1p" or (rules.values == "binary" and rules.min_value is None):
        _refuse_not_positive(rows, source, roles, rules, filters, counts)
    return frame, _steps(filters, counts), notes


def _pieces(
    source: Source,
    roles: Mapping[str, str],
    rules: RowRules,
    times: TimeFormat,
    change: Sequence[pl.Expr] = (),
) -> Iterator[pl.LazyFrame]:
    """The rows of `rows_by_role`, some at a time, with some columns changed.

    Only plain columns are streamed by polars: some expressions make it hold the whole log first.
    """
    used = set(roles.values())
    if rules.where is not None:
        condition = parse_where(rules.where).expression(source.frame.collect_schema())
        used |= set(condition.meta.root_names())
    batches = source.frame.select(sorted(used)).collect_batches(
        chunk_size=ROWS, maintain_order=True, engine="streaming"
    )
    n_rows = 0
    for batch in batches:
        piece = replace(source, frame=batch.lazy())
        yield rows_by_role(piece, roles, rules, times, n_rows).with_columns(change)
        n_rows += len(batch)


def rows_by_role(
    source: Source,
    roles: Mapping[str, str],
    rules: RowRules,
    times: TimeFormat,
    first_row: int = 0,
) -> pl.LazyFrame:
    """The columns in use under the names of their roles, ``row`` (from 0), and ``chosen``."""
    source = _with_decimal_points(source, roles)
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
    ).with_row_index("row", first_row)
    if source.typed:
        return frame
    ids = (_not_blank(pl.col(role)).alias(role) for role in ("user", "item"))
    in_use = [role for role in ("user", "item", "value", "time", EVENT) if role in roles]
    return frame.with_columns(ids).filter(~pl.all_horizontal(pl.col(*in_use).is_null()))


def _not_blank(text: pl.Expr) -> pl.Expr:
    """Text without outer spaces; null if nothing is left."""
    stripped = text.str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _with_decimal_points(source: Source, roles: Mapping[str, str]) -> Source:
    """The source with 3,5 in its columns of values and times read as 3.5."""
    columns = [
        roles[role] for role in ("value", "time") if roles.get(role) in source.decimal_commas
    ]
    points = [pl.col(column).str.replace(",", ".", literal=True) for column in columns]
    return replace(source, frame=source.frame.with_columns(points)) if points else source


def _weighted(column: str, weights: Mapping[str, float]) -> list[pl.Expr]:
    """The event of each row, and its weight as the row's value: null for other events."""
    event = _not_blank(pl.col(column).cast(pl.String))
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
    pieces: Callable[[], Iterator[pl.LazyFrame]],
    roles: Mapping[str, str],
    schema: pl.Schema,
    filters: list[_Filter],
    columns: list[str],
    budget: Budget,
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Count the rows that each filter leaves, and keep those that all leave, in one pass."""
    left = list(accumulate((f.keep for f in filters), lambda a, b: a & b))
    flags = {f"lacks {role}": _lacking(role, schema[role]) & left[0] for role in roles}
    flags |= placeholder_flags(schema)
    flags |= {f.name: keep for f, keep in zip(filters, left, strict=True)}
    if "value" in columns:
        flags["not positive"] = left[_VALUE] & ~_positive()
    empty = pl.DataFrame(schema={name: schema[name] for name in columns})
    return collect_in_pieces(pieces(), empty, flags, left[-1], budget)


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
