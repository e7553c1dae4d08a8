"""Item vectors: read, aligned to a log, carried through splits, and the split by items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.models.text_similarity import TextSimilarity
from shoal.splitting.split import Kind, split, split_given
from shoal.testing import from_dense

from ..splitting.split_helpers import folds, in_two, items, pairs, random_log


def number(item: str) -> float:
    return float(item.removeprefix("i")) + 1


def with_numbers(log: Interactions, *more: str, add_items: bool = False) -> Interactions:
    """An item's vector is its number and the square of that."""
    ids = [*reversed(items(log)), *more]
    numbers = np.array([[number(i), number(i) ** 2] for i in ids])
    return log.with_vectors(ids, numbers, add_items=add_items)


def check(log: Interactions) -> None:
    assert log.item_vectors is not None
    assert log.item_vectors.dtype == np.float32
    expected = [[number(i), number(i) ** 2] for i in items(log)]
    np.testing.assert_array_equal(log.item_vectors, expected)


@pytest.mark.parametrize("kind", ["strong", "weak", "leave-last", "time", "cold-items"])
def test_vectors_stay_with_their_items_in_every_split(kind: Kind) -> None:
    found = split(with_numbers(random_log()), kind)
    check(found.train)
    for fold in folds(found):
        check(fold.history)
        check(fold.target)


def test_vectors_of_given_files_are_joined() -> None:
    train, test = in_two(with_numbers(random_log(n_items=80)))
    assert set(items(train)) != set(items(test))
    check(split_given(train, test).train)
    check(split_given(train, test).test.target)
    with pytest.raises(DataError, match="vectors of 2 and of 3 numbers"):
        split_given(train, test.with_vectors(items(test), np.ones((test.n_items, 3))))


def test_every_way_to_take_a_part_keeps_them() -> None:
    log = with_numbers(random_log())
    check(log.only_user(3))
    check(log.take_users(np.array([2, 5])).without_unused())
    other = from_dense(np.ones((1, 3)), items=["i1", "i7", "x"])
    moved = log.onto_items(other.items).item_vectors
    np.testing.assert_array_equal(moved, [[2, 4], [8, 64], [0, 0]])
    numbers = from_dense(np.ones((2, 3)), items=["10", "7", "9"])
    numbers = numbers.with_vectors(["7", 9, "10"], [[7.0], [9], [10]])
    there = numbers.onto_items(from_dense(np.ones((1, 3)), items=[7, 9, 10]).items)
    np.testing.assert_array_equal(there.item_vectors, [[7], [9], [10]])


def test_cold_items_come_into_the_catalogue_in_the_order_of_ids() -> None:
    log = random_log().with_item_table(pl.DataFrame({"item": ["i3"], "title": ["Three"]}))
    more = with_numbers(log, "i100", "i31", add_items=True)
    assert items(more) == sorted([*items(log), "i100", "i31"])
    assert pairs(more) == pairs(log)
    check(more)
    assert more.notes[-1].endswith("; 2 of them have no interaction")
    assert more.item_table is not None
    assert more.item_table.filter(item="i3")["title"].item() == "Three"
    assert items(with_numbers(log, "i100")) == items(log)
    empty = log.with_vectors(["i3", "i99"], [[1.0], [0.0]], add_items=True)
    assert items(empty) == items(log)  # zeros are no vector


def test_the_fingerprint_covers_them() -> None:
    log = random_log()
    one = log.with_vectors(items(log), np.ones((30, 2)))
    two = log.with_vectors(items(log), np.full((30, 2), 2))
    assert len({x.fingerprint() for x in (log, one, two)}) == 3
    assert with_numbers(log).fingerprint() == with_numbers(log).fingerprint()


@pytest.mark.parametrize(
    ("ids", "matrix", "message"),
    [
        (["a", "b"], [[1.0], [2]], r"none of the 2 vectors .* \['a', 'b'\]"),
        (["i1", "i2"], [[1.0], [np.nan]], "NaN or infinite.* item 'i2'"),
        (["i1", "i2"], [[1.0], [1e39]], "NaN or infinite.* item 'i2'"),
        (["i1", "i1"], [[1.0], [2]], "item 'i1' has more than one vector"),
        (["i1"], [[1.0], [2]], "1 ids and 2 vectors"),
        (["i1"], [1.0], "a matrix of numbers"),
        (["i1"], [["x"]], "a matrix of numbers"),
        (["i1"], [[]], "a matrix of numbers"),
    ],
)
def test_bad_vectors_are_refused(ids: list[str], matrix: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        random_log().with_vectors(ids, matrix)


# -- files -----------------------------------------------------------------------------------


def test_read_takes_log_titles_and_vectors_together(tmp_path: Path) -> None:
    log = pl.DataFrame({"user": [1, 1, 2], "item": [5, 6, 5]})
    titles = pl.DataFrame({"item": [5, 6, 7], "title": ["Five", "Six", "Seven"]})
    pl.DataFrame({"item": [7, 5], "vector": [[1.0, 0.0], [0.0, 1.0]]}).write_parquet(
        tmp_path / "v.parquet"
    )
    path = tmp_path / "v.parquet"
    found = shoal.read(log, items=titles, vectors=path, cold_items=True)
    assert items(found) == [5, 6, 7]
    np.testing.assert_array_equal(found.item_vectors, [[0, 1], [0, 0], [1, 0]])
    assert found.item_table is not None
    assert found.item_table["title"].to_list() == ["Five", "Six", "Seven"]
    assert items(shoal.read(log, items=titles, vectors=path)) == [5, 6]
    with pytest.raises(DataError, match="--vectors FILE"):
        shoal.read(log, cold_items=True)


# -- the split by items ----------------------------------------------------------------------


def test_cold_items_are_unknown_but_for_their_vectors() -> None:
    log = with_numbers(random_log(n_users=80), "i77", add_items=True)
    found = split(log, "cold-items", test=0.2, validation=5, seed=1)
    assert found.validation is not None
    train = set(np.flatnonzero(found.train.item_counts))
    groups = []
    for fold, n in ((found.validation, 5), (found.test, 6)):
        assert fold.candidates is not None
        cold = set(np.flatnonzero(fold.candidates))
        groups.append(cold)
        assert len(cold) == n
        assert not cold & train
        assert set(fold.target.indices) <= cold
        assert set(fold.history.indices) <= train
        assert pairs(fold.history) | pairs(fold.target) <= pairs(log)
        assert not pairs(fold.target) & pairs(found.train)
        both = [u for u, i in pairs(log) if log.items.lookup([i])[0] in cold]
        assert fold.n_users == len(set(both) & {u for u, _ in pairs(found.train)})
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & {int(log.items.lookup(["i77"])[0])}  # nobody's target
    assert train | groups[0] | groups[1] == set(np.flatnonzero(log.item_counts))
    assert items(found.train) == items(log)
    assert split(log, "cold-items", validation=0).validation is None
    other = split(log, "cold-items", test=0.2, validation=5, seed=2).test.candidates
    assert other is not None
    assert set(np.flatnonzero(other)) != groups[1]


def test_only_candidates_are_ranked() -> None:
    """One user has a and b; c and d are held out, of them c is the user's. b is as near as c."""
    X = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 0, 1]])
    log = from_dense(X, items=list("abcd"))
    log = log.with_vectors(list("abcd"), [[1.0, 0], [0.9, 0.1], [0.8, 0.2], [0, 1]])
    for seed in range(30):
        parts = split(log, "cold-items", test=2, validation=0, seed=seed)
        if parts.test.candidates is not None and parts.test.candidates.tolist() == [0, 0, 1, 1]:
            break
    model = TextSimilarity().fit(parts.train)
    among_cold = shoal.evaluate(model, parts.test, "mrr@4,recall@1")
    among_all = shoal.evaluate(model, parts.test.among_all(), "mrr@4,recall@1")
    # user 0 has a: c before d, but b before c; user 2 has b: c before d, and a before both
    np.testing.assert_allclose(among_cold.per_user["mrr@4"], [1, 1 / 2])
    np.testing.assert_allclose(among_all.per_user["mrr@4"], [1 / 2, 1 / 3])
    assert "all items" in among_all.protocol
    assert "all items" not in among_cold.protocol


def test_a_split_by_items_needs_vectors_and_room() -> None:
    with pytest.raises(DataError, match=r"cold-items split needs item vectors.*--vectors"):
        split(random_log(), "cold-items")
    log = with_numbers(random_log())
    with pytest.raises(DataError, match="0 validation and 29 test items of 30"):
        split(log, "cold-items", test=29, validation=0)
    few = random_log()
    few = few.with_vectors(["i1", "i2"], [[1.0], [2]])  # the others cannot be asked for
    with pytest.raises(DataError, match="items of 2 that have a vector"):
        split(few, "cold-items")
