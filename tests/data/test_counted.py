"""`read(…, events=…)`: the rows of some events count, wherever the log says what a row is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import shoal
from shoal.errors import DataError

EVENTS = "user,item,event\na,x,view\na,y,purchase\nb,x,cart\nb,z,purchase\nc,x,it's\nc,y,view\n"
VALUES = "user,item,rating\na,x,5\na,y,1\nb,x,4\nb,z,5\n"


def pairs(log: shoal.Interactions) -> set[tuple[str, str]]:
    users = log.users.take(log.user_codes)
    return set(zip(users, log.items.take(log.indices), strict=True))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["purchase"], {("a", "y"), ("b", "z")}),
        (["purchase", "cart"], {("a", "y"), ("b", "z"), ("b", "x")}),
        (["it's", "purchase"], {("a", "y"), ("b", "z"), ("c", "x")}),
    ],
)
def test_of_a_column_of_events(
    events: list[str], expected: set[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "log.csv").write_text(EVENTS)
    log = shoal.read(tmp_path / "log.csv", events=events)
    assert pairs(log) == expected
    # a model remembers it, so that other logs are read alike
    assert pairs(shoal.read(tmp_path / "log.csv", like=log.preparation)) == expected


@pytest.mark.parametrize(
    ("events", "options", "expected"),
    [
        ([5], {}, {("a", "x"), ("b", "z")}),
        ([4, 5.0], {}, {("a", "x"), ("b", "z"), ("b", "x")}),
        (["5"], {}, {("a", "x"), ("b", "z")}),
        ([5], {"where": "item = 'z'"}, {("b", "z")}),
        ([5], {"where": "item = 'z' or item = 'y'"}, {("b", "z")}),
    ],
)
def test_of_values_where_a_log_has_no_events(
    events: list[Any], options: dict[str, str], expected: set[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "log.csv").write_text(VALUES)
    assert pairs(shoal.read(tmp_path / "log.csv", events=events, **options)) == expected  # type: ignore[arg-type]


def test_a_column_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(EVENTS.replace("event", "what it was"))
    log = shoal.read(tmp_path / "log.csv", events=["cart"], columns={"event": "what it was"})
    assert pairs(log) == {("b", "x")}


def test_weights_of_the_others_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(EVENTS)
    weights = {"view": 1.0, "cart": 2.0, "purchase": 5.0}
    log = shoal.read(tmp_path / "log.csv", events=["cart", "purchase"], weights=weights)
    assert log.values is not None
    assert sorted(log.values.tolist()) == [2, 5, 5]
    with pytest.raises(DataError, match=r"it.*s. counts, and has no weight"):
        shoal.read(tmp_path / "log.csv", events=["it's"], weights=weights)


def test_what_cannot_be_told_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,kind\na,x,view\nb,y,view\n")
    with pytest.raises(DataError, match=r"no column of events or values.*user, item, kind"):
        shoal.read(tmp_path / "log.csv", events=["view"])
    (tmp_path / "log.csv").write_text(EVENTS)
    with pytest.raises(DataError, match="no interaction is left"):
        shoal.read(tmp_path / "log.csv", events=["buy"])
