"""A training and a test file that are given become a split."""

from __future__ import annotations

import polars as pl
import pytest

from shoal.data.read import read
from shoal.errors import DataError
from shoal.splitting.split import split_given

from .split_helpers import in_two, items, log_of, of_user, pairs, random_log, users


def test_given_files() -> None:
    found = split_given(log_of("1ab 2bc 3ad"), log_of("1bx 2a 3d 4ab"))
    assert items(found.train) == ["a", "b", "c", "d", "x"]
    assert pairs(found.train) == pairs(log_of("1ab 2bc 3ad"))
    assert found.validation is None
    # 1b and 3d are known already; then 3 has nothing to find, and 4 is unknown
    assert pairs(found.test.target) == {(1, "x"), (2, "a")}
    assert pairs(found.test.history) == {(1, "a"), (1, "b"), (2, "b"), (2, "c")}
    assert found.test.dropped == 2
    assert found.test.train_counts.tolist() == [2, 2, 1, 1, 0]


def test_given_with_validation() -> None:
    train, test = in_two(random_log())
    found = split_given(train, test, validation=0.25, seed=1)
    assert found.validation is not None
    cut = pairs(found.validation.target)
    assert pairs(found.train) | cut == pairs(train)
    assert not pairs(found.train) & cut
    for user in users(train):
        n = len(of_user(pairs(train), user))
        assert len(of_user(cut, user)) == (0 if n == 1 else max(1, round(0.25 * n)))
    plain = split_given(train, test)
    # what is cut off for validation is history again at test
    assert pairs(found.test.history) == pairs(plain.test.history)
    assert pairs(found.test.target) == pairs(plain.test.target)
    assert pairs(found.validation.history) == {
        p for p in pairs(found.train) if p[0] in users(found.validation.target)
    }


def test_given_files_that_do_not_fit_together() -> None:
    train = log_of("1ab 2bc")
    with pytest.raises(DataError, match="no user of the test file stands in the training file"):
        split_given(train, log_of("7ab 8bc"))
    for share in (-0.1, 1, 3, float("nan")):
        with pytest.raises(DataError, match="give a share of each user's items below 1"):
            split_given(train, train, validation=share)
    with pytest.raises(DataError, match="no user has both"):
        split_given(train, train)


def test_given_joins_number_ids_with_text_ids_as_text() -> None:
    """What two CSV files give when one of them happens to have numbers only."""
    train = read(pl.DataFrame({"user": [1, 1, 2, 2], "item": [10, 11, 11, 12]}))
    test = read(pl.DataFrame({"user": [1, 2], "item": ["x1", "10"]}))
    found = split_given(train, test)
    assert found.train.items.take(range(4)) == ["10", "11", "12", "x1"]
    assert pairs(found.test.target) == {(1, "x1"), (2, "10")}
    assert pairs(found.test.history) == {(1, "10"), (1, "11"), (2, "11"), (2, "12")}


def test_given_matches_users_across_text_and_numbers() -> None:
    test = pl.DataFrame({"user": ["1", "2"], "item": ["c", "a"]})
    found = split_given(log_of("1ab 2bc"), read(test))
    assert len(found.test.target) == 2
