"""Which users differ between two logs, and rows that are added to a log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.changes import changed_users, with_new_rows
from shoal.testing import from_dense


def test_changed_users_are_those_whose_rows_differ() -> None:
    old = from_dense([[1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 1]])
    rows = [(1, 101), (2, 101), (2, 102), (3, 100), (3, 102), (9, 103)]
    new = shoal.read(pl.DataFrame(rows, schema=["user", "item"], orient="row"))
    before, after = changed_users(old, new)
    assert before.users.take([0, 1]) == [1, 4]  # 1 has lost an item, 4 is gone
    assert after.users.take([0, 1]) == [1, 9]
    assert before.items == after.items
    assert before.history_of(1) == [100, 101]
    assert after.history_of(1) == [101]
    assert len(before.users) == len(after.users) == 2
    valued = replace(old, values=np.array([1, 1, 2, 1, 1, 1, 1], np.float32))
    assert changed_users(old, valued)[0].users.take([0]) == [2]
    assert changed_users(valued, valued)[0].n_users == 0


@pytest.mark.parametrize("duplicates", ["last", "first", "sum"])
@pytest.mark.parametrize("values", ["binary", "keep", "log1p"])
def test_new_rows_join_old_ones_as_reading_both_does(duplicates: Any, values: Any) -> None:
    rng = np.random.default_rng(5)
    rows = pl.DataFrame(
        {
            "user": rng.integers(0, 12, 160),
            "item": rng.integers(0, 9, 160),
            "value": rng.integers(1, 6, 160).astype(float),
            "time": rng.permutation(160),
        }
    )
    options = {"values": values, "duplicates": duplicates}
    old, new = shoal.read(rows[:120], **options), shoal.read(rows[120:], **options)
    joined = with_new_rows(old, new, duplicates)
    whole = shoal.read(rows, **options)
    whole = whole.take_users(whole.users.match(new.users)).without_unused()
    assert joined.users == whole.users
    assert joined.items == whole.items
    np.testing.assert_array_equal(joined.indptr, whole.indptr)
    np.testing.assert_array_equal(joined.indices, whole.indices)
    if values == "binary":
        assert joined.values is None
    else:
        np.testing.assert_allclose(joined.values, whole.values, rtol=1e-6)
