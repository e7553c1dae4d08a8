"""`shoal knobs`, and `shoal recommend --steer`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
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
    assert "--steer 'Odd=0.5'" in out or "--steer 'Even=0.5'" in out
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


@pytest.fixture(scope="module")
def circles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EASE without a table of items on three circles of users, of 24, 16 and 8 items."""
    circles = [range(24), range(24, 40), range(40, 48)]
    rng = np.random.default_rng(5)
    rows = np.zeros((90, 48), np.float32)
    for user, row in enumerate(rows):
        own = np.array(circles[user % 3])
        row[rng.choice(own, len(own) * 3 // 4, replace=False)] = 1
    place = tmp_path_factory.mktemp("circles") / "ease"
    save(shoal.EASE(l2=5.0).fit(from_dense(rows)), place)
    return place


def test_fewer_knobs_are_listed_of_the_same_ones(shoal_command: Run, circles: Path) -> None:
    def listed(*arguments: object) -> list[dict[str, Any]]:
        code, out, err = shoal_command("knobs", circles, "--json", *arguments)
        assert code == 0, err
        rows: list[dict[str, Any]] = json.loads(out)["knobs"]
        return rows

    everything = listed()
    assert len(everything) > 2
    two = listed("--most", 2)
    sizes = sorted((row["n_items"] for row in everything), reverse=True)
    assert [row for row in everything if row in two] == two
    assert sorted((row["n_items"] for row in two), reverse=True) == sizes[:2]
    # what the listing says to do is done by `recommend`
    code, out, err = shoal_command("knobs", circles, "--most", 1)
    assert code == 0, err
    assert f"1 of {len(everything)} knobs" in out
    level = re.search(r"--steer '(.+)'", out)
    assert level is not None
    code, _, err = shoal_command(
        "recommend", circles, "--history", 101, "-k", 3, "--steer", level[1]
    )
    assert code == 0, err


def test_knobs_without_names_begin_with_the_items_that_name_them(
    shoal_command: Run, circles: Path
) -> None:
    code, out, err = shoal_command("knobs", circles, "--json")
    assert code == 0, err
    for knob in json.loads(out)["knobs"]:
        assert knob["name"].split(" (")[0] == ", ".join(map(str, knob["items"][:2]))
        assert len(knob["items"]) == len(set(knob["items"]))
    code, out, _ = shoal_command("knobs", circles)
    assert "These knobs have no names: train with --items" in " ".join(out.split())
    assert "mostly" not in out


def test_a_name_says_where_it_holds_for_most_members_alone() -> None:
    from shoal.cli.knobs import _name
    from shoal.steering.knobs import Knob

    shares = {0.25: "Sea (mostly)", 0.59: "Sea (mostly)", 0.6: "Sea", 1.0: "Sea", None: "Sea"}
    for share, shown in shares.items():
        assert _name(Knob("Sea", (), 5, share, 0.1)) == shown
