"""Preparation: thresholds, windows, duplicates, filters and cores, each step counted."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.errors import DataError

Row = tuple[int, int, float, int]  # user, item, rating, time
ROWS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(0, 6),
        st.sampled_from([1.0, 2.5, 4.0, 0.1]),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=60,
)


def frame(rows: list[Row], *, times: bool = True) -> pl.DataFrame:
    made = pl.DataFrame(rows, schema=["user", "item", "rating", "time"], orient="row")
    return made if times else made.drop("time")


def pairs_of(log: Interactions) -> set[tuple[Any, Any]]:
    users, items = log.users.take(log.user_codes), log.items.take(log.indices)
    return set(zip(users, items, strict=True))


def by_pair(log: Interactions, column: np.ndarray[Any, Any] | None) -> dict[tuple[Any, Any], Any]:
    assert column is not None
    users, items = log.users.take(log.user_codes), log.items.take(log.indices)
    return dict(zip(zip(users, items, strict=True), column.tolist(), strict=True))


def steps_of(log: Interactions) -> list[tuple[str, int, int]]:
    return [(s.name, s.rows_in, s.rows_kept) for s in log.report]


GRID: list[Row] = [
    (1, 1, 1.0, 10),
    (1, 2, 3.5, 20),
    (1, 3, 5.0, 30),
    (2, 1, 4.0, 40),
    (2, 3, 3.0, 50),
]


def test_min_value_keeps_what_is_at_least_that() -> None:
    log = read(frame(GRID), min_value=3.5)
    assert pairs_of(log) == {(1, 2), (1, 3), (2, 1)}
    assert steps_of(log) == [("value", 5, 3)]
    assert log.report[0].why == "rating below 3.5"
    assert log.values is None
    kept = read(frame(GRID), min_value=3.5, values="keep")
    assert by_pair(kept, kept.values) == {(1, 2): 3.5, (1, 3): 5.0, (2, 1): 4.0}


def test_ratings_of_zero_count_for_nothing_once_a_threshold_is_given() -> None:
    rows = [*GRID, (2, 2, 0.0, 60), (1, 4, -1.0, 60)]
    assert len(read(frame(rows), min_value=1)) == 5
    with pytest.raises(DataError, match="zero or negative in 1 rows, first in row 6"):
        read(frame(rows[:-1]))
    kept = read(frame(rows), values="keep")  # ratings, for models that rate
    assert by_pair(kept, kept.values)[(1, 4)] == -1


DAY = 86_400
WINDOW = [
    (1, 1, 1.0, 0),
    (1, 2, 1.0, DAY),
    (2, 1, 1.0, 2 * DAY),
    (2, 2, 1.0, 3 * DAY),
    (3, 3, 1.0, 4 * DAY),
]


@pytest.mark.parametrize("since", [DAY, str(DAY), "1970-01-02", dt.date(1970, 1, 2)])
@pytest.mark.parametrize("until", [3 * DAY, "1970-01-04", "1970-01-04T02:00:00+02:00"])
def test_a_window_takes_its_start_and_leaves_its_end(since: Any, until: Any) -> None:
    log = read(frame(WINDOW), since=since, until=until)
    assert pairs_of(log) == {(1, 2), (2, 1)}
    assert steps_of(log) == [("time window", 5, 2)]
    assert log.report[0].why == f"before {since} and from {until} on"


@pytest.mark.parametrize("ticks", [1, 10**3, 10**6, 10**9])
def test_dates_bound_logs_that_count_fractions_of_seconds(ticks: int) -> None:
    day = int(dt.datetime(2020, 1, 1, tzinfo=dt.UTC).timestamp())
    rows = [
        (u, i, 1.0, (day + k * DAY) * ticks)
        for k, (u, i) in enumerate([(1, 1), (1, 2), (2, 1), (2, 2)])
    ]
    log = read(frame(rows), since="2020-01-02", until="2020-01-04")
    assert pairs_of(log) == {(1, 2), (2, 1)}
    assert log.times is not None
    assert sorted(log.times.tolist()) == [rows[1][3], rows[2][3]]


def test_dates_bound_datetimes_and_text() -> None:
    days = [dt.datetime(2020, 1, d, 12) for d in (1, 2, 3, 4)]
    base = pl.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 2]})
    for times in (
        pl.Series(days),
        pl.Series([d.date() for d in days]),
        pl.Series([d.isoformat() for d in days]),
        pl.Series([str(d.date()) for d in days]),
    ):
        log = read(base.with_columns(times.alias("date")), since="2020-01-02", until="2020-01-04")
        assert pairs_of(log) == {(1, 2), (2, 1)}


def test_bounds_that_are_no_moments() -> None:
    with pytest.raises(DataError, match="'soon' is neither a number nor a date"):
        read(frame(WINDOW), since="soon")


TWICE: list[Row] = [
    (1, 1, 2.0, 30),
    (1, 1, 5.0, 10),
    (1, 1, 3.0, 20),
    (1, 2, 1.0, 7),
    (2, 2, 2.0, 5),
    (2, 2, 4.0, 5),
]


@pytest.mark.parametrize(
    ("rule", "values", "times"),
    [
        ("last", {(1, 1): 2.0, (1, 2): 1.0, (2, 2): 4.0}, {(1, 1): 30, (1, 2): 7, (2, 2): 5}),
        ("first", {(1, 1): 5.0, (1, 2): 1.0, (2, 2): 2.0}, {(1, 1): 10, (1, 2): 7, (2, 2): 5}),
        ("sum", {(1, 1): 10.0, (1, 2): 1.0, (2, 2): 6.0}, {(1, 1): 30, (1, 2): 7, (2, 2): 5}),
    ],
)
def test_duplicates(rule: Any, values: Any, times: Any) -> None:
    log = read(frame(TWICE), values="keep", duplicates=rule)
    assert by_pair(log, log.values) == values
    assert by_pair(log, log.times) == times
    assert steps_of(log) == [("duplicates", 6, 3)]


@pytest.mark.parametrize(("rule", "value"), [("last", 5.0), ("first", 2.0), ("sum", 10.0)])
def test_duplicates_without_times_go_by_value(rule: Any, value: float) -> None:
    log = read(frame(TWICE, times=False), values="keep", duplicates=rule)
    assert by_pair(log, log.values)[1, 1] == value


def test_the_row_that_is_kept_is_remembered() -> None:
    log = read(frame(TWICE), file_order=True)
    assert by_pair(log, log.rows) == {(1, 1): 0, (1, 2): 3, (2, 2): 5}
    assert read(frame(TWICE)).rows is None
    filtered = read(frame([(1, 9, 1.0, 0), *TWICE]), file_order=True, min_value=2)
    assert by_pair(filtered, filtered.rows) == {(1, 1): 1, (2, 2): 6}


def test_one_pass_takes_items_first_then_users_and_does_not_return() -> None:
    rows = [
        (u, i, 1.0, 0)
        for u, items in {1: "abc", 2: "ab", 3: "bx", 4: "cd"}.items()
        for i in map(ord, items)
    ]
    # users per item: a2 b3 c2 x1 d1. Without x and d: user 3 has b, user 4 has c, both go;
    # then c has one user left and stays
    log = read(frame(rows), min_item_users=2, min_user_items=2)
    assert pairs_of(log) == {
        (u, ord(i)) for u, i in [(1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b")]
    }
    assert steps_of(log) == [("items", 9, 7), ("users", 7, 5)]


def test_filters_count_users_and_not_rows() -> None:
    rows = [(1, 1, 1.0, t) for t in range(5)] + [
        (1, 2, 1.0, 0),
        (2, 2, 1.0, 0),
        (2, 3, 1.0, 0),
        (1, 3, 1.0, 0),
    ]
    log = read(frame(rows), min_item_users=2)
    assert pairs_of(log) == {(1, 2), (2, 2), (2, 3), (1, 3)}


def slow_core(pairs: set[tuple[int, int]], k: int) -> set[tuple[int, int]]:
    while True:
        users, items = Counter(u for u, _ in pairs), Counter(i for _, i in pairs)
        left = {(u, i) for u, i in pairs if users[u] >= k and items[i] >= k}
        if left == pairs:
            return pairs
        pairs = left


@settings(max_examples=60)
@given(ROWS, st.integers(2, 4))
def test_k_core(rows: list[Row], k: int) -> None:
    expected = slow_core({(u, i) for u, i, *_ in rows}, k)
    try:
        log = read(frame(rows), k_core=k)
    except DataError as error:
        assert not expected or "one" in str(error)  # noqa: PT017
    else:
        assert pairs_of(log) == expected
        step = log.report[-1]
        assert (step.name, step.rows_kept) == (f"{k}-core", len(expected))


def test_a_core_needs_more_than_one_pass() -> None:
    # a chain: taking 5's only item away leaves the next with too few, and so on to the square
    chain = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (3, 3), (4, 3), (4, 4), (5, 4)]
    log = read(frame([(u, i, 1.0, 0) for u, i in chain]), k_core=2)
    assert pairs_of(log) == {(1, 1), (1, 2), (2, 1), (2, 2)}
    # (5, 4); then item 4 is one user's; then user 4, item 3, user 3
    assert log.report[-1].why == "users or items with < 2, in 5 rounds"


def test_all_filtered_away_says_where() -> None:
    with pytest.raises(DataError, match=r"no interaction is left \(value: 5 → 0 .*rating below 9"):
        read(frame(GRID), min_value=9)
    with pytest.raises(DataError, match=r"3-core: 5 → 0"):
        read(frame(GRID), k_core=3)
    text = frame(GRID).cast({"user": pl.String, "item": pl.String})
    with pytest.raises(DataError, match="no interaction is left"):
        read(text, min_value=9)


def oracle(rows: list[Row], rule: str, times: bool) -> dict[tuple[int, int], tuple[float, int]]:
    groups: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
    for u, i, value, time in rows:
        groups[u, i].append((time if times else 0, value))
    found = {}
    for pair, group in groups.items():
        time, value = min(group) if rule == "first" else max(group)
        found[pair] = (sum(v for _, v in group) if rule == "sum" else value, time)
    return found


@settings(max_examples=60)
@given(ROWS, st.sampled_from(["last", "first", "sum"]), st.booleans(), st.randoms())
def test_the_order_of_the_rows_changes_nothing(
    rows: list[Row], rule: Any, times: bool, random: Any
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    options: dict[str, Any] = {"values": "keep", "duplicates": rule}
    try:
        log = read(frame(rows, times=times), **options)
    except DataError as error:
        with pytest.raises(DataError) as again:
            read(frame(shuffled, times=times), **options)
        assert str(again.value) == str(error)  # noqa: PT017
        return
    again_log = read(frame(shuffled, times=times), **options)
    assert again_log.users == log.users
    assert again_log.items == log.items
    assert again_log.report == log.report
    for name in ("indptr", "indices", "values", "times"):
        np.testing.assert_array_equal(getattr(again_log, name), getattr(log, name))
    assert again_log.fingerprint() == log.fingerprint()

    expected = oracle(rows, rule, times)
    assert by_pair(log, log.values) == {
        p: pytest.approx(v, rel=1e-6) for p, (v, _) in expected.items()
    }
    if times:
        assert by_pair(log, log.times) == {p: t for p, (_, t) in expected.items()}
    else:
        assert log.times is None


@settings(max_examples=40)
@given(ROWS, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_the_numbers_of_the_report_add_up(rows: list[Row], a: int, b: int, k: int) -> None:
    holes = frame(rows).with_columns(
        pl.when(pl.col("rating") == 0.1).then(None).otherwise(pl.col("rating")).alias("rating")
    )
    options: dict[str, Any] = {"min_item_users": a, "min_user_items": b, "k_core": k}
    try:
        log = read(holes, missing="drop", min_value=2, since=1, until=4, **options)
    except DataError as error:
        assert "left" in str(error)  # noqa: PT017
        return
    assert log.report[0].rows_in == len(rows)
    assert log.report[-1].rows_kept == len(log)
    assert all(one.rows_kept == other.rows_in for one, other in pairwise(log.report))
    assert all(step.dropped >= 0 for step in log.report)


def test_sums_of_the_largest_values_stay_finite() -> None:
    rows: list[Row] = [(1, 1, 1e30, 0)] * 50 + [(2, 2, 1.0, 0)]
    log = read(frame(rows), values="keep", duplicates="sum")
    assert log.values is not None
    assert log.values[0] == pytest.approx(5e31, rel=1e-6)
