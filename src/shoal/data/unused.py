"""Columns of a log that have no role: they are named, and asked about if they look like values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

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
    numbers = {
        name: as_numbers(source, name, "value")
        for name in unused
        if (dtypes[name] in (pl.String, pl.Boolean) or dtypes[name].is_numeric())
        and not _NO_VALUE.search(folded(name))
        and not is_known(name)
    }
    likely = _like_scales(source, numbers, _SAMPLE)
    if likely:
        likely = _like_scales(source, {name: numbers[name] for name in likely}, None)
    if not likely:
        return
    name, low, high, n_zero = next((n, *facts) for n, facts in likely.items())
    zeros = f", and {n_zero:,} rows hold 0" if n_zero else ""
    raise DataError(
        f"{source.name}: column {name!r} is not used, and looks like a value: it holds numbers "
        f"from {low:g} to {high:g}{zeros}. Say what it is: --columns value={quoted(name)} (with "
        "--min-value for the rows that count), or --columns value=none if each row counts"
    )


def _like_scales(
    source: Source, numbers: Mapping[str, pl.Expr], rows: int | None
) -> dict[str, tuple[float, float, int]]:
    """Lowest and highest number, and zeros, of each column that holds a scale of few numbers."""
    if not numbers:
        return {}
    frame = source.frame if rows is None else source.frame.head(rows)
    entries = [
        (pl.col(name).cast(pl.String).str.strip_chars() != "").sum().alias(f"entries {k}")
        for k, name in enumerate(numbers)
    ]
    facts = [
        fact.alias(f"{what} {k}")
        for k, number in enumerate(numbers.values())
        for what, fact in (
            ("numbers", number.is_finite().sum()),
            ("different", number.n_unique() - number.is_null().any().cast(pl.Int64)),
            ("low", number.min()),
            ("high", number.max()),
            ("zeros", (number == 0).sum()),
        )
    ]
    row = frame.select(*entries, *facts).collect(engine="streaming").row(0, named=True)
    scales = {}
    for k, name in enumerate(numbers):
        n, n_different = row[f"numbers {k}"], row[f"different {k}"]
        if not n or n != row[f"entries {k}"]:
            continue  # empty, or not numbers throughout
        low, high = row[f"low {k}"], row[f"high {k}"]
        few = n_different <= min(_MOST, max(2, n // 2)) and -_LARGEST <= low <= high <= _LARGEST
        # one number alone says nothing; from a sample, it may have others below
        if few and (n_different > 1 or rows is not None):
            scales[name] = (low, high, int(row[f"zeros {k}"]))
    return scales
