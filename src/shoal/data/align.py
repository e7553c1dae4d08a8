"""Item vectors: checked, and put in the order of a catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.data.ids import Ids
from shoal.errors import DataError
from shoal.kernels.arrays import Float


def checked(ids: Ids | Iterable[Any], matrix: Any) -> tuple[list[Any], Float]:
    """The ids as a list and the vectors as float32, if they can be used.

    Raises
    ------
    DataError
        No matrix with a row for each id, NaN or infinite numbers, an id that is there twice.
    """
    named = ids.take(np.arange(len(ids))) if isinstance(ids, Ids) else list(ids)
    given = np.asarray(matrix)
    if given.ndim != 2 or given.dtype.kind not in "fiu" or not given.shape[-1]:
        raise DataError(f"vectors must be a matrix of numbers, not {given.dtype} {given.shape}")
    if len(given) != len(named):
        raise DataError(f"there are {len(named):,} ids and {len(given):,} vectors: one for each")
    with np.errstate(over="ignore"):  # becomes infinite, which is an error below
        rows = np.ascontiguousarray(given, np.float32)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise DataError(
            f"{bad.size:,} vectors hold NaN or infinite numbers, the first is that of item "
            f"{named[bad[0]]!r}: mend them or leave them out"
        )
    counts = Counter(map(str, named))
    if len(counts) < len(named):
        twice = next(i for i in named if counts[str(i)] > 1)
        raise DataError(f"item {twice!r} has more than one vector: keep one of each")
    return named, rows


def placed(rows: Float, at: NDArray[Any], n: int) -> Float:
    """Put rows at positions `at` (−1: nowhere) of an (n, d) matrix that is zero elsewhere."""
    out = np.zeros((n, rows.shape[1]), np.float32)
    there = at >= 0
    out[at[there]] = rows[there]
    return out


def aligned(items: Ids, named: list[Any], rows: Float) -> Float:
    """Vectors in the order of a catalogue, (len(items), d); zeros where an item has none.

    Raises
    ------
    DataError
        No item of the catalogue has one.
    """
    at = items.lookup(named)
    if not (at >= 0).any():
        raise DataError(
            f"none of the {len(named):,} vectors belongs to an item of the log (log: {items!r}, "
            f"vectors: {named[:3]}): is their id column the right one?"
        )
    return placed(rows, at, len(items))


def joined(a: Float | None, b: Float | None) -> Float | None:
    """The vectors of one catalogue from two logs: those of `b` where `a` has none.

    Raises
    ------
    DataError
        They are of different lengths.
    """
    if a is None or b is None:
        return b if a is None else a
    if a.shape != b.shape:
        raise DataError(f"vectors of {a.shape[1]} and of {b.shape[1]} numbers: embed both alike")
    out = b.copy()
    there = np.flatnonzero(a.any(axis=1))
    out[there] = a[there]
    return out
