"""`evaluate_lists`: lists of a model score as the model does, and those of a person by hand."""

from __future__ import annotations

from math import log2
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import polars as pl
import pytest

import shoal
from shoal.errors import DataError
from shoal.evaluation.significance import paired
from shoal.splitting.held_out import HeldOut, Split
from shoal.testing import from_dense

METRICS = ["ndcg@10", "recall@5", "recall_full@5:tail", "map@10", "mrr@3", "coverage@10", "gini@5"]


@pytest.fixture(scope="module")
def parts() -> Split:
    rng = np.random.default_rng(3)
    rows = [(f"u{u:02}", int(i)) for u in range(60) for i in rng.choice(40, 12, replace=False)]
    return shoal.split(shoal.read(pl.DataFrame(rows, schema=["user", "item"], orient="row")))


@pytest.fixture(scope="module")
def lists_of_ease(parts: Split) -> tuple[Any, pl.DataFrame]:
    model = shoal.EASE(l2=5).fit(parts.train)
    return model, shoal.recommend_all(model, parts.test.history, 10)


@pytest.mark.parametrize("ending", ["frame", ".csv", ".parquet", ".jsonl", ".tsv"])
def test_lists_of_a_model_score_as_the_model(
    parts: Split, lists_of_ease: tuple[Any, pl.DataFrame], tmp_path: Path, ending: str
) -> None:
    model, table = lists_of_ease
    table = table.sample(fraction=1, shuffle=True, seed=0)  # the rank says the order, not the rows
    lists: Any = table
    if ending != "frame":
        lists = tmp_path / f"lists{ending}"
        if ending == ".parquet":
            table.write_parquet(lists)
        elif ending == ".jsonl":
            table.write_ndjson(lists)
        else:
            table.write_csv(lists, separator="\t" if ending == ".tsv" else ",")
    expected = shoal.evaluate(model, parts.test, METRICS)
    found = shoal.evaluate_lists(lists, parts, METRICS)
    assert found.scores == expected.scores
    for metric, values in expected.per_user.items():
        np.testing.assert_array_equal(found.per_user[metric], values)
    assert paired(found, expected, "ndcg@10").difference == 0
    assert found.counts == type(found.counts)(10, 0, 0, 0, 0, 0, 0)


def test_scores_or_the_order_of_rows_stand_for_ranks(
    parts: Split, lists_of_ease: tuple[Any, pl.DataFrame], tmp_path: Path
) -> None:
    _, table = lists_of_ease
    expected = shoal.evaluate_lists(table, parts, METRICS).scores
    by_score = table.with_columns(score=-pl.col("rank")).drop("rank").reverse()
    in_order = table.sort("user", "rank").select("user", "item")
    as_lists = in_order.group_by("user", maintain_order=True).agg("item")
    from_zero = table.select("user", "item", pl.col("rank").cast(pl.Int32) - 1)
    other_names = table.select(a="user", b="item", c="rank")
    no_header = tmp_path / "no_header.csv"
    table.select("user", "item", "rank").write_csv(no_header, include_header=False)
    for lists, columns in (
        (by_score, None),
        (in_order, None),
        (as_lists, None),
        (as_lists.with_columns(pl.col("item").list.to_array(10)), None),
        (dict(as_lists.iter_rows()), None),
        (from_zero, None),
        (other_names, {"user": "a", "item": "b", "rank": "c"}),
        (by_score.rename({"score": "z"}), {"score": "z"}),
        (table, {"score": "score"}),
        (table.reverse(), {"score": "none"}),  # the ranks are there still
        (no_header, None),
    ):
        assert shoal.evaluate_lists(lists, parts, METRICS, columns=columns).scores == expected


def test_outer_spaces_of_the_names_of_columns_do_not_count(
    parts: Split, lists_of_ease: tuple[Any, pl.DataFrame]
) -> None:
    _, table = lists_of_ease
    expected = shoal.evaluate_lists(table, parts, METRICS).scores
    spaced = table.select("user", pl.col("item").alias(" b"), pl.col("rank").alias("c "))
    columns = {"item": "b", "rank": "c"}
    assert shoal.evaluate_lists(spaced, parts, METRICS, columns=columns).scores == expected


def by_hand() -> HeldOut:
    """Users 0, 1, 2 with histories {0}, {1}, {2} and targets {1, 2}, {3}, {0, 4}."""
    history, target = np.zeros((3, 6), bool), np.zeros((3, 6), bool)
    history[[0, 1, 2], [0, 1, 2]] = True
    target[[0, 0, 1, 2, 2], [1, 2, 3, 0, 4]] = True
    return HeldOut(from_dense(history), from_dense(target), np.ones(6, np.int64), "by hand")


def test_a_toy_by_hand() -> None:
    held_out = by_hand()
    users, items = held_out.history.users.series, held_out.history.items.series
    rows = [
        (users[0], items[0], 1),  # in the history: keeps its place
        (users[0], items[1], 2),
        (users[0], items[2], 3),
        (users[1], 999, 1),  # an item that the split does not know
        (users[1], items[3], 2),
        (888, items[3], 1),  # no test user; test user 2 has no list
    ]
    lists = pl.DataFrame(rows, schema=["user", "item", "rank"], orient="row")
    found = shoal.evaluate_lists(lists, held_out, "recall_full@2,ndcg@3,mrr@3,hit_rate@1")
    ndcg_0 = (1 / log2(3) + 1 / log2(4)) / (1 + 1 / log2(3))
    np.testing.assert_allclose(found.per_user["recall_full@2"], [0.5, 1, 0])
    np.testing.assert_allclose(found.per_user["ndcg@3"], [ndcg_0, 1 / log2(3), 0])
    np.testing.assert_allclose(found.per_user["mrr@3"], [0.5, 0.5, 0])
    np.testing.assert_allclose(found.per_user["hit_rate@1"], [0, 0, 0])
    said = "\n".join(found.notes)
    assert "1 test user without a list" in said
    assert "1 user of the lists left out" in said
    assert "1 place with items that the split does not know" in said
    assert "1 place with items of the user's own history" in said
    assert "1 list with fewer than 3 items" in said
    plain = found.to_dict()
    assert plain["lists"]["users_without_list"] == 1
    assert "fitted_on_other_data" not in plain


def test_a_gap_in_the_ranks_is_a_place_that_is_missed() -> None:
    held_out = by_hand()
    user, item = held_out.history.users.series[1], held_out.history.items.series
    lists = pl.DataFrame({"user": [user] * 2, "item": [item[5], item[3]], "rank": [1, 3]})
    found = shoal.evaluate_lists(lists, held_out, "mrr@3")
    np.testing.assert_allclose(found.per_user["mrr@3"], [0, 1 / 3, 0])


def test_items_that_are_no_candidates_count_as_misses() -> None:
    held_out = by_hand()
    candidates = np.array([True, False, True, True, True, True])
    among = HeldOut(
        held_out.history, held_out.target, held_out.train_counts, "some", candidates=candidates
    )
    user, items = held_out.history.users.series[0], held_out.history.items.series
    found = shoal.evaluate_lists({user: [items[1], items[2]]}, among, "mrr@2")
    np.testing.assert_allclose(found.per_user["mrr@2"], [0.5, 0, 0])
    assert found.counts.other_candidates == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 1, 1), (0, 1, 2)], "item 1 more than once"),
        ([(0, 1, 1), (0, 2, 1)], "two items of the same rank"),
        ([(0, 1, 1.5)], "whole numbers from 1"),
        ([(0, 1, -1.0)], "whole numbers from 1"),
        ([(0, 1, float("nan"))], "missing or no finite number in 1 of 1 rows, first in row 1"),
        ([(0, 1, 1), (None, 2, 2)], "column 'user' .* missing in 1 of 2 rows, first in row 2"),
        ([(77, 1, 1)], "none of the users of the lists is a test user"),
        ([(1, 77, 1)], "none of the items of the lists"),
    ],
)
def test_lists_that_are_none_are_refused(rows: list[Any], message: str) -> None:
    lists = pl.DataFrame(rows, schema=["user", "item", "rank"], orient="row")
    with pytest.raises(DataError, match=message):
        shoal.evaluate_lists(lists, by_hand(), "ndcg@3")


def test_columns_that_are_not_there_are_refused() -> None:
    lists = pl.DataFrame({"a": [0], "item": [1]})
    with pytest.raises(DataError, match="--list-columns user="):
        shoal.evaluate_lists(lists, by_hand(), "ndcg@3")
    with pytest.raises(DataError, match="no column 'b'"):
        shoal.evaluate_lists(lists, by_hand(), "ndcg@3", columns={"user": "a", "rank": "b"})
    with pytest.raises(DataError, match="no such role 'time'"):
        shoal.evaluate_lists(lists, by_hand(), "ndcg@3", columns={"time": "a"})
    with pytest.raises(DataError, match="has no row"):
        shoal.evaluate_lists(lists.head(0), by_hand(), "ndcg@3", columns={"user": "a"})
    with pytest.raises(DataError, match="catalogue of 6 items"):
        shoal.evaluate_lists(lists, by_hand(), "ndcg@7")


def test_a_mapping_may_have_ids_of_any_type() -> None:
    user, items = uuid4(), [uuid4(), uuid4(), uuid4()]
    rows = pd.DataFrame({"user": [user] * 3 + [uuid4()] * 3, "item": items * 2})
    parts = shoal.split_given(
        shoal.read(rows.drop(index=2)), shoal.read(rows[rows["user"] == user][2:3])
    )
    found = shoal.evaluate_lists({user: [items[0], items[2]]}, parts, "mrr@2")
    assert found["mrr@2"] == 0.5  # the first one is of the history
    numbers = by_hand()
    first, ids = numbers.history.users.series[0], numbers.history.items.series
    lists = {first: ids.to_numpy()[1:3], numbers.history.users.series[1]: ()}
    found = shoal.evaluate_lists(lists, numbers, "recall_full@2")
    np.testing.assert_allclose(found.per_user["recall_full@2"], [1, 0, 0])
    assert found.counts.users_without_list == 2
    for lists in ({first: 5}, {first: "12"}, {first: {1, 2}}, {first: {1: 0.5, 2: 0.9}}):
        with pytest.raises(DataError, match="give a list of items"):
            shoal.evaluate_lists(lists, numbers, "recall_full@2")
    several: Any
    for several, said in (({first: [1, "2"]}, "item ids"), ({first: [1], "b": [2]}, "user ids")):
        with pytest.raises(DataError, match=rf"{said} of several types \(int and str\)"):
            shoal.evaluate_lists(several, numbers, "recall_full@2")


@pytest.mark.parametrize("kind", ["lists", "arrays", "tuples", "fixed", "fixed in Parquet"])
def test_a_row_may_hold_all_items_of_a_user(
    parts: Split, lists_of_ease: tuple[Any, pl.DataFrame], tmp_path: Path, kind: str
) -> None:
    _, table = lists_of_ease
    of_users = table.sort("user", "rank").group_by("user", maintain_order=True).agg("item")
    rows = of_users["item"].to_list()
    frame: Any = of_users.with_columns(pl.col("item").list.to_array(10))
    if kind == "fixed in Parquet":
        frame.write_parquet(tmp_path / "lists.parquet")
        frame = tmp_path / "lists.parquet"
    elif kind != "fixed":
        make = {"lists": list, "arrays": np.asarray, "tuples": tuple}[kind]
        frame = pd.DataFrame({"user": of_users["user"].to_list(), "items": [make(r) for r in rows]})
    found = shoal.evaluate_lists(frame, parts, METRICS)
    assert found.scores == shoal.evaluate_lists(table, parts, METRICS).scores


def test_lists_of_several_types_are_refused(parts: Split) -> None:
    users = parts.test.history.users.take([0, 1])
    frame = pd.DataFrame({"user": users, "items": [["x", 1], ["y"]]})
    with pytest.raises(DataError, match=r"column 'items' \(item\) .* holds list objects"):
        shoal.evaluate_lists(frame, parts, METRICS)


def test_errors_name_the_option_for_columns_of_lists(parts: Split, tmp_path: Path) -> None:
    trec = tmp_path / "trec.txt"
    trec.write_text("u01 Q0 5 1 0.4 run\nu01 Q0 6 2 0.3 run\n")
    with pytest.raises(DataError, match=r"\(--list-columns user=column_1,item=column_2\)$"):
        shoal.evaluate_lists(trec, parts, METRICS)
    by_user = tmp_path / "lists.json"
    by_user.write_text("{" + ", ".join(f'"u{u}": [1, 2]' for u in range(3000)) + "}")
    with pytest.raises(DataError, match=r"u\d+, … \(3,000 columns\)\. Say which: ") as refused:
        shoal.evaluate_lists(by_user, parts, METRICS)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"u1": ["a"], 2: ["a"]}, "user ids of several types"),
        ({"u1": ["a", 3]}, "item ids of several types"),
        ({"u1": [["a", "b"]]}, "the items of the lists are lists themselves"),
        ({("u", 1): ["a"]}, "user ids of several types|the users of the lists are lists"),
        ({"u1": {"a", "b"}}, "the best first"),
        ({"u1": b"ab"}, "give a list of items"),
    ],
)
def test_a_mapping_that_holds_no_lists_is_refused(
    parts: Split, lists: dict[Any, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        shoal.evaluate_lists(lists, parts, METRICS)


@pytest.mark.parametrize("rank", [pl.lit(value=True), pl.date(2026, 1, 1)])
def test_ranks_are_numbers(
    parts: Split, lists_of_ease: tuple[Any, pl.DataFrame], rank: pl.Expr
) -> None:
    _, table = lists_of_ease
    with pytest.raises(DataError, match=r"'rank' \(rank\) holds (Boolean|Date): ranks are whole"):
        shoal.evaluate_lists(table.with_columns(rank=rank), parts, METRICS)
