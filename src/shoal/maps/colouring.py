"""Colours of items: by an attribute, in groups or on a scale, or by clusters of their vectors."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.cluster.vq import kmeans2

from shoal.data.items import with_type
from shoal.data.labels import labels
from shoal.errors import DataError
from shoal.kernels.arrays import Double, Long

MOST = 9  # number of groups with a colour of their own; more cannot be told apart
OTHER, MISSING = "other", "no value"
TELLING = 0.5  # share of the items with a value that groups with a colour of their own must have
_RESTARTS = 5


@dataclass(frozen=True)
class Colouring:
    """The colours of m items: one for each of several groups, or a scale.

    Parameters
    ----------
    name : str
        Name of the attribute, or ``cluster``.
    texts : tuple of str
        The value of each item, written for people.
    groups : tuple of str
        Names of the groups, largest first; empty for a scale. ``other`` and ``no value`` stand
        last, where there are such items.
    codes : (m,) int64
        Number of the group of each item; −1 on a scale.
    values : (m,) float64 or None
        The numbers that a scale shows, NaN where an item has none; None for groups.
    """

    name: str
    texts: tuple[str, ...]
    groups: tuple[str, ...]
    codes: Long
    values: Double | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Number of items in each group."""
        sizes = np.bincount(self.codes[self.codes >= 0], minlength=len(self.groups))
        return dict(zip(self.groups, sizes.tolist(), strict=True))

    @property
    def named(self) -> int:
        """How many groups have a colour; the ones after them are grey."""
        return sum(g not in (OTHER, MISSING) for g in self.groups)


def by_attribute(table: pl.DataFrame, name: str) -> Colouring:
    """Colour by a column: numbers and dates on a scale, all else in groups.

    Of several labels, as in ``Action|Comedy``, ``Action, Comedy`` or a list, the first counts.
    Text that holds numbers or dates throughout counts as such.

    Raises
    ------
    DataError
        There is no such column, its type cannot be shown by colours, it has no values, or each
        item has another value.
    """
    known = [c for c in table.columns if c != "item"]
    if name not in known:
        raise DataError(
            f"the items have no attribute {name!r}; they have: {', '.join(known) or 'none'}. "
            "`cluster` colours by clusters (--colour)"
        )
    column = with_type(table[name])
    if column.null_count() == len(column):
        raise DataError(f"no item has a value of {name!r}: colour by another attribute (--colour)")
    kind = column.dtype
    if isinstance(kind, pl.List | pl.Array):
        lists = column.to_list()
        texts = ["|".join(map(str, v)) if v else "" for v in lists]
        return _groups(name, texts, [str(v[0]) if v else None for v in lists])
    if isinstance(kind, pl.Date | pl.Datetime):
        years = column.dt.year() + (column.dt.ordinal_day() - 1) / 366
        return _scale(name, column, years)
    if kind.is_numeric():
        return _scale(name, column, column)
    if isinstance(kind, pl.Struct | pl.Object | pl.Binary):
        raise DataError(f"{name!r} has type {kind}: colour by text, numbers or dates (--colour)")
    values = column.cast(pl.String).to_list()
    first = [entry[0] if entry else None for entry in labels(values)]
    return _groups(name, [v or "" for v in values], first)


def telling_colourings(table: pl.DataFrame, most: int) -> list[Colouring]:
    """A colouring by each attribute that items share, at most so many, in the table's order.

    Left out are attributes whose values differ between most items, such as titles, those that are
    the same for all, and those that colours cannot show.
    """
    kept: list[Colouring] = []
    for name in table.columns:
        if name == "item" or len(kept) == most:
            continue
        try:
            colouring = by_attribute(table, name)
        except DataError:
            continue
        if colouring.values is not None:
            telling = len(np.unique(colouring.values[np.isfinite(colouring.values)])) > 1
        else:
            n_named = int((colouring.codes < colouring.named).sum())
            n_valued = len(table) - colouring.counts.get(MISSING, 0)
            telling = len(colouring.groups) > 1 and n_named >= TELLING * n_valued
        if telling:
            kept.append(colouring)
    return kept


def by_cluster(
    vectors: Double, k: int, titles: Sequence[str], seed: int, counts: Long | None = None
) -> Colouring:
    """Colour by k-means clusters of vectors (m, d), each named by some of its items.

    With `counts` (m,), the users of each item, these are its two most popular items; else it is one
    item that is typical of it.

    Raises
    ------
    DataError
        k is less than 1, more than 9, or more than there are items.
    """
    check_clusters(k, len(vectors))
    centres, codes = tightest_clusters(vectors, k, seed)
    sizes = np.bincount(codes, minlength=len(centres))
    names: list[str] = []
    ordered = np.zeros(len(codes), np.int64)
    for cluster in np.argsort(-sizes, kind="stable"):
        inside = np.flatnonzero(codes == cluster)
        if inside.size == 0:
            continue
        if counts is None:
            # not the one nearest to the centre: that is often an item with a weak, average vector
            named = inside[[(vectors[inside] @ centres[cluster]).argmax()]]
        else:
            named = inside[np.argsort(-counts[inside], kind="stable")[:2]]
        ordered[inside] = len(names)
        names.append(f"{len(names) + 1}: {', '.join(titles[item] for item in named)}")
    return Colouring("cluster", tuple(names[c] for c in ordered), tuple(names), ordered)


def tightest_clusters(vectors: Double, k: int, seed: int) -> tuple[Double, Long]:
    """Centres and codes of the tightest clusters of several runs of k-means; some may be empty."""
    k = min(k, len(np.unique(vectors, axis=0)))  # no more clusters than different vectors
    rng, best = np.random.default_rng(seed), None
    for _ in range(_RESTARTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of empty clusters
            centres, codes = kmeans2(vectors, k, iter=30, minit="++", seed=rng)
        spread = float(((vectors - centres[codes]) ** 2).sum())
        if best is None or spread < best[0]:
            best = spread, centres, codes.astype(np.int64)
    assert best is not None
    return best[1], best[2]


def check_clusters(k: int, m: int) -> None:
    """Refuse a number of clusters that m items cannot have, or that colours cannot show.

    Raises
    ------
    DataError
        k is less than 1, more than 9 or more than m.
    """
    if not 1 <= k <= min(MOST, m):
        raise DataError(f"{k} clusters: ask for 1 to {min(MOST, m)} (--clusters)")


def _groups(name: str, texts: Sequence[str], values: Sequence[str | None]) -> Colouring:
    """Colour by the most common values; the rest are ``other``, and None is ``no value``."""
    counts = Counter(v for v in values if v is not None)
    # by size, then by name, so that the order of the items does not matter
    common = sorted(counts, key=lambda v: (-counts[v], v))
    if len(common) > MOST and counts[common[0]] == 1:
        raise DataError(
            f"{name!r} has another value for each item: colour by an attribute that items share "
            "(--colour)"
        )
    common = common[:MOST]
    groups = list(common)
    if len(counts) > MOST:
        groups.append(OTHER)
    if any(v is None for v in values):
        groups.append(MISSING)
    position = {group: code for code, group in enumerate(common)}
    other, missing = len(common), len(groups) - 1
    codes = [missing if v is None else position.get(v, other) for v in values]
    return Colouring(name, tuple(texts), tuple(groups), np.array(codes, np.int64))


def _scale(name: str, column: pl.Series, numbers: pl.Series) -> Colouring:
    """Colour by numbers; `column` is what people read of them."""
    values = numbers.cast(pl.Float64).to_numpy().copy()
    values[~np.isfinite(values)] = np.nan
    if np.isnan(values).all():
        raise DataError(f"no item has a finite {name!r}: colour by another attribute (--colour)")
    texts = tuple("" if v is None else str(v) for v in column.to_list())
    return Colouring(name, texts, (), np.full(len(values), -1, np.int64), values)
