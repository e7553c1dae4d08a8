"""Whatever fails, the program says it in one line: no traceback, no fault of another library."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.cli import faults
from shoal.datasets.archives import read_member
from shoal.errors import DataError, ShoalError
from shoal.text.endpoint import Endpoint

Shoal = Callable[..., tuple[int, str, str]]

SOURCE = Path(faults.__file__).parents[2]
SHOW = "{shoal} data show ratings.csv"

# what is typed in a shell, its exit code, and what the one line on stderr says
WALK: list[tuple[str, int, str]] = [
    ("{shoal} train ratings.csv --out m --set self=1", 2, "no hyper-parameter 'self'"),
    ("{shoal} train ratings.csv --out m --set model_config=1", 2, "no hyper-parameter"),
    (f"{SHOW} --json >/dev/full", 2, "No space left on device"),
    (f"{SHOW} >/dev/full", 2, "No space left on device"),
    (f"NUMBA_NUM_THREADS=0 {SHOW}", 2, "NUMBA_NUM_THREADS=0: set it to 1 or more"),
    (f"NUMBA_NUM_THREADS=many {SHOW}", 2, "NUMBA_NUM_THREADS=many"),
    (f"POLARS_MAX_THREADS=0 {SHOW}", 2, "POLARS_MAX_THREADS=0"),
    (
        "NUMBA_THREADING_LAYER=foo {shoal} evaluate ratings.csv --metrics ndcg@5",
        0, "",  # one thread is taken instead
    ),
    (f"{SHOW} 2>&-", 0, ""),
    (f"{SHOW} >&- 2>&-", 0, ""),
    ("{shoal} data show nothing.csv 2>&-", 2, ""),
    ("{shoal} info deep", 2, "manifest.json"),
    ("{shoal} train ratings.csv --policy deep.yaml --out m", 2, "nested too deeply"),
    (f"{SHOW} | head -c 1 >/dev/null", 0, ""),
]  # fmt: skip


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(SOURCE)}


@pytest.mark.parametrize(("typed", "code", "says"), WALK, ids=[typed for typed, *_ in WALK])
def test_one_line_and_no_traceback(ratings: Path, typed: str, code: int, says: str) -> None:
    folder = ratings.parent
    nested = "[" * 100_000 + "]" * 100_000
    (folder / "deep").mkdir()
    (folder / "deep" / "manifest.json").write_text(nested)
    (folder / "deep.yaml").write_text(nested)
    done = subprocess.run(
        ["bash", "-c", typed.format(shoal=f"{sys.executable} -m shoal")],
        cwd=folder, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "fault of shoal" not in done.stderr
    if says:
        assert done.stderr.count("\nerror: ") + done.stderr.startswith("error: ") == 1
        assert says in done.stderr or (says == "manifest.json" and "nested" in done.stderr)
    assert not (folder / "m").exists()


def test_a_fault_is_a_line_and_its_traceback_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["shoal", "train", "x.csv"])
    with pytest.raises(KeyError) as caught:
        raise KeyError("of no\nuser")
    assert faults.end_with(caught.value) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    (file,) = tmp_path.iterdir()
    assert str(file) in err
    assert "report it" in err
    text = file.read_text()
    assert "Traceback" in text
    assert "test_faults.py" in text
    assert "'x.csv'" in text


def test_the_panics_of_polars_are_faults_too(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class PanicError(BaseException):  # polars' PanicException is no Exception either
        pass

    def panic(*_: object, **__: object) -> None:
        raise PanicError("index out of bounds")

    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("shoal.data.read.read", panic)
    code, out, err = shoal_command("data", "show", ratings, "--json")
    assert code == 1
    assert "index out of bounds" in json.loads(out)["error"]
    assert err == ""


def test_memory_that_is_not_there_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert faults.end_with(MemoryError("Unable to allocate 4 TiB")) == 2
    assert "not enough memory (Unable to allocate 4 TiB)" in capsys.readouterr().err


KERNEL = """
import numba
@numba.njit(cache=True)
def twice(x):
    return 2 * x
"""
CALL = """
import sys
from shoal.cli import faults
try:
    from kernel import twice
    assert twice(3) == 6
except BaseException as error:
    sys.exit(faults.end_with(error))
"""


def test_a_damaged_cache_of_kernels_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text(KERNEL)
    cache = tmp_path / "cache"
    settings = environment() | {"NUMBA_CACHE_DIR": str(cache)}

    def call() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", CALL],
            cwd=tmp_path, env=settings, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    assert call() == (0, "")
    for path in cache.rglob("*.nb[ic]"):
        path.write_bytes(path.read_bytes()[:20])
    code, err = call()
    assert code == 2
    assert err.count("\n") == 1
    assert f"remove {cache}" in err
    shutil.rmtree(cache)
    assert call() == (0, "")


PROGRAM = """
import sys
sys.argv = ["shoal", "compare", "ratings.csv", "--models", "popularity,ease", "--metrics", "ndcg@5"]
from shoal.cli import main
try:
    print("ready", flush=True)
    main()
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("seconds", [0, 0.03, 0.1, 0.2, 0.4, 0.8])
def test_an_interrupt_while_it_starts_is_no_traceback(ratings: Path, seconds: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ratings.parent, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    assert process.returncode in (0, 130), err


@pytest.mark.parametrize(
    "body",
    [
        '{"data": [{"index": 1e999, "embedding": [1.0]}]}',
        '{"data": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"data": [{"index": 0, "embedding": [' + "9" * 400 + "]}]}",
    ],
)
def test_odd_answers_of_an_embedding_server_are_refused(body: str) -> None:
    with pytest.raises(ShoalError):
        Endpoint("http://localhost:9/v1", "some-model")._vectors(body.encode(), 1)


def test_an_encrypted_archive_names_the_way_out(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("ratings.dat", "1::2::3")
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the flag of the local header, and of the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match="in it is encrypted"):
        read_member(archive, "ratings.dat")
