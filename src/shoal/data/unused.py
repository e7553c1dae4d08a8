"""Columns of a log that have no role: they are named, and asked about if they look like values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from shoal.data.columns import folded, is_known, quoted
from shoal.data.sources import Source
from shoal.data.times import as_numbers
from shoal.errors import DataError

_SAMPLE = 10_000  # rows that decide which columns are looked at as a whole
_MOST, _LARGEST = 11, 10  # a scale has at most 11 different numbers from -10 to 10
_NO_VALUE = re.compile(  # what people and items are like, and numbers of rows
    r"(id|idx|index|code|key|no|nr|hash|age|gender|sex|occupation|year|month|day|weekday|week|"
    r"hour|minute|zip|zipcode|price|lat|lon|version|level0|unnamed0|rowid|fold|split|test|train)$"
)


def unused_columns(
    names: Collection[str], roles: Mapping[str, str], read: Collection[str] = ()
) -> list[str]:
    """Columns that have no role and that no condition reads, in their order."""
    return [name for name in names if name not in roles.values() and name not in read]


def refuse_possible_values(source: Source, unused: list[str]) -> None:
    """Refuse a log whose value column may be one that is not used.

    Parameters
    ----------
    source : Source
        A log in which no column was recognised as the value.
    unused : list of str
        Its columns that have no role.

    Raises
    ------
    DataError
        A column of numbers holds 0 and 1, or few different small numbers: whether a row is an
        interaction at all may depend on it.
    """
    dtypes = source.frame.collect_schema()
    numbers = [
        name
        for name in unused
        if (dtypes[name] in (pl.String, pl.Boolean) or dtypes[name].is_numeric())
        and not _NO_VALUE.search(folded(name))
        and not is_known(name)
    ]
    if not numbers:
        return
    sample = _columns_of(numbers, _SAMPLE, source)
    likely = [name for name, column in sample.items() if column.is_like_a_scale(sample=True)]
    if not likely:
        return
    parts = source.ask(partial(_columns_of, likely, None))
    whole = {name: _Column.together([part[name] for part in parts]) for name in likely}
    found = {name: column for name, column in whole.items() if column.is_like_a_scale(sample=False)}
    if not found:
        return
    name, column = next(iter(found.items()))
    low, high, n_zero = column.low, column.high, column.n_zero
    zeros = f", and {n_zero:,} rows hold 0" if n_zero else ""
    raise DataError(
        f"{source.name}: column {name!r} is not used, and looks like a value: it holds numbers "
        f"from {low:g} to {high:g}{zeros}. Say what it is: --columns value={quoted(name)} (with "
        "--min-value for the rows that count), or --columns value=none if each row counts"
    )


@dataclass(frozen=True)
class _Column:
    """What is known of a column that may be a scale.

    Parameters
    ----------
    n_entries, n_numbers, n_zero : int
        How many of its entries hold anything, a number, and 0.
    distinct : set of float
        Different numbers, not more than one needs to see that they are too many for a scale.
    low, high : float or None
        The lowest and the highest number; None if there is none.
    """

    n_entries: int
    n_numbers: int
    n_zero: int
    distinct: frozenset[float]
    low: float | None
    high: float | None

    @staticmethod
    def together(parts: Sequence[_Column]) -> _Column:
        """The same of several parts of a column."""
        return _Column(
            sum(part.n_entries for part in parts),
            sum(part.n_numbers for part in parts),
            sum(part.n_zero for part in parts),
            frozenset().union(*(part.distinct for part in parts)),
            min((part.low for part in parts if part.low is not None), default=None),
            max((part.high for part in parts if part.high is not None), default=None),
        )

    def is_like_a_scale(self, *, sample: bool) -> bool:
        """Whether the column holds few different small numbers and nothing else."""
        n, n_different = self.n_numbers, len(self.distinct)
        if not n or n != self.n_entries or self.low is None or self.high is None:
            return False  # empty, or not numbers throughout
        few = n_different <= min(_MOST, max(2, n // 2))
        few &= -_LARGEST <= self.low <= self.high <= _LARGEST
        # one number alone says nothing; from a sample, it may have others below
        return few and (n_different > 1 or sample)


def _columns_of(names: list[str], rows: int | None, source: Source) -> dict[str, _Column]:
    """What is known of some columns; of their first rows only, if `rows` is given."""
    frame = source.frame if rows is None else source.frame.head(rows)
    facts = []
    for k, name in enumerate(names):
        number = as_numbers(source, name, "value")
        text = pl.col(name).cast(pl.String).str.strip_chars()
        some = number.drop_nulls().unique().head(_MOST + 1)
        facts += [
            (text != "").sum().alias(f"entries {k}"),
            number.is_finite().sum().alias(f"numbers {k}"),
            (number == 0).sum().alias(f"zeros {k}"),
            some.implode().alias(f"different {k}"),
            number.min().alias(f"low {k}"),
            number.max().alias(f"high {k}"),
        ]
    row = frame.select(facts).collect(engine="streaming").row(0, named=True)
    return {
        name: _Column(
            row[f"entries {k}"],
            row[f"numbers {k}"],
            row[f"zeros {k}"],
            frozenset(row[f"different {k}"]),
            row[f"low {k}"],
            row[f"high {k}"],
        )
        for k, name in enumerate(names)
    }
