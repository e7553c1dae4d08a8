"""Numbers that are computed from the columns of a table, as objects and as polars expressions.

All of them are computed in float64. What has no finite result (a division by zero, an overflow, an
empty entry) is null, at each step. Each expression stands once in the one around it, so that its
size grows with the length of the text alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from shoal.data.conditions import Condition, Schema, as_text, as_truth, column_name
from shoal.errors import DataError

_NOT_FINITE = [math.inf, -math.inf, math.nan]


class Number(Protocol):
    """A number for each row of a table."""

    def columns(self) -> set[str]:
        """Names of the columns that the number is computed from."""

    def expression(self, schema: Schema) -> pl.Expr:
        """The number over a table with these columns: float64, finite or null."""


@dataclass(frozen=True)
class Fixed:
    """The same number for each row."""

    value: float

    def columns(self) -> set[str]:
        """No column."""
        return set()

    def expression(self, schema: Schema) -> pl.Expr:
        """The number."""
        return pl.lit(float(self.value), pl.Float64)


@dataclass(frozen=True)
class OfColumn:
    """The entries of a column: numbers, texts that are numbers, or true and false as 1 and 0."""

    column: str

    def columns(self) -> set[str]:
        """The one column."""
        return {self.column}

    def expression(self, schema: Schema) -> pl.Expr:
        """The entries as numbers; null where a text is no number."""
        name = column_name(self.column, schema)
        dtype, column = schema[name], pl.col(name)
        if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
            return _finite(column.cast(pl.Float64, strict=False))
        if (text := as_text(column, dtype)) is not None:
            return _finite(text.str.strip_chars().cast(pl.Float64, strict=False))
        raise DataError(f"column {name!r} has type {dtype}, which is no number to calculate with")


@dataclass(frozen=True)
class Counted:
    """1 where a condition is fulfilled, else 0."""

    condition: Condition

    def columns(self) -> set[str]:
        """The columns of the condition."""
        return self.condition.columns()

    def expression(self, schema: Schema) -> pl.Expr:
        """1 or 0; never null."""
        return self.condition.expression(schema).fill_null(value=False).cast(pl.Float64)


@dataclass(frozen=True)
class Calculated:
    """Numbers joined by ``+``, ``-``, ``*`` or ``/``, or put into a function.

    Parameters
    ----------
    operation : str
        One of `OPERATIONS`.
    parts : tuple of Number
    """

    operation: str
    parts: tuple[Number, ...]

    def columns(self) -> set[str]:
        """The columns of all parts."""
        return set().union(*(part.columns() for part in self.parts))

    def expression(self, schema: Schema) -> pl.Expr:
        """The result where it is finite, else null."""
        parts = [part.expression(schema) for part in self.parts]
        return _finite(OPERATIONS[self.operation](*parts))


@dataclass(frozen=True)
class Chosen:
    """One number where a condition is fulfilled, and another one elsewhere."""

    condition: Condition
    then: Number
    otherwise: Number

    def columns(self) -> set[str]:
        """The columns of the condition and of both numbers."""
        return self.condition.columns() | self.then.columns() | self.otherwise.columns()

    def expression(self, schema: Schema) -> pl.Expr:
        """The number that the condition chooses."""
        fulfilled = self.condition.expression(schema).fill_null(value=False)
        then, otherwise = self.then.expression(schema), self.otherwise.expression(schema)
        return pl.when(fulfilled).then(then).otherwise(otherwise)


@dataclass(frozen=True)
class NumbersCompared:
    """Two numbers compared by ``eq``, ``ne``, ``lt``, ``le``, ``gt`` or ``ge``."""

    left: Number
    operator: str
    right: Number

    def columns(self) -> set[str]:
        """The columns of both."""
        return self.left.columns() | self.right.columns()

    def expression(self, schema: Schema) -> pl.Expr:
        """The comparison; null where one of the numbers is."""
        result: pl.Expr = getattr(self.left.expression(schema), self.operator)(
            self.right.expression(schema)
        )
        return result


@dataclass(frozen=True)
class ColumnsCompared:
    """Two columns compared: both of texts, both of dates, or both of numbers.

    Parameters
    ----------
    left, operator, right : str
    if_absent : str
        What to say of the second where there is no such column: it may be a text without quotes.
    """

    left: str
    operator: str
    right: str
    if_absent: str

    def columns(self) -> set[str]:
        """Both columns."""
        return {self.left, self.right}

    def expression(self, schema: Schema) -> pl.Expr:
        """The comparison; null where one of the entries is."""
        left = column_name(self.left, schema)
        try:
            right = column_name(self.right, schema)
        except DataError:
            raise DataError(self.if_absent) from None
        one, other = (as_text(pl.col(name), schema[name]) for name in (left, right))
        if one is not None and other is not None:
            pair = one.str.strip_chars(), other.str.strip_chars()
        elif all(isinstance(schema[name], pl.Date | pl.Datetime) for name in (left, right)):
            pair = pl.col(left).cast(pl.Datetime("us")), pl.col(right).cast(pl.Datetime("us"))
        else:
            return NumbersCompared(OfColumn(left), self.operator, OfColumn(right)).expression(
                schema
            )
        result: pl.Expr = getattr(pair[0], self.operator)(pair[1])
        return result


@dataclass(frozen=True)
class IsTrue:
    """Whether a column, named without a comparison, is true.

    Parameters
    ----------
    column : str
    if_other : str or None
        What to say where the column holds something else than true and false. None counts every
        number other than 0 and words such as ``yes`` as true.
    """

    column: str
    if_other: str | None = None

    def columns(self) -> set[str]:
        """The one column."""
        return {self.column}

    def expression(self, schema: Schema) -> pl.Expr:
        """Whether the entry is true."""
        name = column_name(self.column, schema)
        if schema[name] == pl.Boolean:
            return pl.col(name)
        if self.if_other is not None:
            raise DataError(self.if_other)
        if schema[name].is_numeric():
            return pl.col(name).cast(pl.Float64) != 0
        return as_truth(name, schema[name])


def _finite(number: pl.Expr) -> pl.Expr:
    """A number, or null where it is infinite or NaN."""
    return number.replace(_NOT_FINITE, [None] * len(_NOT_FINITE))


OPERATIONS: Mapping[str, Callable[..., pl.Expr]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "min": pl.min_horizontal,
    "max": pl.max_horizontal,
    "abs": lambda a: a.abs(),
    "log": lambda a: a.log(),
}
