"""`Interactions`: a sparse matrix whose rows and columns keep their ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.data.ids import encode
from shoal.data.interactions import Interactions, histories
from shoal.data.report import PreparationStep
from shoal.errors import DataError

Pairs = list[tuple[int, int]]
PAIRS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 8)), min_size=1, max_size=30).map(list)


def made(pairs: Pairs, **columns: Any) -> Interactions:
    """User u is called 10 + u, item i is called "i<number>"; columns run along the pairs."""
    users, user_ids = encode(pl.Series([10 + u for u, _ in pairs]), "")
    items, item_ids = encode(pl.Series([f"i{i}" for _, i in pairs]), "")
    return Interactions.from_codes(user_ids, item_ids, users, items, **columns)


def triples(log: Interactions) -> set[tuple[Any, ...]]:
    """Every interaction in the user's ids, with all that belongs to it."""
    columns = [c for c in (log.values, log.times, log.rows) if c is not None]
    return set(
        zip(
            log.users.take(log.user_codes),
            log.items.take(log.indices),
            *(c.tolist() for c in columns),
            strict=True,
        )
    )


def with_columns(pairs: Pairs) -> Interactions:
    n = len(pairs)
    return made(
        pairs,
        values=np.arange(1, n + 1, dtype=np.float32),
        times=np.arange(100, 100 + n),
        rows=np.arange(n)[::-1].copy(),
    )


def expected(pairs: Pairs) -> set[tuple[Any, ...]]:
    n = len(pairs)
    return {(10 + u, f"i{i}", at + 1.0, 100 + at, n - 1 - at) for at, (u, i) in enumerate(pairs)}


def assert_canonical(log: Interactions) -> None:
    assert log.indptr.shape == (log.n_users + 1,)
    assert (log.indptr[0], log.indptr[-1]) == (0, len(log))
    assert (log.indptr.dtype, log.indices.dtype) == (np.int64, np.int32)
    for begin, end in zip(log.indptr[:-1], log.indptr[1:], strict=True):
        assert (np.diff(log.indices[begin:end]) > 0).all()
    for ids in (log.users, log.items):
        named = ids.take(np.arange(len(ids)))
        assert named == sorted(set(named))


@given(PAIRS)
def test_pairs_in_any_order_become_sorted_rows_with_their_columns(pairs: Pairs) -> None:
    log = with_columns(pairs)
    assert_canonical(log)
    assert triples(log) == expected(pairs)
    dense = np.zeros((log.n_users, log.n_items), np.float32)
    for u, i, value, *_ in expected(pairs):
        dense[log.users.lookup([u])[0], log.items.lookup([i])[0]] = value
    np.testing.assert_array_equal(log.matrix.toarray(), dense)
    np.testing.assert_array_equal(log.item_counts, (dense > 0).sum(axis=0))


@settings(deadline=None)
@given(PAIRS, st.data())
def test_keep_take_and_drop_move_nothing_else(pairs: Pairs, data: st.DataObject) -> None:
    log = with_columns(pairs)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(log), max_size=len(log))))
    kept = log.keep(mask)
    assert (kept.users, kept.items) == (log.users, log.items)
    in_order = sorted(expected(pairs), key=lambda t: (t[0], t[1]))
    left = {t for t, keep in zip(in_order, mask, strict=True) if keep}
    assert triples(kept) == left

    some = data.draw(st.sets(st.integers(0, log.n_users - 1)))
    taken = log.take_users(np.array(sorted(some), dtype=np.int64))
    names = {log.users.take([u])[0] for u in some}
    assert set(taken.users.take(np.arange(taken.n_users))) == names
    assert triples(taken) == {t for t in expected(pairs) if t[0] in names}
    assert taken.items == log.items

    used = kept.without_unused()
    assert_canonical(used)
    assert triples(used) == left
    assert used.n_users == len({t[0] for t in left})
    assert used.n_items == len({t[1] for t in left})


def test_taking_users_in_another_order_keeps_them_ascending() -> None:
    log = made([(0, 0), (1, 1), (2, 0)])
    assert log.take_users(np.array([2, 0])).users.take([0, 1]) == [10, 12]


def test_onto_other_items_drops_what_is_not_there() -> None:
    log = made([(0, 1), (0, 3), (1, 2), (2, 3)], times=np.array([5, 6, 7, 8]))
    items = encode(pl.Series(["i0", "i3", "i1", "x"]), "")[1]
    moved = log.onto_items(items)
    assert moved.items == items
    assert moved.n_users == 3  # the user whose only item went stays, with an empty row
    assert triples(moved) == {(10, "i1", 5), (10, "i3", 6), (12, "i3", 8)}
    assert_canonical(moved)


def test_history_of_a_user() -> None:
    log = made([(0, 3), (0, 1), (1, 2)])
    assert log.history_of(10) == ["i1", "i3"]
    assert log.history_of("11") == ["i2"]
    with pytest.raises(DataError, match="user 99 is not in the log of 2 users"):
        log.history_of(99)


def test_the_matrix_of_a_binary_log_holds_ones() -> None:
    log = made([(0, 0), (1, 1)])
    assert log.values is None
    np.testing.assert_array_equal(log.matrix.toarray(), np.eye(2))
    assert log.matrix.dtype == np.float32


def test_item_attributes_follow_the_items() -> None:
    log = made([(0, 0), (0, 2), (1, 1)])
    table = pl.DataFrame(
        {"item": ["i2", "zz", "i0", "i2"], "title": ["Two", "None", "Zero", "Twice"], "year": 4}
    )
    attached = log.with_item_table(table).item_table
    assert attached is not None
    assert attached.to_dict(as_series=False) == {
        "item": ["i0", "i1", "i2"],
        "title": ["Zero", None, "Two"],
        "year": [4, None, 4],
    }
    smaller = log.with_item_table(table).take_users(np.array([0])).without_unused()
    assert smaller.item_table is not None
    assert smaller.item_table["title"].to_list() == ["Zero", "Two"]


@pytest.mark.parametrize("as_text", [True, False])
def test_item_attributes_find_numbers_written_as_text_and_the_reverse(as_text: bool) -> None:
    numbers, text = [7, 30], ["7", "30"]
    in_log, in_table = (numbers, text) if as_text else (text, numbers)
    items, item_ids = encode(pl.Series(in_log), "")
    users, user_ids = encode(pl.Series([1, 2]), "")
    log = Interactions.from_codes(user_ids, item_ids, users, items)
    table = log.with_item_table(pl.DataFrame({"item": in_table, "t": ["seven", "thirty"]}))
    assert table.item_table is not None
    assert dict(table.item_table.iter_rows()) == dict(zip(in_log, ["seven", "thirty"], strict=True))


def test_a_table_with_one_id_that_is_no_number_still_finds_the_others() -> None:
    items, item_ids = encode(pl.Series([7, 30]), "")
    log = Interactions.from_codes(*(encode(pl.Series([1, 2]), "")[1], item_ids), items, items)
    table = log.with_item_table(pl.DataFrame({"item": ["7", "n/a"], "t": ["seven", "?"]}))
    assert table.item_table is not None
    assert table.item_table.rows() == [(7, "seven"), (30, None)]


def test_a_table_of_other_items_is_refused() -> None:
    with pytest.raises(DataError, match=r"no row of the item table belongs to an item.*'i0'.*'q'"):
        made([(0, 0), (1, 1)]).with_item_table(pl.DataFrame({"item": ["q"], "title": ["Q"]}))


def test_the_fingerprint_is_of_what_a_model_learns_from() -> None:
    pairs = [(0, 0), (0, 2), (1, 1)]
    log = made(pairs)
    assert log.fingerprint() == made(pairs[::-1]).fingerprint()
    assert log.fingerprint() == replace(log, times=np.arange(3)).fingerprint()
    others = [
        made([(0, 0), (0, 2), (1, 2), (1, 1)]),
        made([(0, 0), (0, 2), (2, 1)]),
        made([(0, 0), (1, 2), (1, 1)]),
        replace(log, values=np.ones(3, np.float32)),
        replace(log, values=np.array([1, 1, 2], np.float32)),
        replace(log, items=encode(pl.Series(["i0", "i1", "j2"]), "")[1]),
    ]
    prints = [other.fingerprint() for other in (log, *others)]
    assert len(set(prints)) == len(prints)


def test_histories_from_lists_and_weights() -> None:
    items = encode(pl.Series([10, 20, 30]), "")[1]
    rows = histories(items, [[30, "10", 99], [], [20, 20], {10: 0.5, 30: 2}])
    np.testing.assert_array_equal(rows.toarray(), [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0.5, 0, 2]])
    assert (rows.shape, rows.dtype) == ((4, 3), np.float32)
    assert histories(items, []).shape == (0, 3)


def test_a_step_says_what_it_dropped() -> None:
    step = PreparationStep("users", 12_000, 9_000, "of users with < 5 items")
    assert step.dropped == 3_000
    assert str(step) == "users: 12,000 → 9,000 (3,000 dropped: of users with < 5 items)"
