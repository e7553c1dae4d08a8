"""Model folders: whole or not at all, checked when read."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

import shoal
from shoal.artifact import writing
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError, ModelError, NotFittedError
from shoal.folders import OpenFolder, ReplacedError

from .mutations import make_consistent

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
    # killed after both of them: the next save removes the backup
    shoal.save(shoal.EASE().fit(log, run=ONE), folder)
    assert shoal.load(folder).name == "ease"
    assert [p.name for p in folder.parent.iterdir()] == ["ease"]


def test_a_backup_that_is_removed_while_it_is_opened_was_replaced(
    log: Interactions, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that misses a file of it must look again, not call the model damaged."""
    backup = folder.with_name(".ease.old")
    shutil.copytree(folder, backup)
    noticed = []

    def removing(path: Path, ignore_errors: bool = False) -> None:
        next(path.rglob("arrays.safetensors")).unlink()
        with pytest.raises(ReplacedError):
            opened.open("arrays.safetensors")
        noticed.append(path)

    with OpenFolder(backup) as opened:
        monkeypatch.setattr("shoal.unfinished.shutil.rmtree", removing)
        writing._remove_backup(folder)
    assert len(noticed) == 1
    assert not backup.exists()


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


SAVING = """
    import sys
    import shoal
    from shoal.artifact import writing
    if sys.argv[4] == "two steps":
        writing._exchange = lambda a, b: False
    models = [shoal.load(path) for path in sys.argv[1:3]]
    print("ready", flush=True)
    for at in range(1_000_000):
        shoal.save(models[at % 2], sys.argv[3])
        print(at, flush=True)
"""


@pytest.mark.parametrize(("how", "n_loads"), [("exchange", 600), ("two steps", 400)])
def test_a_model_that_is_replaced_while_it_is_loaded_is_the_old_or_the_new_one(
    tmp_path: Path, how: str, n_loads: int
) -> None:
    """The loads run beside a process that saves two models in turns, without pause."""

    def fitted(l2: float, first: int) -> shoal.EASE:
        rng = np.random.default_rng(int(l2))
        users, items = rng.integers(0, 60, 600), rng.integers(0, 60, 600) + first
        return shoal.EASE(l2=l2).fit(shoal.read(pl.DataFrame({"user": users, "item": items})))

    models = [fitted(10.0, 0), fitted(500.0, 1000)]
    names = [str(shoal.save(m, tmp_path / str(i))) for i, m in enumerate(models)]
    target = str(shoal.save(models[0], tmp_path / "m"))
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SAVING), *names, target, how],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        met = set()
        for _ in range(n_loads):
            loaded = shoal.load(target)
            assert isinstance(loaded, shoal.EASE)
            same = models[0] if loaded.l2 == 10 else models[1]
            assert loaded.items == same.items
            assert np.array_equal(loaded.weights, same.weights)
            assert shoal.artifact.verify(target)["data"]["items"] == 60
            met.add(loaded.l2)
        process.kill()
    assert met == {10.0, 500.0}, "the model was not replaced meanwhile: the test proves nothing"


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


def test_a_model_with_numbers_that_are_not_finite_is_not_saved(
    log: Interactions, tmp_path: Path
) -> None:
    model = shoal.EASE().fit(log, run=ONE)
    np.asarray(model.weights)[0, 1] = np.nan
    with pytest.raises(ArtifactError, match="ease cannot be saved: array 'weights' holds a number"):
        shoal.save(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_several_processes_that_save_one_model_leave_one_of_theirs(tmp_path: Path) -> None:
    script = textwrap.dedent(KILLED).replace("10_000", "12")
    target = tmp_path / "m"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(target)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert shoal.load(target).name == "ease"
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
