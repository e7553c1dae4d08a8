"""One pass over a log: the rows that can be used and are asked for, and a count of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from shoal.data.report import PreparationStep
from shoal.data.sources import Source, first_rows
from shoal.data.times import as_numbers, seconds
from shoal.errors import DataError

Missing = Literal["error", "drop"]
Values = Literal["binary", "keep"]

_LARGEST = 1e30  # the largest value of an interaction: sums of such values fit into float32


@dataclass(frozen=True)
class RowRules:
    """Which rows of a log to keep; the parameters are those of `shoal.read`."""

    min_value: float | None = None
    values: Values = "binary"
    missing: Missing = "error"
    since: float | str | None = None
    until: float | str | None = None


@dataclass(frozen=True)
class _Conditions:
    """What a row must fulfil, as expressions over the columns ``user``, ``item``, … of the scan.

    Parameters
    ----------
    lacking : dict of role to expression
        Whether a row has no usable entry in the column of that role.
    high_enough, positive, in_window : expression
        Whether its value reaches `min_value`, is above zero, and its time lies in the window.
    """

    lacking: dict[str, pl.Expr]
    high_enough: pl.Expr
    positive: pl.Expr
    in_window: pl.Expr

    @property
    def complete(self) -> pl.Expr:
        """Whether a row lacks nothing."""
        return ~pl.any_horizontal(*self.lacking.values())


def scan(
    source: Source, roles: Mapping[str, str], rules: RowRules, *, file_order: bool = False
) -> tuple[pl.DataFrame, list[PreparationStep]]:
    """Read the rows of a log that are complete and within the rules.

    Parameters
    ----------
    source : Source
    roles : mapping of role to column name
        From `find_roles`.
    rules : RowRules
    file_order : bool
        Whether to keep each row's number in a column ``row``, counted from 0.

    Returns
    -------
    frame : DataFrame
        Columns ``user``, ``item``, and ``value``, ``time`` and ``row`` where there are such.
    steps : list of PreparationStep
        How many rows were left out, and why.

    Raises
    ------
    DataError
        No row; entries that are missing and not to be dropped, or values that are not positive;
        a time window for a log without times.
    """
    rows = _rows_by_role(source, roles)
    in_window, outside = _window(rows, source, roles, rules)
    conditions = _conditions(rows, roles, rules, in_window)
    columns = [*roles, *(["row"] if file_order else [])]
    counts, frame = _collect(rows, conditions, columns)
    if counts["all"] == 0:
        raise DataError(f"{source.name} has no row")
    if rules.missing == "error":
        _refuse_missing(rows, source, roles, conditions, counts)
    if rules.min_value is None or rules.values == "keep":
        _refuse_not_positive(rows, source, roles, conditions, counts)
    return frame, _steps(roles, rules, counts, outside)


def _rows_by_role(source: Source, roles: Mapping[str, str]) -> pl.LazyFrame:
    """The columns in use under the names of their roles, and ``row``, counted from 0."""
    frame = source.frame.select(
        *(pl.col(roles[role]).alias(role) for role in ("user", "item")),
        *(
            as_numbers(source, roles[role], role).alias(role)
            for role in ("value", "time")
            if role in roles
        ),
    ).with_row_index("row")
    if source.typed:
        return frame
    ids = (pl.col(role).str.strip_chars().replace("", None) for role in ("user", "item"))
    return frame.with_columns(ids).filter(~pl.all_horizontal(pl.col(*roles).is_null()))


def _window(
    rows: pl.LazyFrame, source: Source, roles: Mapping[str, str], rules: RowRules
) -> tuple[pl.Expr, str]:
    """Whether a row lies in the time window, and in words where the others lie."""
    in_window, outside = pl.lit(True), []
    if rules.since is None and rules.until is None:
        return in_window, ""
    if "time" not in roles:
        raise DataError(f"{source.name} has no time column for since/until: --columns time=…")
    ticks = 1.0
    if not all(isinstance(bound, int | float | None) for bound in (rules.since, rules.until)):
        ticks = _ticks_per_second(rows)
    if rules.since is not None:
        in_window &= pl.col("time") >= seconds(rules.since, ticks)
        outside.append(f"before {rules.since}")
    if rules.until is not None:
        in_window &= pl.col("time") < seconds(rules.until, ticks)
        outside.append(f"from {rules.until} on")
    return in_window, " and ".join(outside)


def _ticks_per_second(rows: pl.LazyFrame) -> float:
    """Whether times count seconds, milli-, micro- or nanoseconds since 1970, by the latest one."""
    times = rows.select(pl.col("time").cast(pl.Float64))
    latest = times.filter(pl.col("time").is_finite()).max().collect().item() or 0
    # the year 5138 in seconds is 1973 in milliseconds, and so on
    return next((ticks for ticks in (1e9, 1e6, 1e3) if latest > 1e8 * ticks), 1.0)


def _conditions(
    rows: pl.LazyFrame, roles: Mapping[str, str], rules: RowRules, in_window: pl.Expr
) -> _Conditions:
    schema = rows.collect_schema()
    always = pl.lit(True)
    return _Conditions(
        lacking={role: _lacking(role, schema[role]) for role in roles},
        high_enough=always if rules.min_value is None else pl.col("value") >= rules.min_value,
        # judged as the float32 that values are kept as
        positive=pl.col("value").cast(pl.Float32) > 0 if "value" in roles else always,
        in_window=in_window,
    )


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
    rows: pl.LazyFrame, conditions: _Conditions, columns: list[str]
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Count the rows that fulfil the conditions, and keep these rows, in one pass."""
    complete, high_enough = conditions.complete, conditions.high_enough
    kept = complete & high_enough & conditions.in_window
    counts, frame = pl.collect_all(
        [
            rows.select(
                pl.len().alias("all"),
                *(lacks.sum().alias(f"lacks {role}") for role, lacks in conditions.lacking.items()),
                complete.sum().alias("complete"),
                (complete & high_enough).sum().alias("high enough"),
                (complete & high_enough & ~conditions.positive).sum().alias("not positive"),
                kept.sum().alias("kept"),
            ),
            rows.filter(kept).select(columns),
        ],
        engine="streaming",
    )
    return counts.row(0, named=True), frame


def _refuse_missing(
    rows: pl.LazyFrame,
    source: Source,
    roles: Mapping[str, str],
    conditions: _Conditions,
    counts: Mapping[str, Any],
) -> None:
    for role, column in roles.items():
        n_lacking = counts[f"lacks {role}"]
        if not n_lacking:
            continue
        where = first_rows(rows, conditions.lacking[role])
        wrong = "missing" if role in ("user", "item") else "missing or not a finite number"
        leave_out = f", or leave the column out: --columns {role}=none"
        raise DataError(
            f"{source.name}: column {column!r} ({role}) is {wrong} in {n_lacking:,} of "
            f"{counts['all']:,} rows, first in row {', '.join(map(str, where))}. Mend them, drop "
            f"them with missing='drop' (--missing drop)"
            f"{leave_out if role in ('value', 'time') else ''}"
        )


def _refuse_not_positive(
    rows: pl.LazyFrame,
    source: Source,
    roles: Mapping[str, str],
    conditions: _Conditions,
    counts: Mapping[str, Any],
) -> None:
    if not counts["not positive"]:
        return
    where = first_rows(rows, conditions.complete & conditions.high_enough & ~conditions.positive)
    raise DataError(
        f"{source.name}: column {roles['value']!r} is zero or negative in "
        f"{counts['not positive']:,} rows, first in row {', '.join(map(str, where))}; an "
        "interaction needs a positive one. Say what counts as one with min_value "
        "(--min-value 1), or ignore the column: --columns value=none"
    )


def _steps(
    roles: Mapping[str, str], rules: RowRules, counts: Mapping[str, Any], outside: str
) -> list[PreparationStep]:
    """What was left out, step by step."""
    steps = []
    if counts["complete"] < counts["all"]:
        steps.append(
            PreparationStep("missing", counts["all"], counts["complete"], "a column has no value")
        )
    if rules.min_value is not None:
        why = f"{roles['value']} below {rules.min_value:g}"
        steps.append(PreparationStep("value", counts["complete"], counts["high enough"], why))
    if outside:
        steps.append(PreparationStep("time window", counts["high enough"], counts["kept"], outside))
    return steps
