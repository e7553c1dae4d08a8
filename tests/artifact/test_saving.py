"""Saving model folders: whole or not at all, also beside other processes and when killed."""

from __future__ import annotations

import os
import shutil
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
from shoal.folders import OpenFolder, ReplacedError

ONE = shoal.Run(threads=1)


def test_saving_again_replaces_the_model_in_one_step(log: Interactions, folder: Path) -> None:
    shoal.save(shoal.Popularity().fit(log), folder)
    assert shoal.load(folder).name == "popularity"
    assert [p.name for p in folder.parent.iterdir()] == ["ease"]
    with pytest.raises(ArtifactError, match="exists"):
        shoal.save(shoal.Popularity().fit(log), folder, overwrite=False)


def test_without_an_atomic_exchange_a_backup_bridges_the_gap(
    log: Interactions, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "exchange", lambda a, b: False)
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
        writing.exchange = lambda a, b: False
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
