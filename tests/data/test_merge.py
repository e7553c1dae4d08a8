"""One log of two is the log that all rows together give."""

from __future__ import annotations

import uuid

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.merge import merged
from shoal.errors import DataError


def rows(seed: int, n: int, **more: object) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "user": rng.integers(0, 30, n),
            "item": rng.integers(0, 25, n),
            "time": rng.permutation(n) + 1000 * seed,
        }
    )
    return frame.with_columns(**more)  # type: ignore[arg-type]


@pytest.mark.parametrize("duplicates", ["last", "first", "sum"])
@pytest.mark.parametrize("k_core", [0, 5])
@pytest.mark.parametrize("text_ids", [False, True])
def test_merging_is_reading_all_rows(duplicates: str, k_core: int, text_ids: bool) -> None:
    a = rows(1, 150, value=pl.Series(np.arange(150) % 5 + 1.0))
    b = rows(2, 120, value=pl.Series(np.arange(120) % 4 + 1.0))
    options = {"values": "keep", "duplicates": duplicates, "missing": "error"}
    expected = shoal.read(pl.concat([a, b]), k_core=k_core, **options)  # type: ignore[arg-type]
    if text_ids:  # as a database of events has them
        b = b.with_columns(pl.col("user", "item").cast(pl.String))
    parts = [shoal.read(frame, **options) for frame in (a, b)]  # type: ignore[arg-type]
    found = merged(*parts, duplicates=duplicates, k_core=k_core)  # type: ignore[arg-type]
    assert found.users == expected.users
    assert found.items == expected.items
    assert np.array_equal(found.indptr, expected.indptr)
    assert np.array_equal(found.indices, expected.indices)
    if duplicates != "sum" or not k_core:
        assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.times, expected.times)


def test_items_that_cannot_be_ids_of_the_log_are_left_out_and_counted() -> None:
    log = shoal.read(pl.DataFrame({"user": [1, 1, 2], "item": [10, 20, 10]}))
    events = pl.DataFrame({"user": ["anna", "2", "2", "1"], "item": ["10", "20", "x7", "007"]})
    found = merged(log, shoal.read(events))
    assert found.items.take([0, 1]) == [10, 20]
    assert found.users.take([0, 1, 2]) == ["1", "2", "anna"]  # users may be of two types
    assert [found.history_of(u) for u in ("1", "2", "anna")] == [[10, 20], [10, 20], [10]]
    assert "2 added rows are left out" in found.notes[-1]


def test_values_count_one_where_only_the_other_log_has_them() -> None:
    log = shoal.read(pl.DataFrame({"user": [1, 2], "item": [10, 10]}))
    events = pl.DataFrame({"user": ["1", "3"], "item": ["20", "10"], "value": [5.0, 2.0]})
    found = merged(log, shoal.read(events, values="keep"))
    assert found.matrix.toarray().tolist() == [[1, 5], [1, 0], [2, 0]]


def test_uuids_are_the_same_in_capitals() -> None:
    ids = [uuid.UUID(int=v) for v in (1, 2)]
    log = shoal.read(pl.DataFrame({"user": [1, 2], "item": pl.Series(ids, dtype=pl.Object)}))
    events = pl.DataFrame({"user": ["1", "2"], "item": [str(ids[1]).upper(), str(ids[0])]})
    found = merged(log, shoal.read(events))
    assert found.items.take([0, 1]) == ids
    assert found.matrix.toarray().tolist() == [[1, 1], [1, 1]]


def test_times_of_one_log_alone_are_refused() -> None:
    timed = shoal.read(rows(1, 50))
    with pytest.raises(DataError, match="has times and the other has none"):
        merged(timed, shoal.read(rows(1, 50).drop("time")))


@pytest.mark.parametrize("duplicates", ["last", "first", "sum"])
@pytest.mark.parametrize("more_values", ["keep", "log1p"])
def test_counts_are_added_as_counts_and_kept_as_logarithms(
    duplicates: str, more_values: str
) -> None:
    a = rows(1, 150, value=pl.Series(np.arange(150) % 5 + 1.0))
    b = rows(2, 120, value=pl.Series(np.arange(120) % 4 + 1.0))
    options = {"duplicates": duplicates}
    expected = shoal.read(pl.concat([a, b]), values="log1p", **options)  # type: ignore[arg-type]
    log = shoal.read(a, values="log1p", **options)  # type: ignore[arg-type]
    more = shoal.read(b, values=more_values, **options)  # type: ignore[arg-type]
    found = merged(log, more, duplicates=duplicates)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6)
