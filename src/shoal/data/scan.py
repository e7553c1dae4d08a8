"""One pass over a log: the rows that can be used and are asked for, and a count of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from shoal.data.limits import SMALL
from shoal.data.report import PreparationStep
from shoal.data.sources import Source, first_rows
from shoal.data.times import as_numbers, seconds
from shoal.errors import DataError, MemoryBudgetError
from shoal.run import available_memory, human_bytes

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
    source: Source,
    roles: Mapping[str, str],
    rules: RowRules,
    *,
    file_order: bool = False,
    memory: int | None = None,
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
    memory : int, optional
        Bytes that the rows and their numbering may take; by default 80 % of what is free.

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
    MemoryBudgetError
        The rows that are kept do not fit the memory.
    """
    rows = _rows_by_role(source, roles)
    in_window, outside = _window(rows, source, roles, rules)
    conditions = _conditions(rows, roles, rules, in_window)
    columns = [*roles, *(["row"] if file_order else [])]
    counts, frame = _collect(rows, conditions, columns, source.name, memory)
    if counts["all"] == 0:
        raise DataError(f"{source.name} has no row")
    if rules.missing == "error":
        _refuse_missing(rows, source, roles, conditions, counts)
    if rules.min_value is None or rules.values == "keep":
        _refuse_not_positive(rows, source, roles, conditions, counts)
    return frame, _steps(roles, rules, counts, outside)


def _rows_by_role(source: Source, roles: Mapping[str, str]) -> pl.LazyFrame:
    """The columns in use under the names of their roles, and ``row``, counted from 0."""
    source = _with_decimal_points(source, roles)
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


def _with_decimal_points(source: Source, roles: Mapping[str, str]) -> Source:
    """The source with 3,5 in its columns of values and times read as 3.5."""
    columns = [
        roles[role] for role in ("value", "time") if roles.get(role) in source.decimal_commas
    ]
    points = [pl.col(column).str.replace(",", ".", literal=True) for column in columns]
    return replace(source, frame=source.frame.with_columns(points)) if points else source


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
    rows: pl.LazyFrame,
    conditions: _Conditions,
    columns: list[str],
    name: str,
    memory: int | None,
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Count the rows that fulfil the conditions, and keep these rows, in one pass by pieces."""
    complete, high_enough = conditions.complete, conditions.high_enough
    flags = {
        **{f"lacks {role}": lacks for role, lacks in conditions.lacking.items()},
        "complete": complete,
        "high enough": complete & high_enough,
        "not positive": complete & high_enough & ~conditions.positive,
        "kept": complete & high_enough & conditions.in_window,
    }
    counts = dict.fromkeys(["all", *flags], 0)
    judged = rows.select(*columns, *(flag.alias(f"_{name}") for name, flag in flags.items()))
    budget = max(SMALL, int(0.8 * available_memory()) if memory is None else memory)
    kept, size = [pl.DataFrame(schema=rows.select(columns).collect_schema())], 0
    for piece in judged.collect_batches(
        chunk_size=100_000, maintain_order=True, engine="streaming"
    ):
        counts["all"] += len(piece)
        for flag in flags:
            counts[flag] += int(piece[f"_{flag}"].sum())
        part = piece.filter(pl.col("_kept")).select(columns)
        size += int(part.estimated_size())
        # the ids are held once more while they are numbered
        if 2 * size > budget:
            raise MemoryBudgetError(
                f"{name}: the rows that are kept take more than the {human_bytes(budget)} of the "
                f"memory budget ({counts['all']:,} rows read so far). Give more (--memory), keep "
                "fewer rows (--min-value, --since), or store ids as whole numbers in Parquet"
            )
        kept.append(part)
    return counts, pl.concat(kept, rechunk=True)


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
