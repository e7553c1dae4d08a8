"""Ids: the user's own in and out, whatever their type, and numbers inside."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.data.ids import Ids, encode, text_to_numbers
from shoal.errors import DataError

INT64 = st.integers(-(2**63), 2**63 - 1)


def made(values: list[Any]) -> Ids:
    return encode(pl.Series(values), "here")[1]


@given(st.lists(INT64, min_size=1, max_size=40))
def test_int_codes_are_ranks_among_the_distinct(values: list[int]) -> None:
    codes, ids = encode(pl.Series(values, dtype=pl.Int64), "here")
    distinct = sorted(set(values))
    assert codes.tolist() == [distinct.index(v) for v in values]
    assert ids.take(np.arange(len(ids))) == distinct
    assert ids.kind == "int"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1))
def test_text_codes_are_ranks_among_the_distinct(values: list[str]) -> None:
    codes, ids = encode(pl.Series(values, dtype=pl.String), "here")
    distinct = sorted(set(values))
    assert codes.tolist() == [distinct.index(v) for v in values]
    assert ids.take(np.arange(len(ids))) == distinct


def test_a_dense_and_a_scattered_range_are_numbered_alike() -> None:
    near = [7, -3, 7, 0]
    far = [7 * 10**15, -3 * 10**15, 7 * 10**15, 0]
    assert encode(pl.Series(near), "")[0].tolist() == [2, 0, 2, 1]
    assert encode(pl.Series(far), "")[0].tolist() == [2, 0, 2, 1]


@pytest.mark.parametrize(
    "dtype", [pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64]
)
def test_whole_numbers_of_any_width_are_ints(dtype: Any) -> None:
    codes, ids = encode(pl.Series([9, 4, 9], dtype=dtype), "")
    assert (codes.tolist(), ids.take([0, 1]), ids.kind) == ([1, 0, 1], [4, 9], "int")


def test_categories_are_text_in_alphabetical_order() -> None:
    codes, ids = encode(pl.Series(["b", "a", "b"], dtype=pl.Categorical), "")
    assert (codes.tolist(), ids.take([0, 1])) == ([1, 0, 1], ["a", "b"])


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        (pl.Series([1.0, 1.5]), "the user column holds fractions"),
        (pl.Series([1.0, 2.0**60]), "lost digits"),
        (pl.Series([1.0, float("inf")]), "infinite"),
        (pl.Series([2**63, 1], dtype=pl.UInt64), "beyond 64 bits"),
        (pl.Series([2**90, 1], dtype=pl.Int128), "beyond 64 bits"),
        (pl.Series([True, False]), "has type Boolean"),
        (pl.Series([[1], [2]]), "has type List"),
        (pl.Series([2**70, 1], dtype=pl.Object), "beyond 64 bits"),
        (pl.Series([(1,), (2,)], dtype=pl.Object), "holds tuple objects"),
        (pl.Series([True, False], dtype=pl.Object), "holds bool objects"),
        (pl.Series([3, True], dtype=pl.Object), "mixes types .bool, int.*row 2 holds True"),
        (pl.Series(["a", "b", 7], dtype=pl.Object), "row 1 holds 'a', row 3 holds 7"),
    ],
)
def test_columns_that_cannot_be_ids_are_refused(column: pl.Series, complaint: str) -> None:
    with pytest.raises(DataError, match=f"the user column.*{complaint}|{complaint}"):
        encode(column, "the user column")


def test_lookup_takes_numbers_for_text_and_text_for_numbers() -> None:
    numbers, text = made([1193, -5, 2**63 - 1]), made(["1193", "007", "x"])
    assert numbers.lookup([1193, "1193", " 1193 ", 1193.0, np.int32(1193)]).tolist() == [1] * 5
    assert numbers.lookup(["-5", -5, str(2**63 - 1), 2**63 - 1]).tolist() == [0, 0, 2, 2]
    assert numbers.lookup(["01193", "x", 4, 1193.5, None, True, "", b"1193"]).tolist() == [-1] * 8
    assert text.lookup(["007", "1193", 1193, "x"]).tolist() == [0, 1, 1, 2]
    assert text.lookup([7, "7", None, True, 1193.0]).tolist() == [-1] * 5
    assert numbers.lookup([]).shape == (0,)


def test_true_is_not_the_id_one() -> None:
    assert made([0, 1]).lookup([True, np.True_, 1]).tolist() == [-1, -1, 1]


def test_uuids_come_back_as_uuids_and_are_found_as_text() -> None:
    given_ids = [uuid.UUID(int=9 * 2**100), uuid.UUID(int=5)]
    codes, ids = encode(pl.Series(given_ids, dtype=pl.Object), "")
    assert codes.tolist() == [1, 0]
    assert ids.take([0, 1]) == [given_ids[1], given_ids[0]]
    text = str(given_ids[0])
    assert ids.lookup([given_ids[0], text, text.upper(), "no"]).tolist() == [1, 1, 1, -1]


def test_match_and_union() -> None:
    a, b = made([3, 5, 9]), made([5, 4, 9])
    assert a.match(b).tolist() == [-1, 1, 2]  # of 4, 5, 9
    assert b.match(a).tolist() == [-1, 1, 2]  # of 3, 5, 9
    assert Ids.union(a, b).take(range(4)) == [3, 4, 5, 9]
    assert a.match(made(["10", "5", "3"])).tolist() == [-1, 0, 1]  # text order: 10, 3, 5
    mixed = Ids.union(a, made(["3", "x"]))
    assert mixed.kind == "str"
    assert mixed.take(range(4)) == ["3", "5", "9", "x"]


def test_subset_equality_and_repr() -> None:
    ids = made([3, 5, 9, 11])
    assert ids.subset(np.array([0, 2])) == made([9, 3])
    assert ids != made([3, 5, 9])
    assert made([1]) != made(["1"])
    assert ids != [3, 5, 9, 11]
    assert repr(ids) == "4 ids (int): 3, 5, 9, …"
    with pytest.raises(TypeError):
        hash(ids)


def test_numbers_written_as_text_are_renumbered_in_their_own_order() -> None:
    ids = made(["10", "9", "-1", "0"])  # text order: -1, 0, 10, 9
    found = text_to_numbers(ids)
    assert found is not None
    rank, numbers = found
    assert numbers.take(range(4)) == [-1, 0, 9, 10]
    assert rank.tolist() == [0, 1, 3, 2]


@pytest.mark.parametrize("odd", ["007", "+7", "1.0", "-0", "", "7 ", "1e3", "٣", str(2**63)])
def test_text_that_a_number_would_not_print_as_stays_text(odd: str) -> None:
    assert text_to_numbers(made(["12", odd])) is None


def test_the_largest_int64_is_still_a_number() -> None:
    found = text_to_numbers(made([str(2**63 - 1), str(-(2**63))]))
    assert found is not None
    assert found[1].take([0, 1]) == [-(2**63), 2**63 - 1]
