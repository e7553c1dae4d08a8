"""One pass over a log: the rows that can be used and are asked for, and a count of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import polars as pl

from shoal.data.columns import EVENT, ROLES
from shoal.data.pieces import Budget, collect_in_pieces
from shoal.data.placeholders import judge_placeholders, placeholder_flags
from shoal.data.report import PreparationStep
from shoal.data.rows import Meaning, RowRules
from shoal.data.sources import Source, first_rows
from shoal.data.window import latest_of, time_window
from shoal.errors import DataError, NoRowsError

_LARGEST = 1e30  # the largest value of an interaction: sums of such values fit into float32


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
    meaning: Meaning,
    *,
    file_order: bool = False,
    memory: int | None = None,
) -> tuple[Any, list[PreparationStep], list[str]]:
    """Read the rows of a log that are complete and within the rules.

    Parameters
    ----------
    source : Source
    meaning : Meaning
    file_order : bool
        Whether to keep each row's number in a column ``row``, counted from 0.
    memory : int, optional
        Bytes that the rows and their numbering may take; by default 80 % of what is free.

    Returns
    -------
    frame : DataFrame
        Columns ``user``, ``item``, and ``value``, ``time`` and ``row`` where there are such; of a
        log that is elsewhere, what stands for its parts there.
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
    roles, rules = meaning.roles, meaning.rules
    rows = meaning.rows(source)
    named = [role for role in ROLES if role in roles or (role == "value" and rules.weights)]
    columns = [*named, *(["row"] if file_order else [])]
    filters = _filters(rows, source, meaning)
    collect = partial(_collect, source, meaning, columns, memory)
    counts, frame = collect(filters)
    if counts["all"] == 0:
        raise NoRowsError(f"{source.name} has no row")
    placeholders, notes = judge_placeholders(partial(meaning.ask, source), filters[0].keep, counts)
    if placeholders:  # read again, with these entries empty
        empty = [
            pl.when(~pl.col(role).is_in(words)).then(pl.col(role)).alias(role)
            for role, words in placeholders.items()
        ]
        rows = rows.with_columns(empty)
        filters = _filters(rows, source, meaning)
        counts, frame = collect(filters, empty)
    if rules.missing == "error":
        _refuse_missing(rows, source, roles, filters[0].keep, counts)
    if rules.values == "log1p" or (rules.values == "binary" and rules.min_value is None):
        _refuse_not_positive(rows, source, roles, rules, filters, counts)
    return frame, _steps(filters, counts), notes


def _filters(rows: pl.LazyFrame, source: Source, meaning: Meaning) -> list[_Filter]:
    """What a row must fulfil, in the order of the report; the first two are always there."""
    roles, rules = meaning.roles, meaning.rules
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
    bounds = (rules.since, rules.until)
    latest = partial(_latest, source, meaning)
    in_window, outside = time_window(source, roles, bounds, meaning.times, latest)
    return [*filters, _Filter("time window", in_window, outside, bool(outside))]


def _latest(source: Source, meaning: Meaning) -> float:
    """The latest time of a log."""
    return max(meaning.ask(source, latest_of))


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
    source: Source,
    meaning: Meaning,
    columns: list[str],
    memory: int | None,
    filters: list[_Filter],
    change: Sequence[pl.Expr] = (),
) -> tuple[dict[str, Any], Any]:
    """Count the rows that each filter leaves, and keep those that all leave, in one pass."""
    question = partial(_collected, meaning, columns, memory, filters, change)
    counts, frame = source.keep(question)
    return {name: sum(part[name] for part in counts) for name in counts[0]}, frame


def _collected(
    meaning: Meaning,
    columns: list[str],
    memory: int | None,
    filters: list[_Filter],
    change: Sequence[pl.Expr],
    source: Source,
) -> tuple[dict[str, Any], pl.DataFrame]:
    """What `_collect` counts and keeps of one part of a log."""
    schema = meaning.rows(source).with_columns(change).collect_schema()
    left = list(accumulate((f.keep for f in filters), lambda a, b: a & b))
    flags = {f"lacks {role}": _lacking(role, schema[role]) & left[0] for role in meaning.roles}
    flags |= placeholder_flags(schema)
    flags |= {f.name: keep for f, keep in zip(filters, left, strict=True)}
    if "value" in columns:
        flags["not positive"] = left[_VALUE] & ~_positive()
    empty = pl.DataFrame(schema={name: schema[name] for name in columns})
    pieces = meaning.pieces(source, change)
    return collect_in_pieces(pieces, empty, flags, left[-1], Budget.of(source.name, memory))


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
