"""``--filter``, ``--boost`` and ``--diversity`` of ``shoal recommend`` and ``shoal similar``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from shoal.artifact import save
from shoal.data.ids import Ids
from shoal.models.ease import EASE

Shoal = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model where item 1 speaks for 2, 3, 4 and 5 by 8, 4, 2 and 1; 2 and 3 are alike."""
    B = np.zeros((5, 5), np.float32)
    B[0, 1:] = [8, 4, 2, 1]
    B[1, 2] = 1
    model, ids = EASE(), [1, 2, 3, 4, 5]
    table = pl.DataFrame(
        {
            "item": ids,
            "title": ["Up", "Io", "It", "M", "Z"],
            "genres": ["Drama", "Drama|War", "War", "Drama", "Comedy"],
            "year": [1999, 1980, 1990, 2000, 2010],
            "in_stock": [True, False, True, True, True],
        }
    )
    model.restore({"weights": B})
    counts = np.ones(5, np.int64)
    model.restore_catalogue(Ids(table["item"], "int"), table, "", {}, item_counts=counts)
    save(model, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ((), [(2, 8), (3, 4), (4, 2), (5, 1)]),
        (("--filter", "year >= 1990 and in_stock"), [(3, 4), (4, 2), (5, 1)]),
        (("--filter", "'War' in genres"), [(2, 8), (3, 4)]),
        (("--boost", "1 + 9 * (year > 1995)"), [(4, 20), (5, 10), (2, 8), (3, 4)]),
        (("--boost", '{"in_stock": 3, "item = 5": 2}'), [(3, 12), (2, 8), (4, 6), (5, 6)]),
        (("--diversity", "0.5"), [(2, 8), (4, 2), (5, 1), (3, 4)]),
    ],
)
@pytest.mark.parametrize("command", ["recommend", "similar"])
def test_one_list(
    folder: Path, shoal_command: Shoal, options: Any, rows: list[Any], command: str
) -> None:
    asked = ("--history", "1") if command == "recommend" else ("1",)
    code, text, err = shoal_command(command, folder, *asked, "-k", 4, "--json", *options)
    assert (code, err) == (0, "")
    items = [(row["item"], row["score"]) for row in json.loads(text)["items"]]
    assert sorted(items) == sorted(rows)
    assert [score for _, score in items] == [score for _, score in rows]


def test_all_users_of_a_log(folder: Path, tmp_path: Path, shoal_command: Shoal) -> None:
    log, out = tmp_path / "log.csv", tmp_path / "lists.parquet"
    log.write_text("user,item\nana,1\nbo,2\n")
    options = (
        "--filter",
        "in_stock",
        "--boost",
        "max(0.5, year - 1989)",
        "--diversity",
        "0.2",
        "-k",
        2,
    )
    code, _, err = shoal_command("recommend", folder, "--log", log, "--out", out, *options)
    assert (code, err) == (0, "")
    lists = pl.read_parquet(out)
    # ana: of 3, 4 and 5, boosted to 4, 22 and 21; bo: 3 alone is above 0
    assert lists.filter(user="ana")["score"].to_list() == [22, 21]
    assert lists.filter(user="bo")["item"][0] == 3


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ("--filter", "colour = 'red'"),
            "there is no column 'colour'; the columns are item, title",
        ),
        (("--filter", "year >"), "filter: the end stands where a constant is expected"),
        (("--filter", ""), "filter='': write conditions"),
        (("--boost", "{in_stock: 2}"), "is no JSON such as"),
        (("--boost", '{"in_stock": "2"}'), "has the factor '2'"),
        (("--boost", "year - 1980"), "the factor of 1 items is not from"),
        (("--diversity", "2"), "diversity=2.0: give a number from 0"),
    ],
)
def test_what_is_wrong_is_one_line(
    folder: Path, shoal_command: Shoal, options: Any, complaint: str
) -> None:
    code, text, err = shoal_command("recommend", folder, "--history", 1, "-k", 3, *options)
    assert (code, text) == (2, "")
    assert complaint in err
    assert len(err.strip().splitlines()) == 1


def test_what_speaks_against_an_item_has_no_rules(folder: Path, shoal_command: Shoal) -> None:
    code, _, err = shoal_command("similar", folder, 1, "--dissimilar", "--filter", "year > 1")
    assert code == 2
    assert "--filter does not go with --dissimilar" in err


def test_a_filter_that_nothing_fulfils_says_so(folder: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command(
        "recommend", folder, "--history", 1, "-k", 3, "--filter", "year > 3000"
    )
    assert code == 0
    assert "no item that may be recommended fulfils the filter 'year > 3000'" in text
