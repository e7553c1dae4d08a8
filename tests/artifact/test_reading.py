"""Reading model folders: whole, and checked before anything of them is used."""

from __future__ import annotations

import json
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

import shoal
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError, ModelError

from .mutations import make_consistent

ONE = shoal.Run(threads=1)


def test_a_loaded_model_answers_as_before_with_ids_titles_and_facts(
    log: Interactions, folder: Path
) -> None:
    before, after = shoal.EASE(l2=5).fit(log, run=ONE), shoal.load(folder)
    assert isinstance(after, shoal.EASE)
    assert after.l2 == 5
    assert np.array_equal(before.score(log.matrix), after.score(log.matrix))
    assert after.items == log.items
    assert after.facts == before.facts
    assert after.fingerprint == log.fingerprint()
    found = shoal.recommend(after, ["i01", "i07"], 3)
    assert found[0].attributes["title"] == "T" + str(int(found[0].item[1:]))


def test_the_folder_holds_what_the_format_says_and_nothing_else(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == [
        "arrays.safetensors",
        "items.parquet",
        "manifest.json",
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["model"] == "ease"
    assert manifest["parameters"]["l2"] == 5
    assert manifest["metrics"] == {"a": 1}
    for name, described in manifest["files"].items():
        assert (folder / name).stat().st_size == described["bytes"]
    assert [p.name for p in folder.parent.iterdir()] == ["ease"]  # nothing temporary is left


@pytest.mark.parametrize("name", ["arrays.safetensors", "items.parquet"])
def test_missing_truncated_and_altered_files_are_named(folder: Path, name: str) -> None:
    file = folder / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match=f"{name} is truncated"):
        shoal.load(folder)
    altered = bytearray(whole)
    altered[-3] ^= 1
    file.write_bytes(bytes(altered))
    with pytest.raises(ArtifactError, match=f"{name} was altered"):
        shoal.load(folder)
    file.unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        shoal.load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged .it names no format."),
        ('{"format": 99}', "format version 99"),
        ('{"format": 1}', "damaged: entries are missing"),
    ],
)
def test_a_damaged_manifest_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=message):
        shoal.load(folder)


def test_a_manifest_cannot_name_other_files_or_unknown_models(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    escaped = manifest | {
        "files": {**manifest["files"], "../../secret": {"sha256": "", "bytes": 0}}
    }
    (folder / "manifest.json").write_text(json.dumps(escaped))
    with pytest.raises(ArtifactError, match="damaged"):
        shoal.load(folder)
    (folder / "manifest.json").write_text(json.dumps(manifest | {"model": "from-the-future"}))
    with pytest.raises(ArtifactError, match="from-the-future"):
        shoal.load(folder)
    (folder / "manifest.json").write_text(json.dumps(manifest | {"parameters": {"l2": -1}}))
    with pytest.raises(ArtifactError, match="l2"):
        shoal.load(folder)


def test_no_folder_and_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such folder"):
        shoal.load(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match=r"no manifest\.json"):
        shoal.load(tmp_path / "empty")


def test_a_model_larger_than_the_budget_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="memory budget"):
        shoal.load(folder, shoal.Run(memory=100))


def test_pickle_is_never_called(
    log: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("pickle was called")

    model = shoal.EASE().fit(log)  # before: numba pickles the kernels that it keeps
    for name in ("dump", "dumps", "load", "loads"):
        monkeypatch.setattr(pickle, name, forbidden)
    shoal.load(shoal.save(model, tmp_path / "m"))


def consistent(folder: Path, **changes: np.ndarray[Any, Any] | None) -> None:
    """Change arrays of a model folder, and make the hashes fit."""
    arrays = load_file(folder / "arrays.safetensors") | changes
    save_file({n: a for n, a in arrays.items() if a is not None}, folder / "arrays.safetensors")
    make_consistent(folder)


def test_arrays_out_of_range_are_refused_when_the_folder_is_loaded(
    log: Interactions, tmp_path: Path
) -> None:
    folder = shoal.save(shoal.ItemKNN().fit(log, run=ONE), tmp_path / "m")
    indices = load_file(folder / "arrays.safetensors")["indices"]
    consistent(folder, indices=np.full_like(indices, 2**31 - 1))
    with pytest.raises(ArtifactError, match=r"m/arrays\.safetensors: array 'indices' holds 2,147"):
        shoal.load(folder)


def test_weights_with_too_few_rows_are_refused(folder: Path) -> None:
    weights = load_file(folder / "arrays.safetensors")["weights"]
    consistent(folder, weights=np.ascontiguousarray(weights[:3]))
    with pytest.raises(ArtifactError, match=r"'weights' has the shape \(3, 25\).*\(25, 25\)"):
        shoal.load(folder)


def test_a_deep_model_without_a_tensor_is_refused(log: Interactions, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    model = shoal.MultVAE(n_epochs=1, hidden=8, factors=4).fit(log, run=ONE)
    folder = shoal.save(model, tmp_path / "m")
    assert np.array_equal(shoal.load(folder).score(log.matrix), model.score(log.matrix))
    consistent(folder, **{"decode.weight": None})
    with pytest.raises(ArtifactError, match=r"array 'decode\.weight' is missing"):
        shoal.load(folder)
    state = {n: a for n, a in model.state().items() if n != "decode.weight"}
    with pytest.raises(ModelError, match=r"array 'decode\.weight' is missing"):
        shoal.MultVAE(n_epochs=1, hidden=8, factors=4).restore(state)


@pytest.mark.parametrize("entry", ["items", "hidden", "factors"])
def test_sizes_that_a_manifest_claims_take_no_memory(
    log: Interactions, tmp_path: Path, entry: str
) -> None:
    pytest.importorskip("torch")
    model = shoal.MultVAE(n_epochs=1, hidden=8, factors=4).fit(log, run=ONE)
    folder = shoal.save(model, tmp_path / "m")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["data" if entry == "items" else "parameters"][entry] = 10**9
    (folder / "manifest.json").write_text(json.dumps(manifest))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtifactError):
        shoal.load(folder)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000  # kilobytes; a layer of that size has 32 GB


def test_a_header_that_claims_an_enormous_array_takes_no_memory(folder: Path) -> None:
    file = folder / "arrays.safetensors"
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["weights"] |= {"shape": [2**31, 2**31], "data_offsets": [0, 2**64]}
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    make_consistent(folder)
    with pytest.raises(ArtifactError, match=r"arrays\.safetensors is damaged: its header"):
        shoal.load(folder)


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors", "items.parquet"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "device"])
def test_what_is_no_file_is_named_and_not_waited_for(folder: Path, name: str, kind: str) -> None:
    file = folder / name
    outside = folder.parent / "outside"
    file.rename(outside)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(outside if kind == "link" else "/dev/zero")
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        shoal.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.head(12), "has 12 rows, the arrays are for 25"),
        (lambda t: pl.concat([t, t]), "has 50 rows, the arrays are for 25"),
        (lambda t: t.reverse(), "not distinct and ascending.*row 2: 'i23' after 'i24'"),
        (
            lambda t: t.with_columns(pl.col("item").replace("i03", "i02")),
            "not distinct and ascending.*row 4: 'i02' after 'i02'",
        ),
        (
            lambda t: t.with_columns(pl.when(pl.col("item") != "i03").then(pl.col("item"))),
            "row 4 has no id",
        ),
        (lambda t: t.rename({"item": "id"}), "no column 'item'"),
        (lambda t: t.with_columns(item=pl.int_range(25)), "of type Int64, the manifest says str"),
    ],
)
def test_an_item_table_that_does_not_fit_is_refused(
    folder: Path, change: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    change(pl.read_parquet(folder / "items.parquet")).write_parquet(folder / "items.parquet")
    make_consistent(folder)
    with pytest.raises(ArtifactError, match=rf"items\.parquet.*{message}"):
        shoal.load(folder)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("files.items.parquet.sha256", None, r"files\.items\.parquet\.sha256 is None"),
        ("files.items.parquet.bytes", 2.5, r"files\.items\.parquet\.bytes is 2\.5"),
        ("data.fingerprint", None, r"data\.fingerprint is None"),
        ("data.items", 10**30, r"data\.items is 1000"),
        ("data.ids", "float", r"data\.ids is 'float', it must be one of int, str, uuid"),
        ("facts.residual", "small", r"facts\.residual is 'small'"),
        ("model", ["ease"], r"model is \['ease'\]"),
        ("parameters", {"self": 1}, "self"),
    ],
)
def test_entries_of_the_manifest_are_checked_one_by_one(
    folder: Path, entry: str, value: object, message: str
) -> None:
    manifest = table = json.loads((folder / "manifest.json").read_text())
    *above, last = entry.replace("items.parquet", "items_parquet").split(".")
    for key in above:
        table = table[key.replace("items_parquet", "items.parquet")]
    if value is None:
        del table[last]
    else:
        table[last] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=message) as refused:
        shoal.load(folder)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)
