"""Arrays that are locked against writing, given to kernels as the type they are compiled for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from shoal.kernels.arrays import not_locked


class Pair(NamedTuple):
    array: NDArray[Any]
    name: str


@dataclass(frozen=True)
class Kept:
    array: NDArray[Any]
    number: int


def locked(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int32),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.asfortranarray(np.ones((2, 3), np.float32)),
        np.array([True, False]),
        np.empty((0, 4)),
        np.array(3.5),
    ],
    ids=["whole", "strided", "columns", "bools", "empty", "one"],
)
def test_it_is_the_same_memory_of_the_same_shape(array: NDArray[Any]) -> None:
    free = not_locked(locked(array))
    assert free.flags.writeable
    assert free.dtype == array.dtype
    np.testing.assert_array_equal(free, array)
    if free.size:
        assert free.strides == array.strides
        assert np.shares_memory(free, array)


def test_what_may_be_written_is_left_as_it_is() -> None:
    array = np.arange(3)
    assert not_locked(array) is array
    assert not_locked("text") == "text"


def test_arrays_are_found_in_what_holds_them() -> None:
    array = locked(np.arange(3))
    found = not_locked((Pair(array, "a"), [array, None], {"b": array}, Kept(array, 3)))
    pair, some, named, kept = found
    assert isinstance(pair, Pair)
    assert isinstance(kept, Kept)
    assert (pair.name, some[1], kept.number) == ("a", None, 3)
    for each in (pair.array, some[0], named["b"], kept.array):
        assert each.flags.writeable
        assert np.shares_memory(each, array)


def test_memory_lives_as_long_as_its_view() -> None:
    view = not_locked(locked(np.full(100_000, 7)))  # nobody else keeps the array
    others = [np.zeros(100_000, np.int64) for _ in range(5)]
    assert (view == 7).all()
    assert len(others) == 5
