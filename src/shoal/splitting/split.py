"""Splits that do not leak: what is held out never reaches `fit` nor the fold-in history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shoal.data.align import joined
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.splitting.held_out import (
    HeldOut,
    Split,
    draw,
    joint_table,
    number_of_users,
    pair_with_targets,
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
        * cold-items: of the items that have a vector, shares are held out as a whole, for test
          and for validation; the users' other items are their histories. Ranked are the items
          held out, alone (`HeldOut.candidates`). Needs vectors.
    seed : int
        Of the random choices.
    test, validation : float or int, optional
        Sizes: a share (< 1) of users (strong), of each user's items (weak), of interactions
        (time) or of items (cold-items); strong and cold-items also take a number. Defaults: 0.1
        each, and for weak 0.2 and 0.1. Zero gives no validation.
    target_share : float
        For strong: the share of each held-out user's items to be found, rounded up for users
        with few items.
    last : int
        For leave-last.
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
        Sizes that leave no training or test users, or no times where they are needed.

    Notes
    -----
    Except for strong, items that occur in the held-out part alone stay in the list of items:
    they cannot be found, and count as such.
    """
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
    if protocol == "mult-vae":
        if kind != "strong":
            raise DataError("protocol 'mult-vae' is a strong split")
        return _mult_vae(log, 0.1 if test is None else test)
    if protocol is not None:
        raise DataError(f"no protocol {protocol!r}; there is 'mult-vae'")
    if kind == "cold-items":
        from shoal.splitting.cold import cold_items

        return cold_items(log, seed, _default(test, 0.1), _default(validation, 0.1))
    if kind == "strong":
        return _strong(log, seed, _default(test, 0.1), _default(validation, 0.1), target_share)
    if kind == "weak":
        return _weak(log, seed, _default(test, 0.2), _default(validation, 0.1))
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
    if kind == "leave-last":
        return _leave_last(log, log.times, last, with_validation=validation != 0)
    return _by_time(log, log.times, _default(test, 0.1), _default(validation, 0.1))


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
        Of that cut.

    Raises
    ------
    DataError
        No test user stands in `train`, item ids of different types, or a silly size.
    """
    if not 0 <= validation < 1:
        raise DataError(f"validation={validation}: give a share of each user's items below 1")
    items = Ids.union(train.items, test.items)
    table = joint_table(items, train, test)
    train, test = train.onto_items(items, table), test.onto_items(items, table)
    vectors = joined(train.item_vectors, test.item_vectors)
    train, test = replace(train, item_vectors=vectors), replace(test, item_vectors=vectors)
    at = train.users.match(test.users)
    known = np.flatnonzero(at >= 0)
    if known.size == 0:
        raise DataError(
            "no user of the test file stands in the training file: are the ids of the same kind? "
            f"(train: {train.users!r}, test: {test.users!r})"
        )
    whole = train
    target = test.take_users(known)
    history = whole.take_users(at[known])
    target = without(target, history)
    fit_on, validation_set = whole, None
    if validation:
        rng = np.random.default_rng(seed)
        chosen = draw(whole, validation, rng)
        fit_on = whole.keep(~chosen)
        validation_set = pair_with_targets(fit_on, whole.keep(chosen), fit_on.item_counts, "given")
    test_set = pair_with_targets(history, target, fit_on.item_counts, "given files")
    unknown = test.n_users - known.size
    test_set = replace(test_set, dropped=test_set.dropped + unknown)
    return Split(fit_on, validation_set, test_set, "given files")


def _default(size: float | int | None, default: float) -> float | int:
    return default if size is None else size


def _strong(
    log: Interactions, seed: int, test: float | int, validation: float | int, target_share: float
) -> Split:
    n_test, n_validation = (
        number_of_users(test, log.n_users),
        number_of_users(validation, log.n_users),
    )
    n_train = log.n_users - n_test - n_validation
    if n_test < 1 or n_train < 2:
        raise DataError(
            f"strong split of {log.n_users} users into {n_validation} validation and {n_test} "
            f"test users leaves {n_train} to train on; give other sizes (--test-size, "
            "--validation-size)"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(log.n_users)
    groups = np.split(order, [n_train, n_train + n_validation])
    train = log.take_users(groups[0]).without_unused()

    def fold(users: NDArray[Any], name: str) -> HeldOut:
        seen = log.take_users(users).onto_items(train.items, train.item_table)
        chosen = draw(seen, target_share, rng)
        name = f"strong {name}, seed {seed}"
        return pair_with_targets(seen.keep(~chosen), seen.keep(chosen), train.item_counts, name)

    validation_set = fold(groups[1], "validation") if n_validation else None
    return Split(train, validation_set, fold(groups[2], "test"), f"strong, seed {seed}")


def _mult_vae(log: Interactions, size: float | int) -> Split:
    n_held = number_of_users(size, log.n_users)
    if n_held < 1 or log.n_users - 2 * n_held < 2:
        raise DataError(f"mult-vae: {n_held} users each of {log.n_users} leave none to train on")
    legacy = np.random.RandomState(MULT_VAE_SEED)
    order = legacy.permutation(log.n_users)
    cuts = [log.n_users - 2 * n_held, log.n_users - n_held]
    groups = np.split(order, cuts)
    train = log.take_users(groups[0]).without_unused()

    def fold(users: NDArray[Any], name: str) -> HeldOut:
        legacy = np.random.RandomState(MULT_VAE_SEED)
        seen = log.take_users(users).onto_items(train.items, train.item_table)
        chosen = np.zeros(len(seen), np.bool_)
        for begin, end in zip(seen.indptr[:-1], seen.indptr[1:], strict=True):
            n = int(end - begin)
            if n >= 5:
                places = np.arange(begin, end)
                if seen.rows is not None:
                    places = places[np.argsort(seen.rows[begin:end], kind="stable")]
                chosen[places[legacy.choice(n, size=int(0.2 * n), replace=False)]] = True
        name = f"mult-vae {name}"
        return pair_with_targets(seen.keep(~chosen), seen.keep(chosen), train.item_counts, name)

    return Split(train, fold(groups[1], "validation"), fold(groups[2], "test"), "mult-vae")


def _weak(log: Interactions, seed: int, test: float, validation: float) -> Split:
    if not 0 < test + validation < 1 or test <= 0:
        raise DataError(f"weak split: test {test} and validation {validation} must add to < 1")
    rng = np.random.default_rng(seed)
    for_test = draw(log, test, rng)
    rest = log.keep(~for_test)
    train, validation_set = rest, None
    name = f"weak, {test:.0%} of each user's items, seed {seed}"
    if validation:
        chosen = draw(rest, validation / (1 - test), rng)
        train = rest.keep(~chosen)
        validation_set = pair_with_targets(train, rest.keep(chosen), train.item_counts, name)
    test_set = pair_with_targets(rest, log.keep(for_test), train.item_counts, name)
    return Split(train, validation_set, test_set, name)


def _leave_last(
    log: Interactions, times: NDArray[Any], last: int, *, with_validation: bool
) -> Split:
    if last < 1:
        raise DataError(f"leave-last: last={last}, give 1 or more")
    n = np.diff(log.indptr)
    order = np.lexsort((log.indices, times, log.user_codes))
    from_end = np.empty(len(log), np.int64)
    from_end[order] = np.repeat(log.indptr[1:], n) - 1 - np.arange(len(log))
    # a user too short to leave anything to learn from stays in training as a whole
    held = last * (2 if with_validation else 1)
    long_enough = np.repeat(n > held, n)
    in_test = long_enough & (from_end < last)
    in_validation = long_enough & (from_end >= last) & (from_end < held)
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
    """A time for people: a date if it can be one in seconds since 1970 (from 1980 to 2100)."""
    if 3.2e8 < time < 4.1e9:
        return datetime.fromtimestamp(time, UTC).date().isoformat()
    return f"{time:g}"
