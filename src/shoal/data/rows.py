"""The rows of a log under the names of their roles, whatever its columns are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import polars as pl

from shoal.data.columns import EVENT
from shoal.data.pieces import ROWS
from shoal.data.sources import Answer, Source
from shoal.data.time_formats import TimeFormat
from shoal.data.times import as_numbers
from shoal.data.where import parse_where

Missing = Literal["error", "drop"]
Values = Literal["binary", "keep", "log1p"]


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
class Meaning:
    """What the columns of a log mean, and which rows count.

    Parameters
    ----------
    roles : mapping of role to column name
        From `find_roles`.
    rules : RowRules
    times : TimeFormat
        How the times are written.
    """

    roles: Mapping[str, str]
    rules: RowRules
    times: TimeFormat

    def rows(self, source: Source, first_row: int = 0) -> pl.LazyFrame:
        """The rows of a log, as `rows_by_role` gives them."""
        return rows_by_role(source, self.roles, self.rules, self.times, first_row)

    def ask(self, source: Source, question: Callable[[pl.LazyFrame], Answer]) -> list[Answer]:
        """The answers to a question about the rows: one for each part of the log (`Source.ask`)."""
        return source.ask(partial(_about_rows, self, question))

    def pieces(self, source: Source, change: Sequence[pl.Expr] = ()) -> Iterator[pl.LazyFrame]:
        """The rows some at a time, with some columns changed.

        Only plain columns are streamed by polars: some expressions make it hold the log first.
        """
        used = set(self.roles.values())
        if self.rules.where is not None:
            condition = parse_where(self.rules.where).expression(source.frame.collect_schema())
            used |= set(condition.meta.root_names())
        batches = source.frame.select(sorted(used)).collect_batches(
            chunk_size=ROWS, maintain_order=True, engine="streaming"
        )
        n_rows = 0
        for batch in batches:
            piece = replace(source, frame=batch.lazy())
            yield self.rows(piece, n_rows).with_columns(change)
            n_rows += len(batch)


def _about_rows(
    meaning: Meaning, question: Callable[[pl.LazyFrame], Answer], source: Source
) -> Answer:
    return question(meaning.rows(source))


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
    numbers = {name: float(weight) for name, weight in weights.items()}
    value = event.replace_strict(numbers, default=None, return_dtype=pl.Float64)
    return [event.alias(EVENT), value.alias("value")]
