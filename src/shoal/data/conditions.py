"""Conditions on the rows of a table as objects, and as polars expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import polars as pl

from shoal.data.labels import has_label
from shoal.errors import DataError

Constant = str | int | float | bool
Schema = Mapping[str, pl.DataType]

_EXACT_FLOAT = 2**53
_FIT_INT64 = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)


class Condition(Protocol):
    """What a row of a table must fulfil."""

    def columns(self) -> set[str]:
        """Names of the columns that the condition reads."""

    def expression(self, schema: Schema) -> pl.Expr:
        """The condition over a table with these columns; null counts as not fulfilled."""


@dataclass(frozen=True)
class Comparison:
    """A column compared with a constant by ``eq``, ``ne``, ``lt``, ``le``, ``gt`` or ``ge``."""

    column: str
    operator: str
    constant: Constant

    def columns(self) -> set[str]:
        """The one column."""
        return {self.column}

    def expression(self, schema: Schema) -> pl.Expr:
        """The comparison in the type of the column, or of the number that it is compared with."""
        name = column_name(self.column, schema)
        if isinstance(schema[name], pl.List | pl.Array):
            if self.operator not in ("eq", "ne"):
                raise DataError(f"column {name!r} holds lists: ask with {name} has 'label'")
            fulfilled = has_label(pl.col(name), schema[name], str(self.constant))
            return fulfilled if self.operator == "eq" else ~fulfilled
        column, constant = _comparable(name, schema[name], self.constant, self.operator)
        result: pl.Expr = getattr(column, self.operator)(constant)
        return result


@dataclass(frozen=True)
class HasLabel:
    """Whether one of several labels of an entry (``Action|Comedy``, a list) is a text."""

    column: str
    label: str

    def columns(self) -> set[str]:
        """The one column."""
        return {self.column}

    def expression(self, schema: Schema) -> pl.Expr:
        """Whether the label is among those of the column."""
        name = column_name(self.column, schema)
        return has_label(pl.col(name), schema[name], self.label)


@dataclass(frozen=True)
class Among:
    """Whether an entry is one of several constants (``in``)."""

    column: str
    constants: tuple[Constant, ...]

    def columns(self) -> set[str]:
        """The one column."""
        return {self.column}

    def expression(self, schema: Schema) -> pl.Expr:
        """The comparison with each of the constants, in one pass where all are of one type."""
        name = column_name(self.column, schema)
        dtype, kinds = schema[name], {type(constant) for constant in self.constants}
        if as_text(pl.col(name), dtype) is not None and kinds == {str}:
            column = as_text(pl.col(name), dtype)
            assert column is not None
            return column.str.strip_chars().is_in(list(self.constants))
        if dtype in _FIT_INT64 and kinds == {int}:
            return pl.col(name).cast(pl.Int64).is_in(list(self.constants))
        tests = (Comparison(self.column, "eq", c).expression(schema) for c in self.constants)
        return pl.any_horizontal(*tests)


@dataclass(frozen=True)
class IsNull:
    """Whether an entry is empty."""

    column: str

    def columns(self) -> set[str]:
        """The one column."""
        return {self.column}

    def expression(self, schema: Schema) -> pl.Expr:
        """Whether the column holds null, or text without a character."""
        name = column_name(self.column, schema)
        column = pl.col(name)
        if schema[name] == pl.String:
            return column.is_null() | (column.str.strip_chars() == "")
        return column.is_null() | column.is_nan() if schema[name].is_float() else column.is_null()


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    of: Condition

    def columns(self) -> set[str]:
        """The columns of the condition within."""
        return self.of.columns()

    def expression(self, schema: Schema) -> pl.Expr:
        """The opposite; null stays null."""
        return ~self.of.expression(schema)


@dataclass(frozen=True)
class Every:
    """Several conditions at once (``and``)."""

    parts: tuple[Condition, ...]

    def columns(self) -> set[str]:
        """The columns of all parts."""
        return set().union(*(part.columns() for part in self.parts))

    def expression(self, schema: Schema) -> pl.Expr:
        """Whether all parts hold."""
        return pl.all_horizontal(*(part.expression(schema) for part in self.parts))


@dataclass(frozen=True)
class Either:
    """At least one of several conditions (``or``, ``in``)."""

    parts: tuple[Condition, ...]

    def columns(self) -> set[str]:
        """The columns of all parts."""
        return set().union(*(part.columns() for part in self.parts))

    def expression(self, schema: Schema) -> pl.Expr:
        """Whether one of the parts holds."""
        return pl.any_horizontal(*(part.expression(schema) for part in self.parts))


def column_name(asked: str, names: Any) -> str:
    """The column of that name; outer spaces of names do not count.

    Raises
    ------
    DataError
        There is no such column.
    """
    if asked in names:
        return asked
    same = [name for name in names if name.strip() == asked.strip()]
    if len(same) == 1:
        return str(same[0])
    raise DataError(f"there is no column {asked!r}; the columns are {', '.join(names)}")


def _comparable(
    name: str, dtype: pl.DataType, constant: Constant, operator: str
) -> tuple[pl.Expr, Any]:
    """A column and a constant in one type."""
    column = pl.col(name)
    if isinstance(dtype, pl.Date | pl.Datetime):
        return column.cast(pl.Datetime("us")), _moment(name, constant)
    if dtype == pl.Boolean or isinstance(constant, bool):
        return as_truth(name, dtype), _truth(name, constant, operator)
    if dtype == pl.Null:
        return column.cast(pl.String), str(constant)
    if (text := as_text(column, dtype)) is not None:
        column = text.str.strip_chars()
        if isinstance(constant, str):
            return column, constant
        # numbers of more than 53 bits, such as ids, are compared as whole numbers
        exact = isinstance(constant, int) and abs(constant) > _EXACT_FLOAT
        return column.cast(pl.Int64 if exact else pl.Float64, strict=False), constant
    if not dtype.is_numeric():
        raise DataError(f"column {name!r} has type {dtype}, which cannot be compared")
    if isinstance(constant, str):
        whole = re.fullmatch(r"[+-]?\d{1,18}", constant.strip())
        try:
            return column, int(constant) if whole else float(constant)
        except ValueError:
            raise DataError(
                f"column {name!r} holds numbers and is compared with {constant!r}: give a number"
            ) from None
    return column, constant


def _moment(name: str, constant: Constant) -> datetime:
    try:
        moment = datetime.fromisoformat(str(constant))
    except ValueError:
        raise DataError(
            f"column {name!r} holds dates and is compared with {constant!r}: write one such as "
            "'2024-01-31'"
        ) from None
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def as_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """A column as text if it is one (categories are), else None."""
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    return column if dtype == pl.String else None


def as_truth(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as true and false; null where an entry is neither.

    Raises
    ------
    DataError
        Its type has neither.
    """
    column = pl.col(name)
    if dtype == pl.String:
        words = {"true": True, "false": False, "1": True, "0": False}
        words |= {"yes": True, "no": False, "t": True, "f": False}
        text = column.str.strip_chars().str.to_lowercase()
        return text.replace_strict(words, default=None, return_dtype=pl.Boolean)
    if dtype == pl.Boolean:
        return column
    if dtype.is_numeric():
        return pl.when(column.is_in([0, 1])).then(column == 1)
    raise DataError(f"column {name!r} has type {dtype}, which is neither true nor false")


def _truth(name: str, constant: Constant, operator: str) -> bool:
    words = {"true": True, "false": False, "1": True, "0": False}
    truth = words.get(str(constant).strip().lower())
    if truth is None or operator not in ("eq", "ne"):
        raise DataError(f"column {name!r} is true or false: compare it by = true or = false")
    return truth
