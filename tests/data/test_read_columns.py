"""`read`: which column is the user, the item, the value and the time."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from shoal.data.read import read
from shoal.errors import DataError

from .read_helpers import BY_HAND, ITEMS, NAMES, USERS, facts, file, frame, text, users_of


@pytest.mark.parametrize(
    "names",
    [
        ("user", "item", "rating", "timestamp"),
        ("userId", "movieId", "rating", "timestamp"),
        ("user_id", "item_id", "stars", "ts"),
        ("uid", "iid", "play-count", "Date"),
        ("USER ID", "Product.ID", "Score", "created_at"),
        ("session_id", "article_id", "clicks", "event.ts"),
        ("reviewerID", "asin", "overall", "unixReviewTime"),
    ],
)
def test_common_names_are_recognised_in_any_order(names: tuple[str, ...]) -> None:
    renamed = frame().rename(dict(zip(NAMES, names, strict=True)))
    shuffled = renamed.select(pl.lit("x").alias("comment"), *reversed(names))
    log = read(shuffled, values="keep")
    assert facts(log) == BY_HAND
    u, i, v, t = names
    columns = f"columns: user={u}, item={i}, value={v}, time={t}"
    assert log.notes == (columns, "not used: comment")


def test_what_was_not_chosen_is_noted() -> None:
    log = read(frame().with_columns(pl.lit(9).alias("uid"), pl.lit(8).alias("date")))
    assert users_of(log) == USERS
    assert log.notes[1:] == (
        "user is 'user', not uid",
        "time is 'timestamp', not date",
        "not used: uid, date",
    )


def test_columns_that_are_said_go_before_guesses() -> None:
    other = frame().rename({"user": "row", "rating": "a"}).with_columns(pl.lit(1).alias("uid"))
    columns = {"user": "row", "value": "a"}
    assert facts(read(other, columns=columns, values="keep")) == BY_HAND


def test_a_column_that_is_said_is_not_guessed_for_another_role() -> None:
    # the item's column serves as user, so the item is the next best
    log = read(frame().rename({"user": "song"}), columns={"user": "item"})
    assert users_of(log) == ITEMS
    assert log.notes == ("columns: user=item, item=song, value=rating, time=timestamp",)


def test_none_leaves_a_role_empty() -> None:
    log = read(frame().with_columns(rating=-1.0), columns={"value": "none", "time": "none"})
    assert log.times is None
    assert log.notes == ("columns: user=user, item=item", "not used: rating, timestamp")


def test_columns_of_a_file_without_header(tmp_path: Path) -> None:
    path = file("u.data", text("\t", header=False))(tmp_path)
    log = read(path)
    assert "no header" in log.notes[1]
    swapped = read(path, columns={"user": "column_2", "item": "column_1"})
    assert users_of(swapped) == ITEMS
    assert swapped.times is None
    untimed = read(path, columns={"time": "none"}, values="keep")
    assert facts(untimed) == BY_HAND | {"times": None}


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"usr": "user"}, "no such role 'usr': columns have the roles user, item, value, time"),
        ({"user": "who"}, "no column 'who' .asked for as user.*user, item, rating, timestamp"),
        ({"user": "none"}, "recognised as user; its columns are user, item"),
        ({"user": "item", "item": "item"}, "column 'item' is asked for as user and as item"),
    ],
)
def test_columns_that_cannot_be(columns: dict[str, str], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read(frame(), columns=columns)


def test_a_role_that_an_option_needs() -> None:
    pairs = frame().select("user", "item")
    for options in ({"min_value": 1}, {"values": "keep"}, {"duplicates": "sum"}):
        with pytest.raises(DataError, match=r"no value column.*user, item"):
            read(pairs, **options)
    with pytest.raises(DataError, match="no time column for since/until"):
        read(pairs, until=5)


@pytest.mark.parametrize("option", ["values", "duplicates", "missing"])
def test_an_unknown_option_is_not_taken_for_the_default(option: str) -> None:
    with pytest.raises(DataError, match=f"{option}='mean': give one of "):
        read(frame(), **{option: "mean"})
