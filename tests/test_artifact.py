"""Model folders: whole or not at all, checked when read."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.artifact import writing
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError, NotFittedError

ONE = shoal.Run(threads=1)


@pytest.fixture
def log() -> Interactions:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {"user": rng.integers(0, 40, 400), "item": [f"i{v:02}" for v in rng.integers(0, 25, 400)]}
    )
    titles = pl.DataFrame(
        {"item": [f"i{v:02}" for v in range(25)], "title": [f"T{v}" for v in range(25)]}
    )
    return shoal.read(frame, items=titles)


@pytest.fixture
def folder(log: Interactions, tmp_path: Path) -> Path:
    return shoal.save(shoal.EASE(l2=5).fit(log, run=ONE), tmp_path / "ease", metrics={"a": 1})


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


def test_saving_again_replaces_the_model_in_one_step(log: Interactions, folder: Path) -> None:
    shoal.save(shoal.Popularity().fit(log), folder)
    assert shoal.load(folder).name == "popularity"
    assert [p.name for p in folder.parent.iterdir()] == ["ease"]
    with pytest.raises(ArtifactError, match="exists"):
        shoal.save(shoal.Popularity().fit(log), folder, overwrite=False)


def test_without_an_atomic_exchange_a_backup_bridges_the_gap(
    log: Interactions, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_exchange", lambda a, b: False)
    shoal.save(shoal.Popularity().fit(log), folder)
    assert shoal.load(folder).name == "popularity"
    assert [p.name for p in folder.parent.iterdir()] == ["ease"]
    # killed between the two renames: the old model is found under its backup name
    folder.rename(folder.with_name(".ease.old"))
    assert shoal.load(folder).name == "popularity"


def test_nothing_that_is_no_model_is_overwritten(log: Interactions, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("x")
    with pytest.raises(ArtifactError, match="no model folder"):
        shoal.save(shoal.Popularity().fit(log), tmp_path / "precious")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="no model folder"):
        shoal.save(shoal.Popularity().fit(log), tmp_path / "file")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "x"


def test_an_unfitted_model_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        shoal.save(shoal.EASE(), tmp_path / "m")
    assert not (tmp_path / "m").exists()


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
        ("[]", "format version None"),
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

    for name in ("dump", "dumps", "load", "loads"):
        monkeypatch.setattr(pickle, name, forbidden)
    shoal.load(shoal.save(shoal.EASE().fit(log), tmp_path / "m"))


FULL_DISK = """
    import resource, signal, sys
    import numpy as np, polars as pl
    import shoal
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 50, 2000), rng.integers(0, 200, 2000)
    log = shoal.read(pl.DataFrame({"user": users, "item": items}))
    new = shoal.EASE(l2=7).fit(log)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # files end at 20 kB, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        shoal.save(new, sys.argv[1])
    except shoal.errors.ArtifactError as error:
        print("refused:", error)
"""


def test_a_disk_that_is_full_leaves_the_old_model(folder: Path) -> None:
    script = "import shoal.errors\n" + textwrap.dedent(FULL_DISK)
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True
    )
    assert "refused:" in done.stdout, done.stderr
    assert "as it was" in done.stdout
    assert shoal.load(folder).model_dump()["l2"] == 5
    assert [p.name for p in folder.parent.iterdir()] == ["ease"]


KILLED = """
    import sys
    import numpy as np, polars as pl
    import shoal
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 300, 9000), rng.integers(0, 900, 9000)
    log = shoal.read(pl.DataFrame({"user": users, "item": items}))
    models = [shoal.EASE(l2=v).fit(log) for v in (10, 20)]
    print("ready", flush=True)
    for at in range(10_000):
        shoal.save(models[at % 2], sys.argv[1])
        print(at, flush=True)
"""


def test_kill_at_any_moment_leaves_a_whole_model(tmp_path: Path) -> None:
    """Kills a process that saves without pause; most kills must land within a save."""
    target = tmp_path / "m"
    unfinished = 0
    for at in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(target)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() == "0":  # one save is done: there is a model from here on
                    break
            time.sleep(0.003 * at)
            os.kill(process.pid, signal.SIGKILL)
        unfinished += len(list(tmp_path.glob(".m.*.new")))
        assert shoal.load(target).name == "ease"  # checks every hash
    assert unfinished > 0, "no kill landed within a save: the test proves nothing"
    # the next save sweeps up what the killed ones left
    shoal.save(shoal.load(target), target)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
