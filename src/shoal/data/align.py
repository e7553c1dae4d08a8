"""Vectors and attributes of items: checked, and put in the order of a catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shoal.data.ids import Ids, encode
from shoal.errors import DataError
from shoal.kernels.arrays import Float


def checked_matrix(ids: Ids | Sequence[Any], matrix: Any) -> Float:
    """Give vectors as a float32 matrix, if there is one for each id and every number is finite.

    Parameters
    ----------
    ids : (n,) item ids
        They name an item in the error message.
    matrix : (n, d) of numbers

    Returns
    -------
    (n, d) float32
        The same array where it is of this type already.

    Raises
    ------
    DataError
        No matrix of numbers, not as many vectors as ids, NaN or infinite numbers.
    """
    given = np.asarray(matrix)
    if given.ndim != 2 or given.dtype.kind not in "fiu":
        raise DataError(f"vectors must be a matrix of numbers, not {given.dtype} {given.shape}")
    if not given.shape[1]:
        raise DataError("the vectors hold no number: give a matrix of numbers, a row for each item")
    if len(given) != len(ids):
        raise DataError(
            f"there are {len(ids):,} ids and {len(given):,} vectors: give one vector for each id"
        )
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinite
        rows = np.asarray(given, np.float32)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        position = int(np.argmin(finite))
        first = ids.take([position])[0] if isinstance(ids, Ids) else ids[position]
        raise DataError(
            f"the vectors of {(~finite).sum():,} items hold NaN or infinite numbers (float32), "
            f"the first is that of item {first!r}: repair them or leave them out"
        )
    return rows


def checked(ids: Ids | Iterable[Any], matrix: Any) -> tuple[list[Any], Float]:
    """Give the ids as a list and the vectors as float32, if every id has one vector.

    Raises
    ------
    DataError
        The vectors cannot be used (see `checked_matrix`), or an id is there twice.
    """
    listed = ids.take(np.arange(len(ids))) if isinstance(ids, Ids) else list(ids)
    rows = np.ascontiguousarray(checked_matrix(listed, matrix))
    counts = Counter(map(str, listed))
    if len(counts) < len(listed):
        twice = next(i for i in listed if counts[str(i)] > 1)
        raise DataError(f"item {twice!r} has more than one vector: keep one of each")
    return listed, rows


def placed(rows: Float, positions: NDArray[Any], n: int) -> Float:
    """Put rows at positions (−1: left out) of an (n, d) matrix that is zero elsewhere."""
    matrix = np.zeros((n, rows.shape[1]), np.float32)
    inside = positions >= 0
    matrix[positions[inside]] = rows[inside]
    return matrix


def aligned(items: Ids, ids: list[Any], rows: Float) -> Float:
    """Put vectors in the order of a catalogue: (len(items), d), zeros where an item has none.

    Raises
    ------
    DataError
        No item of the catalogue has a vector.
    """
    positions = items.lookup(ids)
    if not (positions >= 0).any():
        raise DataError(
            f"none of the {len(ids):,} vectors belongs to an item of the log (log: {items!r}, "
            f"vectors: {ids[:3]}): is their id column the right one?"
        )
    return placed(rows, positions, len(items))


def joined(a: Float | None, b: Float | None) -> Float | None:
    """Join the vectors of one catalogue from two logs: those of `b` where `a` has none.

    Raises
    ------
    DataError
        They are of different lengths.
    """
    if a is None or b is None:
        return b if a is None else a
    if a.shape != b.shape:
        raise DataError(f"vectors of {a.shape[1]} and of {b.shape[1]} numbers: embed both alike")
    matrix = b.copy()
    has_vector = a.any(axis=1)
    matrix[has_vector] = a[has_vector]
    return matrix


def table_of_items(items: Ids, table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Put an item table in the order of a catalogue, with nulls where an item has no row.

    Ids are compared as they are written: the text "7" is the number 7, "007" is not.

    Returns
    -------
    DataFrame (len(items),)
        Column ``item``, and the attributes.
    notes : list of str
        How many items have no row or several.

    Raises
    ------
    DataError
        No row belongs to an item of the catalogue, or the type of the ids cannot be one.
    """
    names = [name for name in table.columns if name != "item"]
    table = table.filter(pl.col("item").is_not_null())
    codes, ids = encode(table["item"], "column 'item' of the item table")
    positions = ids.match(items)  # of each item of the catalogue among the ids of the table
    n_rows = np.bincount(codes, minlength=len(ids))
    first_row = np.full(len(ids) + 1, -1, np.int64)  # the last entry is for items without a row
    first_row[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    rows = first_row[positions]
    has_row = positions >= 0
    if not has_row.any():
        raise DataError(
            f"no row of the item table belongs to an item of the log (log: {items!r}, "
            f"table: {table['item'].head(3).to_list()}): is its id column the right one "
            "(--item-id NAME)?"
        )
    notes = []
    if not has_row.all():
        hint = "" if 2 * has_row.sum() > len(items) else "; is its id column the right one?"
        notes.append(f"the item table has rows of {has_row.sum():,} of {len(items):,} items{hint}")
    several = int((n_rows[positions[has_row]] > 1).sum())
    if several:
        notes.append(
            f"{several:,} items have several rows in the item table: the first row of each counts"
        )
    index = pl.Series(rows).replace(-1, None)
    attributes = [table[name].gather(index) for name in names]
    return pl.DataFrame([items.series.alias("item"), *attributes]), notes


def joint_item_table(items: Ids, old: pl.DataFrame, new: pl.DataFrame | None) -> pl.DataFrame:
    """One table of the attributes of old and new items; `new` may lack items, or be None."""
    rows = old.with_columns(pl.col("item").cast(items.series.dtype))
    if new is not None:
        codes, ids = encode(new["item"], "column 'item' of the item table")
        positions = items.match(ids)[codes]  # as they are written: "007" is not 7
        known = positions >= 0
        new_rows = new.filter(pl.Series(known)).with_columns(
            items.series.gather(positions[known]).alias("item")
        )
        new_rows = new_rows.unique("item", keep="first", maintain_order=True)
        new_rows = new_rows.join(rows, on="item", how="anti")
        rows = pl.concat([rows, new_rows], how="diagonal_relaxed")
    return pl.DataFrame({"item": items.series}).join(
        rows, on="item", how="left", maintain_order="left"
    )
