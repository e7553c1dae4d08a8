"""Expressions over a table in memory, part by part, so that the work can be given up in time.

`Condition.expression` and `Number.expression` give the same as one polars expression, as reading a
log needs it. Here the parts with one column are computed by polars, over the different entries of
a column where there are few of them, and joined by numpy: numbers are float64 with NaN for empty
ones, and a condition is two masks, of the rows that fulfil it and of those that do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from shoal.data.arithmetic import (
    Calculated,
    Chosen,
    Counted,
    Fixed,
    Number,
    NumbersCompared,
)
from shoal.data.conditions import Condition, Either, Every, Not, as_text, column_name
from shoal.errors import DataError
from shoal.kernels.arrays import Bool, Double, Int

# the rows that fulfil a condition, and those that do not; neither where it is not known
Known: TypeAlias = tuple[Bool, Bool]

_ROOM = 128_000_000  # bytes of results of parts, kept while an expression is computed
_OPERATIONS = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "min": np.fmin,  # leaves NaN out
    "max": np.fmax,
    "abs": np.abs,
    "log": np.log,
}
_COMPARISONS = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal}
_COMPARISONS |= {"gt": np.greater, "ge": np.greater_equal}


class DistinctEntries:
    """The different entries of the text columns of a table, found when they are first needed."""

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table
        self._columns: dict[str, tuple[pl.DataFrame, Int] | None] = {}

    def of(self, column: str) -> tuple[pl.DataFrame, Int] | None:
        """The different entries of a column and the place of each row's; None where most differ."""
        if column not in self._columns:
            self._columns[column] = self._find(column)
        return self._columns[column]

    def _find(self, column: str) -> tuple[pl.DataFrame, Int] | None:
        if as_text(pl.col(column), self.table.schema[column]) is None:
            return None  # other types are fast enough
        entries = self.table.select(column)
        distinct = entries.unique(maintain_order=True)
        if 2 * len(distinct) > len(entries):
            return None
        numbered = distinct.with_row_index("place of the entry")
        joined = entries.join(
            numbered, on=column, how="left", nulls_equal=True, maintain_order="left"
        )
        return distinct, joined["place of the entry"].cast(pl.Int32).to_numpy()


@dataclass
class Evaluation:
    """One expression over a table.

    Parameters
    ----------
    distinct : DistinctEntries
    seconds : float
        How long it may take.
    """

    distinct: DistinctEntries
    seconds: float

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.seconds
        self._results: dict[Any, Any] = {}  # by part, as parts often stand several times

    @property
    def table(self) -> pl.DataFrame:
        """The table."""
        return self.distinct.table

    def mask(self, condition: Condition) -> Bool:
        """Which rows fulfil a condition.

        Raises
        ------
        DataError
            A column is not there or of another type, or the time is over.
        """
        return self._condition(condition)[0]

    def number(self, number: Number) -> Double:
        """The number of each row, NaN where there is none; raises the errors of `mask`."""
        self._check_time()
        if isinstance(number, Fixed):
            return np.full(len(self.table), number.value, np.float64)
        if isinstance(number, Counted):
            return self.mask(number.condition).astype(np.float64)
        if isinstance(number, Chosen):
            then, otherwise = self.number(number.then), self.number(number.otherwise)
            return np.where(self.mask(number.condition), then, otherwise)
        if isinstance(number, Calculated):
            first, *others = (self.number(part) for part in number.parts)
            operation = _OPERATIONS[number.operation]
            with np.errstate(all="ignore"):
                result = operation(first, others[0]) if others else operation(first)
                for other in others[1:]:  # of min and max
                    result = operation(result, other)
            np.copyto(result, np.nan, where=~np.isfinite(result))
            return result
        return self._once(number, self._entries)

    def _condition(self, condition: Condition) -> Known:
        self._check_time()
        return self._once(condition, self._known)

    def _once(self, part: Any, compute: Callable[[Any], Any]) -> Any:
        """The result of a part, computed once if there is room to keep it."""
        if part in self._results:
            return self._results[part]
        result = compute(part)
        if 8 * len(self.table) * (len(self._results) + 1) <= _ROOM:
            self._results[part] = result
        return result

    def _entries(self, number: Number) -> Double:
        return self._of_column(number).cast(pl.Float64).fill_null(np.nan).to_numpy()

    def _known(self, condition: Condition) -> Known:
        if isinstance(condition, Not):
            yes, no = self._condition(condition.of)
            return no, yes
        if isinstance(condition, Every | Either):
            # all must be fulfilled, or one must not be; for `or` the other way round
            order = 1 if isinstance(condition, Every) else -1
            everyone, anyone = (
                mask.copy() for mask in self._condition(condition.parts[0])[::order]
            )
            for part in condition.parts[1:]:
                one, other = self._condition(part)[::order]
                everyone &= one
                anyone |= other
            return (everyone, anyone) if order == 1 else (anyone, everyone)
        if isinstance(condition, NumbersCompared):
            left, right = self.number(condition.left), self.number(condition.right)
            result: Bool = _COMPARISONS[condition.operator](left, right)
            known = ~(np.isnan(left) | np.isnan(right))
            return result & known, ~result & known
        fulfilled = self._of_column(condition)
        yes = fulfilled.fill_null(value=False).to_numpy()
        return yes, (~fulfilled).fill_null(value=False).to_numpy()

    def _of_column(self, part: Condition | Number) -> pl.Series:
        """A part that polars computes, from one column in most cases."""
        schema = self.table.schema
        names = [column_name(name, schema) for name in part.columns()]
        distinct = self.distinct.of(names[0]) if len(names) == 1 else None
        frame = self.table.select(names) if distinct is None else distinct[0]
        result = frame.select(part.expression(schema).alias("result"))["result"]
        return result if distinct is None else result.gather(distinct[1])

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise DataError(
                f"the expression takes more than {self.seconds:g} seconds over "
                f"{len(self.table):,} items: make it shorter"
            )
