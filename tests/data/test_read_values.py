"""`read`: what counts as an interaction, and how much."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shoal.data.checks import check_enough, check_users, check_weights
from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.errors import DataError

from .read_helpers import file

EVENTS = "user,item,event,price,ts\n" + (
    "1,10,view,5,1\n1,10,purchase,5,2\n1,20,view,7,3\n2,20,cart,7,4\n2,30,refund,9,5\n3,10,view,5,6\n"
)


def cells(log: Interactions) -> dict[tuple[Any, Any], float]:
    users, items = log.users.take(log.user_codes), log.items.take(log.indices)
    values = [1.0] * len(log) if log.values is None else log.values.tolist()
    return dict(zip(zip(users, items, strict=True), values, strict=True))


def test_a_condition_chooses_rows_and_is_counted(tmp_path: Path) -> None:
    log = read(file("log.csv", EVENTS)(tmp_path), where="event != 'view' and price < 9")
    assert set(cells(log)) == {(1, 10), (2, 20)}
    assert [(s.name, s.rows_in, s.rows_kept) for s in log.report] == [("where", 6, 2)]
    assert log.notes == ("columns: user=user, item=item, time=ts",)  # event and price are used


@pytest.mark.parametrize("where", ["sold = 1", "ts > 'soon'"])
def test_a_condition_that_the_log_cannot_answer(where: str, tmp_path: Path) -> None:
    log = pl.read_csv(file("log.csv", EVENTS)(tmp_path))
    with pytest.raises(DataError, match=r"^the frame, where .*: (there is no column|column 'ts')"):
        read(log, where=where)


def test_rows_that_are_not_chosen_may_lack_anything(tmp_path: Path) -> None:
    path = file("l.csv", "user,item,rating,ok\n1,2,5,yes\n,3,x,no\n2,2,0,no\n3,3,1,yes\n")(tmp_path)
    assert set(cells(read(path, where="ok = 'yes'"))) == {(1, 2), (3, 3)}
    with pytest.raises(DataError, match="'rating' is zero or negative in 1 rows, first in row 3"):
        read(path, where="ok = 'yes' or user = 2")


def test_events_weigh_what_is_said(tmp_path: Path) -> None:
    path = file("log.csv", EVENTS)(tmp_path)
    weights = {"view": 1, "cart": 2, "purchase": 5}
    log = read(path, weights=weights)
    assert cells(log) == {(1, 10): 5, (1, 20): 1, (2, 20): 2, (3, 10): 1}  # the later event
    assert str(log.report[0]) == ("event: 6 → 5 (1 dropped: event is none of view, cart, purchase)")
    assert "duplicates='sum'" in log.notes[-1]
    assert cells(read(path, weights=weights, duplicates="sum"))[(1, 10)] == 6
    logarithms = cells(read(path, weights=weights, values="log1p"))
    assert logarithms[(2, 20)] == pytest.approx(math.log(3))
    several = read(path, weights=weights, min_value=2)
    assert cells(several) == {(1, 10): 5, (2, 20): 2}
    renamed = pl.read_csv(path).rename({"event": "what happened"})
    assert cells(read(renamed, weights=weights, columns={"event": "what happened"})) == cells(log)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"columns": {"event": "event"}}, "goes with weights"),
        ({"weights": {"view": 0}}, "weight 0 of event 'view': give a number above 0"),
        ({"weights": {"view": math.nan}}, "weight nan"),
        ({"weights": {}}, "name at least one event"),
        ({"weights": {"view": 1}, "columns": {"value": "price"}}, "leave one out"),
        ({"weights": {"view": 1}, "columns": {"event": "none"}}, "none could be recognised"),
        ({"weights": {"sold": 1}}, "no interaction is left"),
    ],
)
def test_weights_that_cannot_be(options: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=complaint):
        read(file("log.csv", EVENTS)(tmp_path), **options)


@pytest.mark.parametrize("name", ["Book-Rating", "clicked", "is_clicked", "Liked", "user rating"])
def test_names_of_values_that_hold_zeros(name: str) -> None:
    log = pl.DataFrame({"user": [1, 2], "item": [1, 2], name: [0, 1]})
    with pytest.raises(DataError, match=f"column '{name}' is zero or negative in 1 rows"):
        read(log)
    assert len(read(log, min_value=1)) == 1


@pytest.mark.parametrize(
    ("column", "facts"),
    [
        (["0", "1", "0", "1", "0", "0"], "from 0 to 1, and 4 rows hold 0"),
        ([0, 1, 0, 1, 0, 0], "from 0 to 1, and 4 rows hold 0"),
        ([False, True, True, True, True, True], "from 0 to 1, and 1 rows hold 0"),
        (["True", "False", "True", "True", "True", "True"], "from 0 to 1"),
        ([-1.0, 1.0, 1.0, -1.0, 1.0, 1.0], "from -1 to 1"),
        ([3.5, 5.0, 3.5, 5.0, 0.5, 0.5], "from 0.5 to 5"),
    ],
)
def test_a_column_that_may_be_the_value_is_asked_for(column: list[Any], facts: str) -> None:
    log = pl.DataFrame({"user": [1, 1, 1, 2, 2, 2], "item": [1, 2, 3, 1, 2, 3], "grade x": column})
    with pytest.raises(DataError, match=rf"'grade x' is not used, and looks like a value.*{facts}"):
        read(log)
    assert len(read(log, columns={"value": "none"})) == 6
    assert read(log, columns={"value": "none"}).notes[-1] == "not used: grade x"
    kept = read(log, columns={"value": "grade x"}, values="keep").values
    assert kept is not None
    truth = {"True": 1.0, "False": 0.0}
    assert kept.tolist() == [truth[str(v)] if str(v) in truth else float(v) for v in column]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("grade", ["a", "b", "a", "b", "a", "b"]),  # no numbers
        ("grade", [1, 1, 1, 1, 1, 1]),  # says nothing
        ("grade", [1, 2, 3, 4, 5, 6]),  # another in each row
        ("hours", [0.5, 700.0, 0.5, 700.0, 0.5, 0.5]),  # no small numbers
        ("gender", [0, 1, 0, 1, 0, 0]),
        ("category_id", [0, 1, 0, 1, 0, 0]),
    ],
)
def test_other_columns_are_only_named(name: str, column: list[Any]) -> None:
    log = pl.DataFrame({"user": [1, 1, 1, 2, 2, 2], "item": [1, 2, 3, 1, 2, 3], name: column})
    assert read(log).notes[-1] == f"not used: {name}"


def test_zeros_that_come_late_are_seen() -> None:
    column = [1] * 20_000 + [0] * 3
    log = pl.DataFrame({"user": range(20_003), "item": [1, 2, 3] * 6667 + [4, 5], "flag": column})
    with pytest.raises(DataError, match=r"'flag' is not used.*3 rows hold 0"):
        read(log)


def test_logarithms_of_counts() -> None:
    log = pl.DataFrame({"user": [1, 1, 2], "item": [1, 1, 2], "plays": [4, 5, 99]})
    assert cells(read(log, values="log1p", duplicates="sum")) == {
        (1, 1): pytest.approx(math.log(10)),  # of the sum, 9
        (2, 2): pytest.approx(math.log(100)),
    }
    with pytest.raises(DataError, match=r"'plays' is zero or negative.*a logarithm is for counts"):
        read(log.with_columns(plays=pl.Series([4, 0, 9])), values="log1p")


def test_a_heavy_tail_is_told() -> None:
    log = pl.DataFrame({"user": [1, 2, 3], "item": [1, 2, 3], "plays": [1, 2, 5000]})
    note = read(log, values="keep").notes[-1]
    assert note.startswith("values run up to 5,000, 2,500 times their median (2)")
    assert "log1p" in note
    for values in ("binary", "log1p"):
        assert "median" not in " ".join(read(log, values=values).notes)
    stars = log.with_columns(plays=pl.Series([1, 4, 5]))
    assert "median" not in " ".join(read(stars, values="keep").notes)


def test_ratings_of_zero_and_below_are_for_models_that_rate() -> None:
    log = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [-7.5, 0.0, 5.0]})
    kept = read(log, values="keep")
    assert cells(kept) == {(1, 1): -7.5, (1, 2): 0.0, (2, 1): 5.0}
    check_weights(kept, positive=False)
    with pytest.raises(DataError, match=r"2 values are zero, negative.*-7.5 of user 1 and item 1"):
        check_weights(kept)
    with pytest.raises(DataError, match=r"'rating' is zero or negative.*min-value X.*values keep"):
        read(log)


@pytest.mark.parametrize(("user", "item"), [([1, 1], [2, 3]), ([1, 2], [2, 2])])
def test_a_log_of_one_user_or_one_item_can_be_read(user: list[int], item: list[int]) -> None:
    log = read(pl.DataFrame({"user": user, "item": item}))
    assert (log.n_users, log.n_items) == (len(set(user)), len(set(item)))
    check = check_users if log.n_users == 1 else check_enough
    with pytest.raises(DataError, match=r"there is one (user|item) only"):
        check(log)


def test_a_log_is_read_like_that_of_a_model() -> None:
    first = pl.DataFrame(
        {"who": [1, 2, 2], "what": [1, 2, 3], "how": ["buy", "buy", "see"], "d": ["1/2/2020"] * 3}
    )
    trained = read(
        first,
        columns={"user": "who", "item": "what", "time": "d"},
        where="how = 'buy'",
        time_format="%d/%m/%Y",
    ).preparation
    assert trained == {
        "min_value": None,
        "values": "binary",
        "columns": {"user": "who", "item": "what", "time": "d"},
        "where": "how = 'buy'",
        "time_format": "%d/%m/%Y",
    }
    again = read(first, like=trained)
    assert set(cells(again)) == {(1, 1), (2, 2)}
    assert again.preparation == trained
    # of a log with other columns what fits counts
    other = pl.DataFrame({"user": [5], "what": [2], "item": [9]})
    assert set(cells(read(other, like=trained))) == {(5, 2)}
    # what is said goes first
    assert set(cells(read(first, like=trained, where="how = 'see'"))) == {(2, 3)}
    with pytest.raises(DataError, match="give a fitted model"):
        read(first, like=3)
