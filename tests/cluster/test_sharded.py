"""A log that is divided by user, and put together again."""

from __future__ import annotations

import numpy as np
import pytest

import shoal
from shoal.cluster.sharded import ShardedLog
from shoal.data.interactions import Interactions
from shoal.executor import Executor
from shoal.testing import toys


def log_of(n_users: int = 40, n_items: int = 12) -> Interactions:
    generator = np.random.default_rng(3)
    X = (generator.random((n_users, n_items)) < 0.3) * generator.integers(1, 6, (n_users, n_items))
    return toys.from_dense(X.astype(np.float32))


def assert_equal_logs(a: Interactions, b: Interactions) -> None:
    """Every field of two logs, bit by bit."""
    for name in Interactions.__dataclass_fields__:
        mine, theirs = getattr(a, name), getattr(b, name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype, name
            assert np.array_equal(mine, theirs), name
        elif hasattr(mine, "equals"):
            assert mine.equals(theirs), name
        elif name == "seen" and mine is not None:
            assert_equal_logs(mine, theirs)
        else:
            assert mine == theirs, name


@pytest.mark.parametrize("n_shards", [None, 1, 7, 1000])
def test_shards_put_together_are_the_log(executor: Executor, n_shards: int | None) -> None:
    log = log_of()
    sharded = ShardedLog.of(log, executor, n_shards)
    assert_equal_logs(sharded.whole(executor), log)
    assert sharded.size == log.size
    X = log.matrix.toarray()
    assert sharded.squares == int(((X != 0).sum(axis=1) ** 2).sum())


def test_shards_of_consecutive_users_have_about_as_many_interactions(executor: Executor) -> None:
    sharded = ShardedLog.of(log_of(n_users=400), executor, 5)
    rows = [size.n_interactions for size in sharded.sizes]
    assert len(rows) == 5
    assert max(rows) - min(rows) < 20  # a user has at most 12


def test_a_catalogue_gives_a_model_the_counts_of_the_whole_log(executor: Executor) -> None:
    log = log_of()
    catalogue = ShardedLog.of(log, executor, 3).catalogue()
    here, there = shoal.EASE(), shoal.EASE()
    here.take_catalogue(log)
    there.take_catalogue(catalogue)
    assert there.item_counts is not None
    assert there.item_counts.tolist() == (log.matrix.toarray() != 0).sum(axis=0).tolist()
    assert there.items == here.items
    assert there.fingerprint == here.fingerprint
    assert len(catalogue) == 0
