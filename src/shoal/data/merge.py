"""One log of two: a log, and more rows that came from elsewhere, such as events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from shoal.data.ids import CANONICAL_INT, CANONICAL_UUID, Ids
from shoal.data.interactions import Interactions
from shoal.data.prepare import Duplicates, Entries, prepare_entries
from shoal.errors import DataError
from shoal.kernels.arrays import Int


def merged(
    log: Interactions,
    more: Interactions,
    *,
    duplicates: Duplicates = "last",
    min_item_users: int = 0,
    min_user_items: int = 0,
    k_core: int = 0,
) -> Interactions:
    """One log of the rows of two.

    Items keep the type of id that they have in `log`: rows of `more` whose item cannot be such an
    id are left out, and `notes` says how many. Attributes and vectors of items are left out, too.

    Parameters
    ----------
    log, more : Interactions
        Where one has values and the other has none, each row without one counts 1. If `log` was
        read with ``values="log1p"``, values of `more` that are none yet become logarithms, too.
    duplicates, min_item_users, min_user_items, k_core
        As of `shoal.read`, for the rows of both together.

    Raises
    ------
    DataError
        Only one of the two has times, or no interaction is left.
    """
    if (log.times is None) != (more.times is None):
        raise DataError("one of the two logs has times and the other has none: name the column")
    items, item_codes = _joined(log.items, more.items, keep_kind=True)
    users, user_codes = _joined(log.users, more.users, keep_kind=False)
    notes, chosen = log.notes, item_codes[1][more.indices] >= 0
    if not chosen.all():
        left_out = f"{int((~chosen).sum()):,} added rows are left out: their items are no ids like"
        notes = (*notes, f"{left_out} those of the log ({log.items!r})")
        more = more.keep(chosen)
    parts = (log, more)
    valued = any(part.values is not None for part in parts)
    counts = [part.preparation.get("values") == "log1p" for part in parts]
    values = [
        np.expm1(part.arrays[2]) if logarithms else part.arrays[2]
        for part, logarithms in zip(parts, counts, strict=True)
    ]
    entries = Entries(
        user=np.concatenate([c[p.user_codes] for c, p in zip(user_codes, parts, strict=True)]),
        users=users,
        item=np.concatenate([c[p.indices] for c, p in zip(item_codes, parts, strict=True)]),
        items=items,
        value=np.concatenate(values) if valued else None,
        time=None if log.times is None else np.concatenate([log.times, more.times]),
        row=None,
        keep_value=valued,
        name="the log and the rows that were added",
        logarithm=counts[0],
    )
    together = prepare_entries(
        entries,
        list(log.report),
        duplicates=duplicates,
        min_item_users=min_item_users,
        min_user_items=min_user_items,
        k_core=k_core,
    )
    return replace(
        together,
        notes=notes,
        preparation=log.preparation,
        times_are_ranks=log.times_are_ranks,
        times_are_dates=log.times_are_dates,
    )


def _joined(first: Ids, second: Ids, *, keep_kind: bool) -> tuple[Ids, tuple[Int, Int]]:
    """The ids of both, and where those of each are among them (−1: left out).

    Parameters
    ----------
    first, second : Ids
    keep_kind : bool
        Whether ids of the second that cannot be of the first's type are left out; otherwise all
        become text then.
    """
    kind, mine, theirs = first.kind, first.series, _as_kind(second.series, first)
    if theirs.null_count() and not keep_kind:
        kind, mine, theirs = "str", mine.cast(pl.String), second.series.cast(pl.String)
    values = pl.concat([mine, theirs.drop_nulls()]).unique().sort()
    both = Ids(values, kind)
    return both, (both.match(Ids(mine, kind)), both.match(Ids(theirs, kind)))


def _as_kind(ids: pl.Series, like: Ids) -> pl.Series:
    """Ids in the type of others, null where they cannot be."""
    if ids.dtype == like.series.dtype and like.kind != "uuid":
        return ids
    texts = ids.cast(pl.String)
    if like.kind == "int":
        numbers = texts.cast(pl.Int64, strict=False)
        return numbers.zip_with(texts.str.contains(CANONICAL_INT), _nulls(numbers))
    if like.kind == "uuid":
        texts = texts.str.to_lowercase()
        return texts.zip_with(texts.str.contains(CANONICAL_UUID), _nulls(texts))
    return texts


def _nulls(like: pl.Series) -> pl.Series:
    return pl.Series([None] * len(like), dtype=like.dtype)
