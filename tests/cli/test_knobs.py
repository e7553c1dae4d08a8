"""`shoal knobs`, and `shoal recommend --steer`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import shoal
from shoal.artifact import save
from shoal.models.registry import create
from shoal.testing import from_dense
from shoal.testing.toys import two_groups

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EASE on users of odd and of even items, whose genres are Odd and Even."""
    place = tmp_path_factory.mktemp("knobs")
    log = from_dense(two_groups())
    table = pl.DataFrame(
        {
            "item": log.items.series,
            "title": [f"Film {i}" for i in range(24)],
            "genres": [("Even", "Odd")[i % 2] for i in range(24)],
        }
    )
    model = shoal.EASE(l2=5.0).fit(log)
    model.restore_catalogue(log.items, table, "", {}, item_counts=log.item_counts)
    save(model, place / "ease")
    save(create("popularity").fit(log), place / "popular")
    return place


def test_knobs_are_listed_with_what_they_are_made_of(shoal_command: Run, folder: Path) -> None:
    code, out, err = shoal_command("knobs", folder / "ease")
    assert code == 0, err
    assert "Odd" in out
    assert "100% (50% of all)" in out
    assert "--steer 'Odd=1.5'" in out or "--steer 'Even=1.5'" in out
    code, out, _ = shoal_command("knobs", folder / "ease", "--json")
    told = json.loads(out)
    assert {knob["name"] for knob in told["knobs"]} == {"Odd", "Even"}
    assert all(title.startswith("Film ") for knob in told["knobs"] for title in knob["titles"])
    code, _, err = shoal_command("knobs", folder / "popular")
    assert code == 2
    assert "the same to everyone" in err


def test_a_list_is_turned_and_says_what_it_costs(shoal_command: Run, folder: Path) -> None:
    def items(*arguments: str) -> tuple[list[int], list[str]]:
        code, out, err = shoal_command(
            "recommend", folder / "ease", "--history", "101,103", "-k", 4, "--json", *arguments
        )
        assert code == 0, err
        told = json.loads(out)
        return [row["item"] for row in told["items"]], told["notes"]

    plain, notes = items()
    assert all(item % 2 for item in plain)
    assert notes == []
    turned, notes = items("--steer", "even = 3", "--steer", "Odd=-3")
    assert not any(item % 2 for item in turned)
    assert "4 of 4 items" in notes[0]
    assert items("--steer", "Even=0")[0] == plain


def test_all_users_of_a_log_are_turned(shoal_command: Run, folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item\na,101\na,103\nb,105\n")
    arguments = ("recommend", folder / "ease", "--log", log, "-k", 3, "--json")
    code, out, err = shoal_command(*arguments, "--steer", "Even=3")
    assert code == 0, err
    rows = json.loads(out)
    assert len(rows) == 6
    assert not any(row["item"] % 2 for row in rows)


@pytest.mark.parametrize(
    ("steer", "message"),
    [
        (["Evem=1"], "did you mean 'Even'?"),
        (["Even=4"], "from −3"),
        (["Even=nan"], "from −3"),
        (["Even"], "write NAME=LEVEL"),
        (["=1"], "write NAME=LEVEL"),
        (["Even=1", "Even=2"], "twice"),
        (["Even=1", "even=2"], "two levels"),
    ],
)
def test_wrong_levels_are_refused(
    shoal_command: Run, folder: Path, steer: list[str], message: str
) -> None:
    options = [part for text in steer for part in ("--steer", text)]
    code, _, err = shoal_command("recommend", folder / "ease", "--history", 101, *options)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
