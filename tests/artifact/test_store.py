"""Stores of versions: publish, activate, roll back, prune."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import shoal
from shoal.artifact import Store, is_store, live_folder
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError

ONE = shoal.Run(threads=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", create=True)


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def names(store: Store) -> list[str]:
    return [version.name for version in store.versions()]


def test_a_published_model_is_live_and_says_what_it_is(log: Interactions, store: Store) -> None:
    model = shoal.EASE(l2=5).fit(log, run=ONE)
    version = store.publish(model, note="first", metrics={"protocol": "none"})
    assert version.live
    assert (version.model, version.n_items, version.note) == ("ease", log.n_items, "first")
    assert version.parameters is not None
    assert version.parameters["l2"] == 5
    assert version.metrics == {"protocol": "none"}
    assert version.fingerprint == log.fingerprint()
    folder = store.folder(version.name)
    assert version.bytes == sum(
        (folder / n).stat().st_size for n in ("arrays.safetensors", "items.parquet")
    )
    assert store.current() == version.name
    assert np.array_equal(store.load().weights, model.weights)  # type: ignore[attr-defined]
    assert sorted(p.name for p in store.path.iterdir()) == sorted(
        [version.name, "CURRENT", "LOCK", "history.jsonl"]
    )


def test_a_folder_is_copied_as_it_is_with_its_index(folder: Path, store: Store) -> None:
    (folder / "index.faiss").write_bytes(b"index")
    (folder / "index.json").write_text("{}")
    (folder / "stranger.txt").write_text("not the model's")
    version = store.publish(folder)
    expected = files(folder)
    del expected["stranger.txt"]
    assert files(store.folder(version.name)) == expected
    assert version.metrics == {"a": 1}
    again = store.publish(folder, metrics={"b": 2})
    assert again.metrics == {"b": 2}
    assert store.load(again.name).name == "ease"


def test_a_store_is_published_to_another_one_by_its_live_version(
    folder: Path, store: Store, tmp_path: Path
) -> None:
    version = store.publish(folder)
    other = Store(tmp_path / "production", create=True)
    copied = other.publish(store.path)
    assert files(other.folder(copied.name)) == files(store.folder(version.name))


def test_load_and_verify_take_a_store_for_its_live_version(
    log: Interactions, folder: Path, store: Store
) -> None:
    store.publish(folder)
    store.publish(shoal.Popularity().fit(log), activate=False)
    assert is_store(store.path)
    assert not is_store(folder)
    assert live_folder(folder) == folder
    assert live_folder(store.path) == store.folder(store.current())
    for mapped in (False, True):
        assert shoal.load(store.path, mapped=mapped).name == "ease"
    assert shoal.artifact.verify(store.path)["model"] == "ease"
    assert shoal.artifact.read_manifest(store.path)["model"] == "ease"


def test_rolling_back_goes_further_back_each_time(folder: Path, store: Store) -> None:
    a, b, c = (store.publish(folder).name for _ in range(3))
    assert names(store) == [c, b, a]
    assert [store.rollback().name, store.rollback().name] == [b, a]
    with pytest.raises(shoal.ShoalError, match=f"no version that was live before .*holds: {c}"):
        store.rollback()
    store.activate(c)
    assert store.rollback().name == a  # it was live before c was made live again
    d = store.publish(folder).name
    assert store.rollback().name == a
    assert [v.live for v in store.versions()] == [False, False, False, True]
    actions = [json.loads(line) for line in (store.path / "history.jsonl").read_text().splitlines()]
    assert [e["action"] for e in actions] == [
        *(["publish"] * 3 + ["rollback"] * 2 + ["activate", "rollback", "publish", "rollback"]),
    ]
    assert actions[-1]["version"] == a
    assert actions[-1]["before"] == d


def test_rolling_back_passes_over_what_is_gone_or_broken(folder: Path, store: Store) -> None:
    a, b, c, _ = (store.publish(folder).name for _ in range(4))
    shutil.rmtree(store.path / c)
    arrays = store.path / b / "arrays.safetensors"
    damaged = bytearray(arrays.read_bytes())
    damaged[-1] ^= 1
    arrays.write_bytes(damaged)
    assert store.rollback().name == a


def test_a_publisher_that_was_killed_before_the_pointer_moved_was_never_live(
    folder: Path, store: Store
) -> None:
    a, b = (store.publish(folder).name for _ in range(2))
    ghost = store.publish(folder).name
    (store.path / "CURRENT").write_text(b)  # as if the pointer had not been moved
    with (store.path / "history.jsonl").open("a") as file:
        file.write('{"time": "2026-01-01", "action": "publ')  # and a line had been cut short
    c = store.publish(folder).name
    assert store.rollback().name == b
    assert store.rollback().name == a
    assert {ghost, c} <= set(names(store))


def test_pruning_keeps_the_newest_the_live_one_and_the_one_before(
    folder: Path, store: Store
) -> None:
    published = [store.publish(folder).name for _ in range(6)]
    store.activate(published[0])
    store.activate(published[1])
    assert store.prune(keep=2) == [published[3], published[2]]
    assert names(store) == [published[5], published[4], published[1], published[0]]
    assert store.rollback().name == published[0]
    assert store.prune(keep=2) == [published[1]]  # a roll-back would go to the sixth now
    with pytest.raises(shoal.ShoalError, match="keep=0"):
        store.prune(keep=0)


def test_a_loaded_model_outlives_its_version(log: Interactions, store: Store) -> None:
    model = shoal.EASE(l2=5).fit(log, run=ONE)
    first = store.publish(model).name
    loaded = store.load()
    for _ in range(2):
        store.publish(shoal.Popularity().fit(log))
    assert store.prune(keep=1) == [first]
    assert not (store.path / first).exists()
    assert np.array_equal(loaded.weights, model.weights)  # type: ignore[attr-defined]


def test_versions_are_in_order_when_the_clock_is_set_back(folder: Path, store: Store) -> None:
    first = store.publish(folder).name
    later = f"29991231-235959-999-ease{first[-5:]}"
    (store.path / first).rename(store.path / later)
    second = store.publish(folder).name
    assert second > later
    assert second.startswith("30000101-000000-000-ease-")
    assert names(store) == [second, later]


def test_maps_of_items_are_no_version_and_go_with_theirs(log: Interactions, store: Store) -> None:
    model = shoal.EASE(l2=5).fit(log, run=ONE)
    old, new = (store.publish(model).name for _ in range(2))
    before = store.publish(model).name  # so that a roll-back goes to `new`
    maps = store.path / "maps"
    maps.mkdir()
    for name in (old, new, before):
        (maps / f"{name}.json").write_text("{}")
    assert names(store) == [before, new, old]
    with pytest.raises(ArtifactError, match="has no version 'maps'"):
        store.folder("maps")
    assert store.prune(keep=1) == [old]
    assert sorted(file.name for file in maps.iterdir()) == sorted([f"{new}.json", f"{before}.json"])
