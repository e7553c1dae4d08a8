"""What a split makes: training data, and users with something held out to be found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.kernels.arrays import Bool, Long


@dataclass(frozen=True)
class HeldOut:
    """Users to evaluate on: their histories, and the items that are to be found.

    Parameters
    ----------
    history : Interactions
        The input of the model, over the same items as the training data.
    target : Interactions
        The held-out interactions of the same users, over the same items. Each user has one at
        least.
    train_counts : (n_items,) int64
        Users per item in the training data, for popularity and for head and tail.
    name : str
        Description for tables: "strong, 10 % of users, seed 0".
    dropped : int
        Users left out because nothing could be held out for them.
    candidates : (n_items,) bool, optional
        Whether an item is ranked; all items are, unless given.
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
        """The same users and targets, with all items as candidates."""
        return replace(self, candidates=None, name=f"{self.name}, ranked among all items")

    def __repr__(self) -> str:
        return f"HeldOut({self.name}: {self.n_users:,} users, {len(self.target):,} targets)"


@dataclass(frozen=True)
class Split:
    """Training data, validation users and test users, over one list of items.

    Parameters
    ----------
    train : Interactions
        What a model is fitted on.
    validation : HeldOut or None
        Users for early stopping and tuning.
    test : HeldOut
        Users for the final evaluation.
    name : str
        Description for tables.
    """

    train: Interactions
    validation: HeldOut | None
    test: HeldOut
    name: str

    def __repr__(self) -> str:
        return f"Split({self.name}: train {self.train!r}, test {self.test!r})"


def number_from_size(size: float | int, total: int) -> int:
    """Turn a size, which is a share of the total if it is below 1, into a number."""
    return round(size * total) if size < 1 else int(size)


def pair_with_targets(
    history: Interactions, target: Interactions, counts: Long, name: str
) -> HeldOut:
    """Pair histories with targets; users who lack one of them are left out and counted.

    Raises
    ------
    DataError
        No user has both.
    """
    has_both = (np.diff(target.indptr) > 0) & (np.diff(history.indptr) > 0)
    users = np.flatnonzero(has_both)
    if users.size == 0:
        raise DataError(f"split {name!r}: no user has both a history and a held-out item")
    dropped = int((~has_both).sum())
    return HeldOut(history.take_users(users), target.take_users(users), counts, name, dropped)


def without(target: Interactions, history: Interactions) -> Interactions:
    """Leave out of `target` the pairs that stand in `history`; both have the same users."""
    n = target.n_items
    pairs = target.user_codes.astype(np.int64) * n + target.indices
    known = history.user_codes.astype(np.int64) * n + history.indices
    return target.keep(~np.isin(pairs, known, assume_unique=True))


def joint_table(items: Ids, train: Interactions, test: Interactions) -> pl.DataFrame | None:
    """Join the item tables of two logs over a list of items; None if neither has one."""
    tables = [log.item_table for log in (train, test) if log.item_table is not None]
    if not tables:
        return None
    rows = pl.concat(tables, how="diagonal_relaxed").group_by("item", maintain_order=True)
    return pl.DataFrame({"item": items.series}).join(
        rows.agg(pl.all().drop_nulls().first()), on="item", how="left", maintain_order="left"
    )


def draw(log: Interactions, share: float, rng: np.random.Generator) -> Bool:
    """Choose a share of each user's interactions at random.

    Of n interactions round(share · n) are chosen; at least one where n ≥ 2, and never all.

    Returns
    -------
    (len(log),) bool
    """
    random_order = np.lexsort((rng.random(len(log)), log.user_codes))
    rank = np.empty(len(log), np.int64)
    rank[random_order] = np.arange(len(log)) - np.repeat(log.indptr[:-1], np.diff(log.indptr))
    return rank < share_of_each(log, share)


def latest(log: Interactions, times: NDArray[Any], share: float) -> Bool:
    """Choose the latest share of each user's interactions, as many as `draw` chooses.

    Equal times are taken in the order of the items.

    Returns
    -------
    (len(log),) bool
    """
    return place_from_end(log, times) < share_of_each(log, share)


def share_of_each(log: Interactions, share: float) -> Long:
    """How many of its user's n interactions to choose, for each interaction; see `draw`."""
    n = np.diff(log.indptr)
    counts = np.clip(np.round(share * n), n >= 2, np.maximum(n - 1, 0)).astype(np.int64)
    return np.repeat(counts, n)


def place_from_end(log: Interactions, times: NDArray[Any]) -> Long:
    """Place of each interaction among its user's, counted back from the latest, which has 0."""
    in_time = np.lexsort((log.indices, times, log.user_codes))
    places = np.empty(len(log), np.int64)
    places[in_time] = np.repeat(log.indptr[1:], np.diff(log.indptr)) - 1 - np.arange(len(log))
    return places
