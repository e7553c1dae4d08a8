"""What the article's models are fitted on, and what they are measured on: its splits, redone.

"ranking" is the data of its CDAE, Mult-VAE and ESAE: every rating is a positive, and of each user's
n items ⌊0.8·n⌋, drawn at random, are for training. "fold-in" is the data of its SVAE: ratings of 4
and more, users who are not trained on, the first 80 % of their items in time as history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import shoal
from benchmarks.harness.data import folder
from shoal.data.interactions import Interactions
from shoal.splitting.held_out import HeldOut

K = 100
TRAIN_SHARE = 0.8
VALIDATION_SHARE = 0.1  # of each user's training items
FOLD_IN_SEED, FOLD_IN_USERS, MOST_ITEMS = 12345, 750, 1_000


@dataclass(frozen=True)
class Task:
    """One split.

    Parameters
    ----------
    train : Interactions
    validation : HeldOut
        Chooses the epoch.
    test : HeldOut
    """

    train: Interactions
    validation: HeldOut
    test: HeldOut


def read(
    min_value: float | None = None, values: Literal["binary", "keep"] = "binary"
) -> Interactions:
    """MovieLens-1M, whole or without its lower ratings."""
    path = folder("ml-1m") / "interactions.parquet"
    return shoal.read(path, min_value=min_value, values=values)


def chosen(log: Interactions, wanted: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """So many of each user's interactions, at random."""
    rank = _rank(log, np.random.default_rng(seed).random(len(log)))
    return rank < np.repeat(wanted, np.diff(log.indptr))


def _rank(log: Interactions, keys: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of each interaction among its user's, by ascending key."""
    rank = np.empty(len(log), np.int64)
    begin = np.repeat(log.indptr[:-1], np.diff(log.indptr))
    rank[np.lexsort((keys, log.user_codes))] = np.arange(len(log)) - begin
    return rank


def as_published(seed: int) -> Task:
    """The article's ranking task; what chooses the epoch is the test itself, as there."""
    log = read()
    counts = np.diff(log.indptr)
    in_train = chosen(log, (TRAIN_SHARE * counts).astype(np.int64), seed)
    train = log.keep(in_train)
    test = HeldOut(train, log.keep(~in_train), train.item_counts, f"80/20 by user, seed {seed}")
    return Task(train, test, test)


def corrected(seed: int) -> Task:
    """The same split; the epoch is chosen on a part of the training items, then given back."""
    published = as_published(seed)
    known = published.train
    wanted = np.maximum(np.rint(VALIDATION_SHARE * np.diff(known.indptr)), 1).astype(np.int64)
    for_validation = chosen(known, wanted, seed + 1_000_000)
    train = known.keep(~for_validation)
    name = published.test.name
    validation = HeldOut(train, known.keep(for_validation), train.item_counts, name)
    return Task(train, validation, replace(published.test, train_counts=train.item_counts))


def fold_in(
    seed: int, *, split_seed: int = FOLD_IN_SEED, most_items: int | None = MOST_ITEMS
) -> Task:
    """The article's task for SVAE: unseen users, ordered in time.

    The split is the same for all seeds of training. SVAE's authors have another `split_seed`, and
    by the sizes that they print, users with any number of items.
    """
    log = read(min_value=4)
    counts = np.diff(log.indptr)
    wanted = (counts >= 5) & (counts <= (most_items or np.inf))
    log = log.take_users(np.flatnonzero(wanted))
    order = np.random.RandomState(split_seed).permutation(log.n_users)
    cuts = [log.n_users - 2 * FOLD_IN_USERS, log.n_users - FOLD_IN_USERS]
    groups = np.split(order, cuts)
    train = log.take_users(groups[0]).without_unused()

    def part(users: NDArray[np.int64], name: str) -> HeldOut:
        seen = log.take_users(users).onto_items(train.items, train.item_table)
        assert seen.times is not None
        n = np.diff(seen.indptr)
        first = np.where(n >= 5, (TRAIN_SHARE * n).astype(np.int64), n)
        history = _rank(seen, seen.times.astype(np.float64)) < np.repeat(first, n)
        some = np.flatnonzero(first < n)
        known, target = seen.keep(history), seen.keep(~history)
        return HeldOut(
            known.take_users(some),
            target.take_users(some),
            train.item_counts,
            f"fold-in {name}, 80/20 in time",
            int((first == n).sum()),
        )

    return Task(train, part(groups[1], "validation"), part(groups[2], "test"))


def facts(task: Task) -> dict[str, int]:
    """Sizes, to be held against the article's."""
    return {
        "train_users": task.train.n_users,
        "items": task.train.n_items,
        "train": len(task.train),
        "validation_history": len(task.validation.history),
        "validation_targets": len(task.validation.target),
        "test_history": len(task.test.history),
        "test_targets": len(task.test.target),
    }
