"""Splits of ratings: what is held out are single ratings, of users and items that stay known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from shoal.data.ids import Ids
from shoal.data.interactions import NAME_THE_TIMES, Interactions
from shoal.errors import DataError
from shoal.kernels.arrays import Bool
from shoal.splitting.held_out import draw, joint_table, latest, without

RatingKind = Literal["random", "user", "time"]
RATING_KINDS: tuple[RatingKind, ...] = ("random", "user", "time")


@dataclass(frozen=True)
class RatingSplit:
    """Ratings in two or three parts, all over the same users and items.

    Parameters
    ----------
    train : Interactions
        Ratings to fit on, with values. Users and items without any training rating are cold.
    validation : Interactions or None
        Ratings for early stopping and for tuning.
    test : Interactions
        Ratings for the final evaluation.
    name : str
        Description for tables: "random 10 % of the ratings, seed 0".
    """

    train: Interactions
    validation: Interactions | None
    test: Interactions
    name: str

    def __repr__(self) -> str:
        return f"RatingSplit({self.name}: train {self.train!r}, test {len(self.test):,} ratings)"


def split_ratings(
    log: Interactions,
    kind: RatingKind = "random",
    *,
    seed: int = 0,
    test: float = 0.1,
    validation: float = 0.1,
) -> RatingSplit:
    """Hold out ratings to be predicted.

    Parameters
    ----------
    log : Interactions
        A log with values, read with ``read(…, values="keep")``.
    kind : {"random", "user", "time"}
        * random: a share of all ratings (Sedhain et al., WWW 2015: 90 % to 10 %).
        * user: of each user's ratings a share at random; at least one of two or more, never all.
        * time: of each user's ratings the latest, as many as for "user". Needs times, or an order
          in time.
    seed : int
        Seed of the random choices. The test part depends on it and on `test` alone.
    test : float
        Share of the ratings to test on.
    validation : float
        Share of the other ratings to validate on, chosen in the same way; 0 for none.

    Returns
    -------
    RatingSplit

    Raises
    ------
    DataError
        The log has no values, or no times for "time"; shares that leave a part empty.
    """
    _check_rating_options(log, kind, test, validation)
    chosen = _choose(log, kind, test, np.random.default_rng(seed))
    test_part = log.keep(chosen)
    train, validation_part = _cut_validation(log.keep(~chosen), kind, validation, seed)
    parts = {"training": train, "validation": validation_part, "test": test_part}
    empty = [name for name, part in parts.items() if part is not None and len(part) == 0]
    if empty:
        raise DataError(
            f"{len(log):,} ratings split into {test:.0%} test and {validation:.0%} of the rest "
            f"for validation leave none for {' and '.join(empty)}; give other shares "
            "(--test-size, --validation-size)"
        )
    names = {
        "random": f"random {test:.0%} of the ratings, seed {seed}",
        "user": f"{test:.0%} of each user's ratings, seed {seed}",
        "time": f"latest {test:.0%} of each user's ratings",
    }
    return RatingSplit(train, validation_part, test_part, names[kind])


def _check_rating_options(
    log: Interactions, kind: RatingKind, test: float, validation: float
) -> None:
    if kind not in RATING_KINDS:
        raise DataError(f"no split of ratings {kind!r}; there are {', '.join(RATING_KINDS)}")
    for name, share in (("test", test), ("validation", validation)):
        if not (0 < share < 1 or (name == "validation" and share == 0)):
            raise DataError(f"{name}={share}: give a share of the ratings between 0 and 1")
    _need_values(log)
    if kind == "time" and log.times is None:
        raise DataError(f"the time split needs times, and the log has none. {NAME_THE_TIMES}")


def _cut_validation(
    log: Interactions, kind: RatingKind, share: float, seed: int
) -> tuple[Interactions, Interactions | None]:
    """What is left to train on, and the part to validate on (None for a share of 0)."""
    if not share:
        return log, None
    # a generator of its own: the test is the same with and without validation
    chosen = _choose(log, kind, share, np.random.default_rng([seed, 1]))
    return log.keep(~chosen), log.keep(chosen)


def split_given_ratings(
    train: Interactions, test: Interactions, *, validation: float = 0.0, seed: int = 0
) -> RatingSplit:
    """Use files that are split already.

    Parameters
    ----------
    train, test : Interactions
        Logs with values. Users and items of either file are in the split; those of the test alone
        are cold. Test pairs that stand in `train` too are dropped.
    validation : float
        Share of the training ratings to validate on, chosen at random.
    seed : int
        Seed of that choice.

    Raises
    ------
    DataError
        No values, a share out of range, no rating left to test on.
    """
    for log in (train, test):
        _need_values(log)
    if not 0 <= validation < 1:
        raise DataError(f"validation={validation}: give a share of the ratings below 1")
    users, items = Ids.union(train.users, test.users), Ids.union(train.items, test.items)
    table = joint_table(items, train, test)
    train, test = (_onto(log.onto_items(items, table), users) for log in (train, test))
    test = without(test, train)
    if len(test) == 0:
        raise DataError("every pair of the test file stands in the training file too")
    train, validation_part = _cut_validation(train, "random", validation, seed)
    return RatingSplit(train, validation_part, test, "given files")


def _need_values(log: Interactions) -> None:
    if log.values is None:
        raise DataError(
            "ratings are to be split, and the log holds none: read it with values='keep' "
            "(--values keep)"
        )


def _choose(log: Interactions, kind: RatingKind, share: float, rng: np.random.Generator) -> Bool:
    """Which ratings to hold out, (len(log),)."""
    if kind == "random":
        chosen = np.zeros(len(log), np.bool_)
        chosen[rng.permutation(len(log))[: round(share * len(log))]] = True
        return chosen
    if kind == "user":
        return draw(log, share, rng)
    assert log.times is not None
    return latest(log, log.times, share)


def _onto(log: Interactions, users: Ids) -> Interactions:
    """The same interactions over a longer list of users."""
    codes = users.match(log.users)[log.user_codes]
    columns = {n: getattr(log, n) for n in ("values", "times", "rows")}
    moved = Interactions.from_codes(users, log.items, codes, log.indices, **columns)
    return replace(
        moved,
        item_table=log.item_table,
        report=log.report,
        notes=log.notes,
        preparation=log.preparation,
        times_are_ranks=log.times_are_ranks,
    )
