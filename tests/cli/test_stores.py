"""Commands for stores: publish, versions, activate, rollback, prune, and train --publish."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import shoal

Shoal = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(model: Path, shoal_command: Shoal) -> Path:
    store = model.parent / "store"
    for note in ("first", "second"):
        code, _, err = shoal_command("publish", model, store, "--note", note)
        assert code == 0, err
    return store


def listed(shoal_command: Shoal, store: Path) -> list[dict[str, object]]:
    code, out, err = shoal_command("versions", store, "--json")
    assert code == 0, err
    versions: list[dict[str, object]] = json.loads(out)["versions"]
    return versions


def test_versions_are_published_listed_rolled_back_and_pruned(
    store: Path, model: Path, shoal_command: Shoal
) -> None:
    second, first = listed(shoal_command, store)
    assert (second["note"], second["live"]) == ("second", True)
    assert (first["note"], first["live"]) == ("first", False)
    code, out, _ = shoal_command("versions", store)
    assert code == 0
    assert out.splitlines()[1].split()[:2] == ["live", second["name"]]
    code, out, _ = shoal_command("rollback", store)
    assert code == 0
    assert f"{first['name']} is live" in out
    code, out, _ = shoal_command("activate", store, second["name"], "--json")
    assert code == 0
    assert json.loads(out)["live"] is True
    code, out, _ = shoal_command("publish", model, store, "--no-activate")
    assert "is not live" in out
    third = listed(shoal_command, store)[0]
    assert f"next: shoal activate {store} {third['name']}" in out.replace(
        out.partition("next: ")[2].split()[0], "shoal"
    )
    code, out, _ = shoal_command("activate", store, third["name"])
    assert code == 0
    code, out, _ = shoal_command("prune", store, "--keep", 1, "--json")
    assert json.loads(out)["removed"] == [first["name"]]
    assert [v["name"] for v in listed(shoal_command, store)] == [third["name"], second["name"]]


def test_other_commands_take_a_store_for_its_live_version(
    store: Path, model: Path, shoal_command: Shoal, tmp_path: Path
) -> None:
    def answer(*words: object) -> str:
        code, out, err = shoal_command(*words)
        assert code == 0, err
        return out

    for words in (
        ("recommend", "{}", "--history", "1,2", "--json"),
        ("similar", "{}", "3", "--json"),
        ("info", "{}", "--json"),
    ):
        both = [answer(*[str(p) if w == "{}" else w for w in words]) for p in (model, store)]
        assert both[0] == both[1]
    code, _, err = shoal_command("multiply", model, store, "--out", tmp_path / "product")
    assert code == 0, err
    assert shoal.load(tmp_path / "product").name == "product"


def test_train_publishes(ratings: Path, shoal_command: Shoal) -> None:
    store, out = ratings.parent / "new-store", ratings.parent / "model"
    train = ("train", ratings, "--model", "ease", "--columns", "value=none")
    code, text, err = shoal_command(*train, "--publish", store)
    assert code == 0, err
    name = listed(shoal_command, store)[0]["name"]
    assert f"published to {store}: {name} is live" in text
    assert f"recommend {store} --history" in text
    code, text, err = shoal_command(*train, "--publish", store, "--out", out, "--json")
    assert code == 0, err
    said = json.loads(text)
    assert said["folder"] == str(out)
    assert said["version"] == listed(shoal_command, store)[0]["name"]
    assert (out / "manifest.json").is_file()
    code, _, err = shoal_command(*train)
    assert code == 2
    assert "--out FOLDER, or --publish STORE" in err
    code, _, err = shoal_command(*train, "--publish", out)
    assert code == 2
    assert "is a model folder, and no store" in err
    code, _, err = shoal_command(*train, "--out", store)
    assert code == 2
    assert "is a store of versions" in err


def test_what_is_broken_or_not_there_is_said(store: Path, shoal_command: Shoal) -> None:
    second, first = listed(shoal_command, store)
    os.truncate(store / str(first["name"]) / "arrays.safetensors", 100)
    code, out, _ = shoal_command("versions", store)
    assert code == 0
    assert f"{first['name']} cannot be used: " in out
    assert "truncated" in out
    for words in (("activate", store, first["name"]), ("rollback", store)):
        code, _, err = shoal_command(*words)
        assert code == 2
        assert "truncated" in err or "no version that was live before" in err
    code, _, err = shoal_command("activate", store, "nothing")
    assert code == 2
    assert f"has no version 'nothing' (it has: {second['name']}, {first['name']})" in err
    (store / "CURRENT").write_text("gone\n")
    code, _, err = shoal_command("recommend", store, "--history", "1")
    assert code == 2
    assert "names gone, which is not there" in err
    code, out, _ = shoal_command("versions", store)
    assert "names gone, which is not there" in out
    code, _, err = shoal_command("versions", store.parent / "none")
    assert code == 2
    assert "is no store of versions" in err


def test_a_model_that_is_broken_makes_no_store(model: Path, shoal_command: Shoal) -> None:
    os.truncate(model / "arrays.safetensors", 100)
    code, _, err = shoal_command("publish", model, model.parent / "store")
    assert code == 2
    assert "truncated" in err
    assert not (model.parent / "store").exists()
