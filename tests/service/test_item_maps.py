"""Maps of the items that answer: made once, in the background, and kept with the version."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoal.artifact import Store, load, save
from shoal.base.recommender import Recommender
from shoal.maps import catalogue_map
from shoal.maps.catalogue_map import CatalogueMap
from shoal.models.popularity import Popularity
from shoal.service.item_maps import ItemMaps, MapOfVersion
from shoal.service.live import Served
from shoal.testing import from_dense
from shoal.unfinished import file_beside
from tests.service.conftest import make_model

DRAWN = b'{"format":1,"checksum":"abc","ids":["10"],"titles":["Ten"],"panels":[{"xy":[0,0]}]}'


def served(folder: Path, version: str = "", checksum: str = "abc") -> Served:
    """A version as the service holds it."""
    model = load(folder)
    return Served(model, model.name, version or "loose", checksum, folder, time.time())


def finished(maps: ItemMaps, version: Served, seconds: float = 60) -> MapOfVersion:
    """The map of a version, once it is made or cannot be."""
    end = time.monotonic() + seconds
    while (state := maps.of(version)).is_coming:
        assert time.monotonic() < end, "the map does not come"
        time.sleep(0.01)
    return state


@pytest.fixture
def version(store: Store) -> Served:
    name = store.current()
    return served(store.folder(name), name)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which threads made a map; drawing itself is replaced, since it takes seconds."""
    made: list[str] = []

    def draw(model: Recommender, checksum: str, run: Any) -> CatalogueMap:
        made.append(threading.current_thread().name)
        return CatalogueMap(DRAWN)

    monkeypatch.setattr(catalogue_map, "make_catalogue_map", draw)
    return made


def test_a_map_is_made_once_in_the_background_and_kept_in_the_store(
    version: Served, store: Store, calls: list[str]
) -> None:
    maps = ItemMaps(None)
    state = finished(maps, version)
    assert state.made is not None
    assert state.made.content == DRAWN
    assert maps.of(version) is state
    assert calls == ["item-maps"]
    kept = store.path / "maps" / f"{version.version}.json"
    assert kept.read_bytes() == DRAWN
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]
    # the next start, and each other worker, reads it
    again = finished(ItemMaps(None), served(version.folder, version.version))
    assert again.made is not None
    assert again.made.content == DRAWN
    assert len(calls) == 1


def test_a_map_of_other_weights_or_a_broken_one_is_made_anew(
    version: Served, store: Store, calls: list[str]
) -> None:
    kept = store.path / "maps" / f"{version.version}.json"
    kept.parent.mkdir()
    for old in (DRAWN.replace(b"abc", b"old"), b"{"):
        kept.write_bytes(old)
        finished(ItemMaps(None), served(version.folder, version.version))
        assert kept.read_bytes() == DRAWN
    assert len(calls) == 2


def test_a_worker_waits_for_the_map_that_another_one_makes(
    version: Served, store: Store, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.service.item_maps._POLL", 0.01)
    kept = store.path / "maps" / f"{version.version}.json"
    kept.parent.mkdir()
    maps = ItemMaps(None)
    with file_beside(kept) as unfinished:
        maps.of(version)
        time.sleep(0.2)
        assert maps.of(version).is_coming
        unfinished.write_bytes(DRAWN)
        unfinished.replace(kept)
    state = finished(maps, version)
    assert state.made is not None
    assert state.made.content == DRAWN
    assert calls == []


def test_a_worker_makes_the_map_itself_if_the_other_one_fails(
    version: Served, store: Store, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.service.item_maps._POLL", 0.01)
    kept = store.path / "maps" / f"{version.version}.json"
    kept.parent.mkdir()
    maps = ItemMaps(None)
    with file_beside(kept):
        maps.of(version)
        time.sleep(0.1)
    assert finished(maps, version).made is not None
    assert len(calls) == 1


def test_a_store_that_cannot_be_written_and_a_folder_have_maps_in_memory(
    version: Served, store: Store, calls: list[str], tmp_path: Path
) -> None:
    (store.path / "maps").write_text("a file, so that no folder can be made")
    assert finished(ItemMaps(None), version).made is not None
    folder = tmp_path / "model"
    save(make_model(), folder)
    assert finished(ItemMaps(None), served(folder)).made is not None
    assert not (tmp_path / "maps").exists()
    assert len(calls) == 2


def no_openTSNE(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recommender:  # noqa: N802
    for name in [n for n in sys.modules if n.partition(".")[0] == "openTSNE"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    return many_items()


def many_items() -> Recommender:
    matrix = [[(user * item) % 3 != 1 for item in range(12)] for user in range(1, 20)]
    return Popularity().fit(from_dense(matrix))


def popular(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recommender:
    return many_items()


def few_items(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recommender:
    return make_model()


def unforeseen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recommender:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("what nobody\nthought of")

    monkeypatch.setattr(catalogue_map, "item_map", fail)
    return many_items()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (no_openTSNE, "pip install 'shoal[map]'"),
        (popular, "popularity answers alike to every history"),
        (few_items, "4 items are too few for a map"),
        (unforeseen, "RuntimeError: what nobody thought of"),
    ],
)
def test_where_there_can_be_no_map_the_reason_is_told(
    prepare: Callable[[pytest.MonkeyPatch, Path], Recommender],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    model = prepare(monkeypatch, tmp_path)
    version = Served(model, model.name, "loose", "abc", tmp_path / "gone", time.time())
    state = finished(ItemMaps(None), version)
    assert state.made is None
    assert reason in state.reason
    assert "\n" not in state.reason
