"""`shoal online`: reports and decisions from the command line."""

from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl
import pytest

import shoal
from shoal.artifact import Store
from shoal.events import Event, EventStore, ShownList
from shoal.online import read_experiment

from .conftest import Shoal

FILE = """
name: autumn
variants:
  control: {share: 0.5}
  diverse: {share: 0.5, diversity: 0.3}
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "autumn.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def database(tmp_path: Path, experiment: Path) -> str:
    """Lists of 600 users, of whom those of diverse click three times as often."""
    described, rng = read_experiment(experiment), random.Random(0)
    path = tmp_path / "events.db"
    lists, events = [], []
    for number in range(600):
        user, request = f"user{number}", f"r{number}"
        variant = described.variant_of(user)
        items = [str(item) for item in rng.sample(range(20), 5)]
        lists.append(ShownList(request, user, items, "ease", "1", None, "autumn", variant))
        rate = 0.15 if variant == "control" else 0.45
        events += [
            Event(user, item, "click", None, None, request) for item in items if rng.random() < rate
        ]
    with EventStore(path) as store:
        store.append(events, lists=lists)
    return str(path)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A store with two versions, the second of which is live."""
    log = shoal.read(pl.DataFrame({"user": [1, 1, 2, 2, 3], "item": [0, 1, 1, 2, 1]}))
    path = tmp_path / "models"
    store = Store(path, create=True)
    for strength in (1.0, 2.0):
        store.publish(shoal.EASE(l2=strength).fit(log))
    return path


def test_report(shoal_command: Shoal, database: str, experiment: Path, models: Path) -> None:
    code, out, err = shoal_command(
        "online", "report", database, "--experiment", experiment, "--model", models
    )
    assert (code, err) == (0, "")
    assert "experiment autumn: diverse gets more clicks than control (+" in out
    assert "numbers of users fit the shares (p = 1" in out
    (row,) = [line for line in out.splitlines() if line.startswith("diverse  popularity")]
    # of the items 0 to 19, the model knows three, with 1, 3 and 1 training users
    assert [round(float(number), 1) for number in row.split()[2:4]] == [1.7, 1.7]
    assert row.split()[-4:] == ["at", "most", "1.25", "yes"]
    code, out, _ = shoal_command("online", "report", database, "--experiment", experiment, "--json")
    made = json.loads(out)
    assert made["experiment"] == "autumn"
    assert made["variants"][1]["difference"]["verdict"] == "better"
    assert made["variants"][0]["users"] + made["variants"][1]["users"] == 600
    assert made["variants"][1]["guards"][1]["passed"] is None
    code, out, _ = shoal_command(
        *("online", "report", database, "--experiment", experiment, "--since", "2999-01-01"),
        "--json",
    )
    assert json.loads(out)["notes"] == ["No list of experiment autumn counts in this time window."]


def test_promote_and_undo(shoal_command: Shoal, database: str, experiment: Path) -> None:
    promote = ("online", "promote", database, "--experiment", experiment)
    code, out, _ = shoal_command(*promote, "diverse")
    assert code == 0
    assert "everybody gets diverse" in out
    assert "send diversity with each request" in out
    with EventStore(database) as store:
        assert store.promotion("autumn") == "diverse"
    _, out, _ = shoal_command("online", "report", database, "--experiment", experiment)
    assert "diverse is promoted: everybody gets it." in out
    code, out, _ = shoal_command(*promote, "--undo", "--json")
    expected = {"variant": None, "before": "diverse", "activated": None}
    assert expected.items() <= json.loads(out).items()
    code, _, err = shoal_command(*promote, "--undo")
    assert code == 2
    assert "no variant of experiment autumn is promoted" in err


def test_a_doubtful_variant_is_promoted_only_with_yes(
    shoal_command: Shoal, database: str, experiment: Path, tmp_path: Path
) -> None:
    # control and diverse change places, so that those who click less are the variant
    swapped = tmp_path / "swapped.yaml"
    swapped.write_text(FILE + "control: diverse\n")
    promote = ("online", "promote", database, "--experiment")
    code, out, err = shoal_command(*promote, swapped, "control")
    assert (code, out) == (2, "")
    assert "control is not promoted: It gets fewer clicks than diverse." in err
    assert "--yes" in err
    assert err.count("\n") == 1
    winter = tmp_path / "winter.yaml"
    winter.write_text(FILE.replace("autumn", "winter"))
    code, out, err = shoal_command(*promote, winter, "diverse", "--json")
    assert code == 2
    assert "It is not known yet whether it gets more clicks than control." in out + err
    with EventStore(database) as store:
        assert (store.promotion("autumn"), store.promotion("winter")) == (None, None)
    assert shoal_command(*promote, winter, "control")[0] == 0  # nothing speaks against it
    code, out, _ = shoal_command(*promote, swapped, "control", "--yes")
    assert code == 0
    assert "everybody gets control" in out


def test_a_report_of_another_experiment_says_which_there_is(
    shoal_command: Shoal, database: str, tmp_path: Path
) -> None:
    winter = tmp_path / "winter.yaml"
    winter.write_text(FILE.replace("autumn", "winter"))
    code, out, _ = shoal_command("online", "report", database, "--experiment", winter)
    assert code == 0
    assert (
        "No list of experiment winter is stored; this database has autumn (600 lists): is the "
        "name right?"
    ) in out
    assert "the shares" not in out


def test_a_folder_above_the_model_says_what_lies_below(
    shoal_command: Shoal, database: str, experiment: Path, models: Path
) -> None:
    code, _, err = shoal_command(
        *("online", "report", database, "--experiment", experiment, "--model", models.parent)
    )
    assert code == 2
    assert "holds neither a model (manifest.json) nor a store of versions; below it" in err
    assert models.name in err


def test_a_version_that_is_promoted_becomes_the_live_one(
    shoal_command: Shoal, database: str, experiment: Path, models: Path
) -> None:
    store = Store(models)
    newest, oldest = (version.name for version in store.versions())
    experiment.write_text(FILE.replace("diversity: 0.3", f"version: '{oldest}'"))
    promote = ("online", "promote", database, "--experiment", experiment)
    code, out, _ = shoal_command(*promote, "diverse")
    assert f"shoal activate STORE {oldest}" in out
    assert store.current() == newest
    code, out, _ = shoal_command(*promote, "diverse", "--model", models)
    assert f"version {oldest} is live now" in out
    assert store.current() == oldest
    code, out, _ = shoal_command(*promote, "--undo", "--model", models)
    assert code == 0
    assert store.current() == newest
    experiment.write_text(FILE.replace("diversity: 0.3", "version: none"))
    code, _, err = shoal_command(*promote, "diverse", "--model", models)
    assert code == 2
    assert "has no version 'none'" in err
    with EventStore(database) as events:
        assert events.promotion("autumn") is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["promote", "{db}", "divers"], "no variant 'divers'"),
        (["promote", "{db}"], "name the variant that everybody gets (one of control, diverse)"),
        (["promote", "{db}", "diverse", "--undo"], "give one of the two"),
        (["report", "{db}.none"], "there is no such database of events"),
        (["promote", "{db}.none", "diverse"], "there is no such database of events"),
        (["report", "{db}", "--model", "{db}"], "events.db"),
        (["report", "{db}", "--since", "soon"], "--since soon: write an age"),
    ],
)
def test_what_is_wrong_is_refused(
    shoal_command: Shoal, database: str, experiment: Path, arguments: list[str], told: str
) -> None:
    given = [argument.replace("{db}", database) for argument in arguments]
    code, out, err = shoal_command("online", *given, "--experiment", experiment)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_a_file_that_is_wrong(shoal_command: Shoal, database: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(FILE.replace("share: 0.5}", "share: 0.4}"))
    code, _, err = shoal_command("online", "report", database, "--experiment", path)
    assert code == 2
    assert "the shares sum to 0.9: make them sum to 1" in err
