"""Model folders whose B is in several files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import shoal
from shoal.artifact import Store, verify
from shoal.base.blocked import BlockedWeights
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError
from shoal.models.registry import create

ONE = shoal.Run(threads=1)


def in_blocks(model: shoal.Recommender) -> shoal.Recommender:
    B = model.weights
    model._weights = BlockedWeights([np.ascontiguousarray(B[:, a : a + 10]) for a in (0, 10, 20)])
    return model


@pytest.fixture
def blocks(log: Interactions, tmp_path: Path) -> Path:
    return shoal.save(in_blocks(shoal.EASE(l2=5).fit(log, run=ONE)), tmp_path / "blocks")


@pytest.mark.parametrize("mapped", [False, True])
def test_a_folder_of_blocks_gives_the_lists_and_reasons_of_one_array(
    log: Interactions, folder: Path, blocks: Path, mapped: bool
) -> None:
    assert sorted(p.name for p in blocks.glob("arrays*")) == [
        "arrays-00000.safetensors",
        "arrays-00001.safetensors",
        "arrays-00002.safetensors",
        "arrays.safetensors",
    ]
    one, many = shoal.load(folder), shoal.load(blocks, mapped=mapped)
    assert np.array_equal(many.score(log.matrix), one.score(log.matrix))
    histories = [[log.items.take([i])[0], log.items.take([i + 1])[0]] for i in range(6)]
    for history in histories:
        answers = [shoal.recommend(m, history, 6, because=True) for m in (one, many)]
        assert list(answers[0]) == list(answers[1])
    assert shoal.recommend_all(one, log, 5).equals(shoal.recommend_all(many, log, 5))


def test_each_file_has_its_hash_in_the_manifest_of_format_2(folder: Path, blocks: Path) -> None:
    assert json.loads((folder / "manifest.json").read_text())["format"] == 1
    manifest = verify(blocks)
    assert manifest["format"] == 2
    assert len([name for name in manifest["files"] if name.startswith("arrays-")]) == 3


def test_a_loaded_folder_of_blocks_is_saved_and_published_as_one(
    log: Interactions, blocks: Path, tmp_path: Path
) -> None:
    again = shoal.save(shoal.load(blocks), tmp_path / "again")
    store = Store(tmp_path / "store", create=True)
    for published in (store.publish(shoal.load(blocks)), store.publish(again)):
        copy = tmp_path / "store" / published.name
        for file in blocks.glob("arrays*"):
            assert (copy / file.name).read_bytes() == file.read_bytes()
    assert np.array_equal(store.load().score(log.matrix), shoal.load(blocks).score(log.matrix))


def test_blocks_within_a_blend(log: Interactions, tmp_path: Path) -> None:
    blend = create("blend", {"parts": "ease(l2=5)+popularity", "weights": "2,1"})
    blend.fit(log, run=ONE)
    expected = blend.score(log.matrix)
    for part in blend._parts().values():
        if part.name == "ease":
            in_blocks(part)
    loaded = shoal.load(shoal.save(blend, tmp_path / "blend"))
    assert np.array_equal(loaded.score(log.matrix), expected)


def test_an_updated_model_of_blocks_is_the_updated_model(
    log: Interactions, folder: Path, blocks: Path
) -> None:
    one, many = shoal.load(folder), shoal.load(blocks)
    updated = [model.update(log, before=log, run=ONE) for model in (one, many)]
    assert np.array_equal(updated[0].score(log.matrix), updated[1].score(log.matrix))


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("missing", "arrays-00001.safetensors is missing"),
        ("truncated", "arrays-00001.safetensors is truncated"),
        ("altered", "arrays-00001.safetensors was altered"),
        ("another's", "arrays-00001.safetensors: array 'weights.00000' is in another file as well"),
        ("unlisted", "a block of the arrays is missing"),
        ("last unlisted", "2 blocks have 20 columns together, for 25 items"),
        ("format", "format 1 does not fit 3 blocks"),
    ],
)
def test_a_damaged_block_is_told(blocks: Path, harm: str, told: str, mapped: bool) -> None:
    file = blocks / "arrays-00001.safetensors"
    content = bytearray(file.read_bytes())
    manifest = json.loads((blocks / "manifest.json").read_text())
    if harm == "missing":
        file.unlink()
    elif harm == "truncated":
        file.write_bytes(content[:-4])
    elif harm == "altered":
        content[-1] ^= 1
        file.write_bytes(content)
    elif harm == "another's":
        shutil.copy(blocks / "arrays-00000.safetensors", file)
    elif harm == "unlisted":
        del manifest["files"][file.name]
    elif harm == "last unlisted":
        del manifest["files"]["arrays-00002.safetensors"]
    else:
        manifest["format"] = 1
    (blocks / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=told):
        shoal.load(blocks, mapped=mapped)


def test_one_array_in_two_files_is_refused(blocks: Path) -> None:
    manifest = json.loads((blocks / "manifest.json").read_text())
    shutil.copy(blocks / "arrays-00000.safetensors", blocks / "arrays-00001.safetensors")
    manifest["files"]["arrays-00001.safetensors"] = manifest["files"]["arrays-00000.safetensors"]
    (blocks / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"array 'weights\.00000' is in another file as well"):
        shoal.load(blocks)


def test_a_folder_of_blocks_is_mapped_within_a_budget_that_could_not_hold_it(blocks: Path) -> None:
    size = sum(file.stat().st_size for file in blocks.glob("*.parquet"))
    shoal.load(blocks, shoal.Run(memory=size), mapped=True)
    with pytest.raises(ArtifactError, match="memory budget"):
        shoal.load(blocks, shoal.Run(memory=size))
