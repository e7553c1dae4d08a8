"""Models whose arrays are mapped into memory in place of being read."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from io import FileIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

import shoal
from shoal.artifact.tensors import ArraysFile
from shoal.artifact.writing import _describe
from shoal.base.weights import DenseWeights
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError

ONE = shoal.Run(threads=1)

MODELS = [
    shoal.EASE(l2=5),
    shoal.RDLAE(),
    shoal.SLIM(),
    shoal.ItemKNN(),
    shoal.TurboCF(),
    shoal.GFCF(factors=4),
    shoal.Popularity(),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_mapped_model_is_the_same_in_every_bit(
    log: Interactions, tmp_path: Path, model: shoal.Recommender
) -> None:
    fitted = type(model)(**model.model_dump()).fit(log, run=ONE)
    folder = shoal.save(fitted, tmp_path / "m")
    read, mapped = shoal.load(folder), shoal.load(folder, mapped=True)
    assert read.state().keys() == mapped.state().keys()
    for name, array in read.state().items():
        assert np.array_equal(array, mapped.state()[name])
    assert np.array_equal(read.score(log.matrix), mapped.score(log.matrix))
    history = [log.items.take([0])[0]]
    answers = [shoal.recommend(m, history, 5) for m in (read, mapped)]
    assert [(r.item, r.score) for r in answers[0]] == [(r.item, r.score) for r in answers[1]]


def test_the_arrays_look_writable_and_the_file_stays_as_it_is(
    folder: Path,
) -> None:
    before = (folder / "arrays.safetensors").read_bytes()
    mapped = shoal.load(folder, mapped=True)
    weights = mapped.state()["weights"]
    assert type(weights) is np.ndarray  # numba compiles for no other type
    assert weights.flags.writeable
    assert weights.flags.aligned
    weights[0, 1] = 7
    assert (folder / "arrays.safetensors").read_bytes() == before
    assert shoal.load(folder, mapped=True).state()["weights"][0, 1] != 7


@pytest.mark.parametrize("damage", ["altered", "truncated", "nan"])
def test_a_mapped_file_is_checked_like_any_other(folder: Path, damage: str) -> None:
    arrays = folder / "arrays.safetensors"
    raw = bytearray(arrays.read_bytes())
    if damage == "altered":
        raw[-1] ^= 1
    elif damage == "truncated":
        del raw[-4:]
    arrays.write_bytes(raw)
    if damage == "nan":
        weights = np.full((25, 25), np.nan, np.float32)
        save_file({"weights": weights}, arrays)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"]["arrays.safetensors"] = _describe(arrays)
        (folder / "manifest.json").write_text(json.dumps(manifest))
    why = {"altered": "was altered", "truncated": "truncated", "nan": "NaN or infinite"}[damage]
    with pytest.raises(ArtifactError, match=why):
        shoal.load(folder, mapped=True)


def test_arrays_that_are_not_aligned_are_copied(tmp_path: Path) -> None:
    """Shoal writes none; another program may put a byte before the floats."""
    header = {
        "flag": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "x": {"dtype": "F32", "shape": [3], "data_offsets": [1, 13]},
        "none": {"dtype": "F32", "shape": [0, 4], "data_offsets": [13, 13]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    values = np.array([1.5, -2, 3], np.float32)
    raw = len(text).to_bytes(8, "little") + text + b"\1" + values.tobytes()
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw)
    with FileIO(path) as file:
        opened = ArraysFile.open(file, len(raw), path)
        arrays = opened.mapped(hashlib.sha256(raw).hexdigest())
        assert arrays["x"].tolist() == [1.5, -2, 3]
        assert arrays["x"].flags.aligned
        assert arrays["none"].shape == (0, 4)
        file.seek(0)
        os.truncate(path, len(raw) - 1)
        with pytest.raises(ArtifactError, match="truncated"):
            opened.mapped(hashlib.sha256(raw).hexdigest())


MEMORY = """
    import sys
    from pathlib import Path
    import shoal

    def private():
        fields = {}
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
            name, value, _ = line.split()
            fields[name] = int(value) * 1024
        return fields["Private_Dirty:"] + fields.get("Swap:", 0)

    small = shoal.load(sys.argv[1], mapped=True)  # imports and compiles
    shoal.recommend(small, small.items.take([0]), 3)
    for mapped in (True, False):
        before = private()
        run = shoal.Run(memory=1_000_000) if mapped else None
        model = shoal.load(sys.argv[2], run, mapped=mapped)
        shoal.recommend(model, model.items.take([0]), 3)
        print(private() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux says it")
@pytest.mark.parametrize("kind", ["ease", "elsa"])
def test_a_mapped_model_takes_little_memory_of_its_own(tmp_path: Path, kind: str) -> None:
    """16 MB of arrays: read, they are the process's own; mapped, they are shared."""
    folders = []
    for n in (20, 2000):
        log = shoal.read(pl.DataFrame({"user": np.arange(n) // 2, "item": np.arange(n)}))
        values = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
        model: shoal.EASE | shoal.ELSA = shoal.EASE() if kind == "ease" else shoal.ELSA(factors=n)
        if isinstance(model, shoal.EASE):
            model._weights = DenseWeights(values)
        else:
            model._vectors = values
        model.take_catalogue(log)
        folders.append(shoal.save(model, tmp_path / str(n)))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY), *folders],
        capture_output=True,
        text=True,
        check=True,
    )
    mapped, read = (int(line) for line in done.stdout.split())
    size = 4 * 2000 * 2000
    assert read > 0.9 * size
    assert mapped < 0.4 * size  # 4 MB for the check of the numbers
