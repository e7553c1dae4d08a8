"""Splits that do not leak: what is held out reaches neither `fit` nor the fold-in history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shoal.data.accept import as_interactions
from shoal.data.align import joined
from shoal.data.checks import check_users, check_weights
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.kernels.arrays import Bool
from shoal.splitting.cold import cold_items
from shoal.splitting.held_out import (
    HeldOut,
    Split,
    draw,
    joint_table,
    number_from_size,
    pair_with_targets,
    place_from_end,
    without,
)

Kind = Literal["strong", "weak", "leave-last", "time", "cold-items"]
KINDS: tuple[Kind, ...] = ("strong", "weak", "leave-last", "time", "cold-items")

MULT_VAE_SEED = 98765  # Liang et al. 2018, https://github.com/dawenl/vae_cf


def split(
    log: Interactions,
    kind: Kind = "strong",
    *,
    seed: int = 0,
    test: float | int | None = None,
    validation: float | int | None = None,
    target_share: float = 0.2,
    last: int = 1,
    protocol: Literal["mult-vae"] | None = None,
) -> Split:
    """Split a log for honest evaluation.

    Parameters
    ----------
    log : Interactions
    kind : {"strong", "weak", "leave-last", "time", "cold-items"}
        * strong: whole users are held out. The model never sees them; at evaluation it gets
          1 − `target_share` of their items (fold-in) and has to find the rest. Items are those
          of the training users.
        * weak: of every user, a random share is held out.
        * leave-last: of every user, the `last` latest interactions are the test, the `last`
          before them the validation. Needs times.
        * time: two cuts in time; before them training, between them validation, after them
          test. Users without history before a cut are dropped and counted. Needs times.
        * cold-items: of the items that have a vector, shares are held out with all their
          interactions, for test and for validation; the users' other items are their histories.
          Only the held-out items are ranked (`HeldOut.candidates`). Needs vectors.
    seed : int
        Seed of the random choices.
    test, validation : float or int, optional
        Sizes: a share (< 1) of users (strong), of each user's items (weak), of interactions
        (time) or of items (cold-items); strong and cold-items also take a number. Defaults: 0.1
        each, and for weak 0.2 and 0.1. Zero gives no validation.
    target_share : float
        For strong: the share of each held-out user's items to be found, rounded up for users
        with few items.
    last : int
        For leave-last: how many interactions of each user to test on.
    protocol : "mult-vae", optional
        For strong: the recipe of Liang et al. (WWW 2018, section 4.2 and its notebook): legacy
        NumPy generator, seed 98765 (`seed` is ignored), one permutation of the users in id
        order, test and validation of `test` users each (a number; default 10 %), re-seeding
        before each fold-in draw, floor(20 %) of the items of users with at least 5. Positions
        are drawn in the order of the log's rows if it was read with ``file_order=True``, else
        by item id, which is the same for MovieLens-20M and Netflix.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        Sizes that leave no training or test users, no times where they are needed, or values that
        are not above zero.

    Notes
    -----
    Except for strong, items that occur in the held-out part alone stay in the list of items. Models
    that know nothing of them cannot recommend them, and they count as missed.
    """
    _check_options(kind, test, validation, target_share, protocol)
    log = as_interactions(log, "split")
    check_weights(log)
    check_users(log)
    if protocol == "mult-vae":
        return _mult_vae(log, 0.1 if test is None else test)
    test_share, validation_share = default_sizes(kind)
    test_size = test_share if test is None else test
    validation_size = validation_share if validation is None else validation
    if kind == "cold-items":
        return cold_items(log, seed, test_size, validation_size)
    if kind == "strong":
        return _strong(log, seed, test_size, validation_size, target_share)
    if kind == "weak":
        return _weak(log, seed, test_size, validation_size)
    times = _times_for(kind, log)
    if kind == "leave-last":
        return _leave_last(log, times, last, with_validation=validation != 0)
    return _by_time(log, times, test_size, validation_size)


def default_sizes(kind: Kind) -> tuple[float, float]:
    """The shares that are held out for test and for validation, where no sizes are given."""
    return (0.2, 0.1) if kind == "weak" else (0.1, 0.1)


def _check_options(
    kind: Kind,
    test: float | int | None,
    validation: float | int | None,
    target_share: float,
    protocol: str | None,
) -> None:
    """Refuse kinds, sizes and protocols that there are not; see `split`."""
    if kind not in KINDS:
        raise DataError(f"no split {kind!r}; there are {', '.join(KINDS)}")
    for name, size in (("test", test), ("validation", validation)):
        # 1.0 would be every user as a share and a single one as a number
        odd = size is not None and (size < 0 or not np.isfinite(size))
        odd = odd or (isinstance(size, float) and size >= 1 and (size == 1 or size % 1 != 0))
        if odd:
            raise DataError(f"{name}={size}: give a share between 0 and 1, or a number of users")
    if not 0 < target_share < 1:
        raise DataError(f"target_share={target_share}: must lie between 0 and 1")
    if protocol == "mult-vae" and kind != "strong":
        raise DataError("protocol 'mult-vae' is a strong split")
    if protocol not in (None, "mult-vae"):
        raise DataError(f"no protocol {protocol!r}; there is 'mult-vae'")


def _times_for(kind: Kind, log: Interactions) -> NDArray[Any]:
    """The times of a log, if a split of this kind can use them."""
    if log.times is None:
        raise DataError(
            f"the {kind} split needs times, and the log has none: name the column with "
            "columns={'time': …} (--columns time=…)"
        )
    if kind == "time" and log.times_are_ranks:
        raise DataError(
            "the time split needs times that can be compared between users; this log only has an "
            "order within each user. Use leave-last, or name another column: --columns time=…"
        )
    return log.times


def split_given(
    train: Interactions, test: Interactions, *, validation: float = 0.0, seed: int = 0
) -> Split:
    """Use files that are split already: each test user's history is what they have in `train`.

    Parameters
    ----------
    train, test : Interactions
        Test pairs that stand in `train` too are dropped. Items of either file are in the list.
    validation : float
        Share of each user's training items to cut off for validation; at test they belong to
        the history, so that the published protocol is kept.
    seed : int
        Seed of that cut.

    Raises
    ------
    DataError
        No test user stands in `train`, item ids of different types, or a size out of range.
    """
    train, test = (as_interactions(log, "split_given") for log in (train, test))
    if not 0 <= validation < 1:
        raise DataError(f"validation={validation}: give a share of each user's items below 1")
    check_weights(train)
    check_weights(test)
    items = Ids.union(train.items, test.items)
    table = joint_table(items, train, test)
    train, test = train.onto_items(items, table), test.onto_items(items, table)
    vectors = joined(train.item_vectors, test.item_vectors)
    train, test = replace(train, item_vectors=vectors), replace(test, item_vectors=vectors)
    rows_in_train = train.users.match(test.users)
    known = np.flatnonzero(rows_in_train >= 0)
    if known.size == 0:
        raise DataError(
            "no user of the test file stands in the training file: are the ids of the same kind? "
            f"(train: {train.users!r}, test: {test.users!r})"
        )
    history = train.take_users(rows_in_train[known])
    target = without(test.take_users(known), history)
    validation_set = None
    if validation:
        chosen = draw(train, validation, np.random.default_rng(seed))
        train, held_out = train.keep(~chosen), train.keep(chosen)
        validation_set = pair_with_targets(train, held_out, train.item_counts, "given")
    test_set = pair_with_targets(history, target, train.item_counts, "given files")
    n_unknown = test.n_users - known.size
    test_set = replace(test_set, dropped=test_set.dropped + n_unknown)
    return Split(train, validation_set, test_set, "given files")


def _strong(
    log: Interactions, seed: int, test: float | int, validation: float | int, target_share: float
) -> Split:
    n_test, n_validation = (
        number_from_size(test, log.n_users),
        number_from_size(validation, log.n_users),
    )
    n_train = log.n_users - n_test - n_validation
    if n_test < 1 or n_train < 2:
        raise DataError(
            f"strong split of {log.n_users} users into {n_validation} validation and {n_test} "
            f"test users leaves {n_train} to train on; give other sizes (--test-size, "
            "--validation-size; of an experiment file split.test, split.validation)"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(log.n_users)
    groups = np.split(order, [n_train, n_train + n_validation])
    train = log.take_users(groups[0]).without_unused()

    def fold(users: NDArray[Any], name: str) -> HeldOut:
        own = log.take_users(users).onto_items(train.items, train.item_table)
        chosen = draw(own, target_share, rng)
        name = f"strong {name}, seed {seed}"
        return pair_with_targets(own.keep(~chosen), own.keep(chosen), train.item_counts, name)

    validation_set = fold(groups[1], "validation") if n_validation else None
    return Split(train, validation_set, fold(groups[2], "test"), f"strong, seed {seed}")


def _mult_vae(log: Interactions, size: float | int) -> Split:
    n_held = number_from_size(size, log.n_users)
    if n_held < 1 or log.n_users - 2 * n_held < 2:
        raise DataError(f"mult-vae: {n_held} users each of {log.n_users} leave none to train on")
    legacy = np.random.RandomState(MULT_VAE_SEED)
    order = legacy.permutation(log.n_users)
    cuts = [log.n_users - 2 * n_held, log.n_users - n_held]
    groups = np.split(order, cuts)
    train = log.take_users(groups[0]).without_unused()

    def fold(users: NDArray[Any], name: str) -> HeldOut:
        own = log.take_users(users).onto_items(train.items, train.item_table)
        chosen = _mult_vae_targets(own)
        name = f"mult-vae {name}"
        return pair_with_targets(own.keep(~chosen), own.keep(chosen), train.item_counts, name)

    return Split(train, fold(groups[1], "validation"), fold(groups[2], "test"), "mult-vae")


def _mult_vae_targets(log: Interactions) -> Bool:
    """Choose a fifth of the interactions of each user with at least 5 of them, (len(log),)."""
    legacy = np.random.RandomState(MULT_VAE_SEED)
    chosen = np.zeros(len(log), np.bool_)
    for begin, end in zip(log.indptr[:-1], log.indptr[1:], strict=True):
        n = int(end - begin)
        if n >= 5:
            positions = np.arange(begin, end)
            if log.rows is not None:
                positions = positions[np.argsort(log.rows[begin:end], kind="stable")]
            chosen[positions[legacy.choice(n, size=int(0.2 * n), replace=False)]] = True
    return chosen


def _weak(log: Interactions, seed: int, test: float, validation: float) -> Split:
    if not 0 < test + validation < 1 or test <= 0:
        raise DataError(f"weak split: test {test} and validation {validation} must add to < 1")
    rng = np.random.default_rng(seed)
    for_test = draw(log, test, rng)
    before_test = log.keep(~for_test)
    train, validation_set = before_test, None
    name = f"weak, {test:.0%} of each user's items, seed {seed}"
    if validation:
        chosen = draw(before_test, validation / (1 - test), rng)
        train, held_out = before_test.keep(~chosen), before_test.keep(chosen)
        validation_set = pair_with_targets(train, held_out, train.item_counts, name)
    test_set = pair_with_targets(before_test, log.keep(for_test), train.item_counts, name)
    return Split(train, validation_set, test_set, name)


def _leave_last(
    log: Interactions, times: NDArray[Any], last: int, *, with_validation: bool
) -> Split:
    if last < 1:
        raise DataError(f"leave-last: last={last}, give 1 or more")
    n = np.diff(log.indptr)
    from_end = place_from_end(log, times)
    # a user too short to leave anything to learn from stays in training as a whole
    n_held_out = last * (2 if with_validation else 1)
    long_enough = np.repeat(n > n_held_out, n)
    in_test = long_enough & (from_end < last)
    in_validation = long_enough & (from_end >= last) & (from_end < n_held_out)
    name = f"leave-last-{last}-out"
    train = log.keep(~in_test & ~in_validation)
    validation_set = None
    if with_validation:
        validation_set = pair_with_targets(train, log.keep(in_validation), train.item_counts, name)
    test_set = pair_with_targets(log.keep(~in_test), log.keep(in_test), train.item_counts, name)
    return Split(train, validation_set, test_set, name)


def _by_time(log: Interactions, times: NDArray[Any], test: float, validation: float) -> Split:
    if not 0 < test + validation < 1 or test <= 0:
        raise DataError(f"time split: test {test} and validation {validation} must add to < 1")
    cuts = np.quantile(times, [1 - test - validation, 1 - test], method="higher")
    after = times >= cuts[1]
    between = (times >= cuts[0]) & ~after
    if after.all() or not (times < cuts[0]).any():
        raise DataError("time split: one moment holds so many interactions that no cut leaves both")
    name = f"time, cut at {_moment(float(cuts[1]))}"
    train = log.keep(times < cuts[0])
    validation_set = None
    if validation:
        validation_set = pair_with_targets(train, log.keep(between), train.item_counts, name)
    test_set = pair_with_targets(log.keep(~after), log.keep(after), train.item_counts, name)
    return Split(train, validation_set, test_set, name)


def _moment(time: float) -> str:
    """Write a time for people: a date where it can be one between 1980 and 2100 in seconds."""
    if 3.2e8 < time < 4.1e9:
        return datetime.fromtimestamp(time, UTC).date().isoformat()
    return f"{time:g}"
