"""Ratings held out: sizes, no overlap, whose, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.splitting.ratings import RATING_KINDS, RatingKind, split_given_ratings, split_ratings

from .split_helpers import pairs


def rated(seed: int = 0, n_users: int = 50, n_items: int = 30) -> Interactions:
    """Users with 1 to 20 ratings, at distinct times that do not go with the item numbers."""
    rng = np.random.default_rng(seed)
    rows = [
        (u, int(i), int(rng.integers(1, 6)))
        for u in range(n_users)
        for i in rng.choice(n_items, 1 + u % 20, replace=False)
    ]
    frame = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
    times = pl.Series("time", rng.permutation(len(frame)))
    return shoal.read(frame.with_columns(times), values="keep")


def triples(log: Interactions) -> set[tuple[int, int, float]]:
    assert log.values is not None
    return set(zip(log.user_codes, log.indices, log.values, strict=True))


@pytest.mark.parametrize("kind", RATING_KINDS)
def test_the_parts_are_the_log_and_share_no_rating(kind: RatingKind) -> None:
    log = rated()
    parts = split_ratings(log, kind)
    assert parts.validation is not None
    every = [triples(p) for p in (parts.train, parts.validation, parts.test)]
    assert set.union(*every) == triples(log)
    assert sum(map(len, every)) == len(log)
    for part in (parts.train, parts.validation, parts.test):
        assert (part.users, part.items) == (log.users, log.items)


def test_random_takes_exactly_the_shares_and_the_seed_decides() -> None:
    log = rated()
    parts = split_ratings(log, "random", seed=3, test=0.2, validation=0.1)
    assert parts.validation is not None
    n = len(log)
    assert len(parts.test) == round(0.2 * n)
    assert len(parts.validation) == round(0.1 * (n - len(parts.test)))
    again = split_ratings(log, "random", seed=3, test=0.2, validation=0)
    assert again.validation is None
    assert triples(again.test) == triples(parts.test)  # validation takes nothing from the test
    other = split_ratings(log, "random", seed=4, test=0.2)
    assert triples(other.test) != triples(parts.test)


@pytest.mark.parametrize("kind", ["user", "time"])
def test_each_user_gives_a_share_but_never_all(kind: RatingKind) -> None:
    log = rated()
    parts = split_ratings(log, kind, test=0.25, validation=0)
    n, held = np.diff(log.indptr), np.diff(parts.test.indptr)
    expected = [0 if k < 2 else min(max(round(k / 4), 1), k - 1) for k in n]
    assert held.tolist() == expected


def test_time_takes_the_latest() -> None:
    log = rated()
    parts = split_ratings(log, "time")
    assert parts.validation is not None
    for u in range(log.n_users):

        def times(part: Interactions, u: int = u) -> list[int]:
            assert part.times is not None
            return part.times[part.indptr[u] : part.indptr[u + 1]].tolist()

        before, between, after = (times(p) for p in (parts.train, parts.validation, parts.test))
        assert max(before, default=-1) < min(between, default=10**9)
        assert max(before + between, default=-1) < min(after, default=10**9)


def test_a_draw_does_not_look_at_the_ratings() -> None:
    log = rated()
    assert log.values is not None
    changed = replace(log, values=6 - log.values)
    for kind in RATING_KINDS:
        assert pairs(split_ratings(log, kind).test) == pairs(split_ratings(changed, kind).test)


def test_given_files_are_put_over_the_users_and_items_of_both() -> None:
    def log(rows: list[tuple[str, str, int]]) -> Interactions:
        frame = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
        return shoal.read(frame, values="keep")

    train = log([("b", "x", 5), ("b", "z", 1), ("d", "x", 2)])
    test = log([("a", "x", 3), ("d", "y", 4), ("b", "x", 1)])
    parts = split_given_ratings(train, test)
    assert parts.train.users.take([0, 1, 2]) == ["a", "b", "d"]
    assert parts.train.items.take([0, 1, 2]) == ["x", "y", "z"]
    assert triples(parts.train) == {(1, 0, 5.0), (1, 2, 1.0), (2, 0, 2.0)}
    assert triples(parts.test) == {(0, 0, 3.0), (2, 1, 4.0)}  # (b, x) is known already
    with pytest.raises(DataError, match="stands in the training file"):
        split_given_ratings(train, train)
    held = split_given_ratings(train, test, validation=0.34).validation
    assert held is not None
    assert len(held) == 1


def test_what_cannot_be_split_is_refused() -> None:
    log = rated()
    with pytest.raises(DataError, match="no split of ratings 'strong'; there are random"):
        split_ratings(log, "strong")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"test=1\.5: give a share"):
        split_ratings(log, test=1.5)
    with pytest.raises(DataError, match=r"--values keep"):
        split_ratings(replace(log, values=None))
    with pytest.raises(DataError, match="needs times"):
        split_ratings(replace(log, times=None), "time")
    with pytest.raises(DataError, match="leave none for test"):
        split_ratings(log, test=1e-6)
