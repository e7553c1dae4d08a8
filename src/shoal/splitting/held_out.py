"""What a split makes: training data, and users with something held out to be found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.kernels.arrays import Bool, Long


@dataclass(frozen=True)
class HeldOut:
    """Users to evaluate on: what is known of them, and what is to be found.

    Parameters
    ----------
    history : Interactions
        The input of the model; over the same items as the training data.
    target : Interactions
        The held-out part; same users, same items. Each user has at least one.
    train_counts : (n_items,) int64
        Users per item in the training data (popularity, head and tail).
    name : str
        For tables: "strong, 10 % of users, seed 0".
    dropped : int
        Users left out because nothing could be held out for them.
    candidates : (n_items,) bool, optional
        The items that are ranked; all of them, unless given.
    """

    history: Interactions
    target: Interactions
    train_counts: Long
    name: str
    dropped: int = 0
    candidates: Bool | None = None

    @property
    def n_users(self) -> int:
        """Number of users to evaluate on."""
        return self.history.n_users

    def among_all(self) -> HeldOut:
        """The same, with all items as candidates."""
        return replace(self, candidates=None, name=f"{self.name}, ranked among all items")

    def __repr__(self) -> str:
        return f"HeldOut({self.name}: {self.n_users:,} users, {len(self.target):,} targets)"


@dataclass(frozen=True)
class Split:
    """Training data, validation users (or None) and test users, over one list of items."""

    train: Interactions
    validation: HeldOut | None
    test: HeldOut
    name: str

    def __repr__(self) -> str:
        return f"Split({self.name}: train {self.train!r}, test {self.test!r})"


def number_of_users(size: float | int, n_users: int) -> int:
    """Turn a share or a number of users into a number."""
    return round(size * n_users) if size < 1 else int(size)


def pair_with_targets(
    history: Interactions, target: Interactions, counts: Long, name: str
) -> HeldOut:
    """Pair histories with targets, leaving out users without either, and count those."""
    both = (np.diff(target.indptr) > 0) & (np.diff(history.indptr) > 0)
    some = np.flatnonzero(both)
    if some.size == 0:
        raise DataError(f"split {name!r}: no user has both a history and a held-out item")
    return HeldOut(
        history.take_users(some), target.take_users(some), counts, name, int((~both).sum())
    )


def without(target: Interactions, history: Interactions) -> Interactions:
    """`target` less the pairs that stand in `history`; same users in both."""
    n = target.n_items
    pairs = target.user_codes.astype(np.int64) * n + target.indices
    known = history.user_codes.astype(np.int64) * n + history.indices
    return target.keep(~np.isin(pairs, known, assume_unique=True))


def joint_table(items: Ids, train: Interactions, test: Interactions) -> pl.DataFrame | None:
    """Join the attributes that either file's items have."""
    tables = [log.item_table for log in (train, test) if log.item_table is not None]
    if not tables:
        return None
    rows = pl.concat(tables, how="diagonal_relaxed").group_by("item", maintain_order=True)
    return pl.DataFrame({"item": items.series}).join(
        rows.agg(pl.all().drop_nulls().first()), on="item", how="left", maintain_order="left"
    )


def draw(log: Interactions, share: float, rng: np.random.Generator) -> Bool:
    """Choose round(share · n) of each user's n items (at least one from n = 2 on, never all)."""
    n = np.diff(log.indptr)
    wanted = np.clip(np.round(share * n), n >= 2, np.maximum(n - 1, 0)).astype(np.int64)
    order = np.lexsort((rng.random(len(log)), log.user_codes))
    rank = np.empty(len(log), np.int64)
    rank[order] = np.arange(len(log)) - np.repeat(log.indptr[:-1], n)
    return rank < np.repeat(wanted, n)
