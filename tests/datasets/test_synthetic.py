"""Synthetic logs: exactly as large as asked, the same for a seed, and never half written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.datasets import synthetic as generating
from shoal.datasets.synthetic import SyntheticLog, generate
from shoal.errors import DataError
from shoal.run import Run

SIZES = [(300, 80, 5_000), (50, 2_000, 2_000), (2_000, 50, 2_000), (3, 2, 3), (30, 20, 599)]


def pairs(frame: pl.DataFrame) -> set[tuple[int, int]]:
    return set(frame.iter_rows())


@pytest.mark.parametrize("sizes", SIZES)
def test_users_items_and_distinct_pairs_are_as_many_as_asked(sizes: tuple[int, int, int]) -> None:
    frame = pl.concat(SyntheticLog(*sizes).pieces())
    assert (frame["user"].n_unique(), frame["item"].n_unique(), frame.n_unique()) == sizes
    assert frame.height == sizes[2]
    assert frame.min().row(0) == (0, 0)
    assert frame.max().row(0) == (sizes[0] - 1, sizes[1] - 1)


def test_a_log_in_which_everybody_has_everything() -> None:
    log = SyntheticLog(20, 30, 600).interactions()
    assert log.matrix.toarray().all()


@pytest.mark.parametrize("rows", [1, 7, 1_000, 10**6])
def test_the_size_of_the_pieces_does_not_matter(rows: int) -> None:
    log = SyntheticLog(300, 80, 5_000)
    pieces = list(log.pieces(rows))
    assert {piece.height for piece in pieces[:-1]} <= {rows}
    assert pl.concat(pieces).equals(pl.concat(log.pieces()))


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_threads(tmp_path: Path) -> None:
    files = [tmp_path / f"{threads}.parquet" for threads in (1, 2)]
    for threads, path in zip((1, 2), files, strict=True):
        generate(path, 3_000, 500, 60_000, seed=3, run=Run(threads=threads))
    assert files[0].read_bytes() == files[1].read_bytes()
    other = pl.concat(SyntheticLog(3_000, 500, 60_000, seed=4).pieces())
    assert pairs(other) != pairs(pl.read_parquet(files[0]))


def test_popularity_falls_like_a_power_and_users_keep_to_clusters() -> None:
    """Ranks 1 … 10 against 11 … 100, by ∫ dx/(x + s); and pairs of items more often together."""
    log = SyntheticLog(20_000, 900, 400_000)
    counts = log.interactions().item_counts[log._names].astype(float)
    s = log._shift
    expected = np.log((10 + s) / s) / np.log((100 + s) / (10 + s))
    assert counts[:10].sum() / counts[10:100].sum() == pytest.approx(expected, rel=0.1)
    X = log.interactions().matrix.toarray()
    lift = np.corrcoef(X[:, log._names[300:420]], rowvar=False)
    clusters = np.arange(300, 420) % 30
    same = (clusters[:, None] == clusters) & ~np.eye(120, dtype=bool)
    assert lift[same].mean() > 5 * abs(lift[clusters[:, None] != clusters].mean())


def test_histories_are_log_normal_in_length() -> None:
    lengths = np.diff(SyntheticLog(20_000, 2_000, 600_000).indptr)
    assert lengths.min() >= 5
    spread = (lengths.astype(float) ** 2).mean() / lengths.mean() ** 2
    assert spread == pytest.approx(np.exp(0.92**2), rel=0.2)


def test_the_file_is_read_as_it_was_made(tmp_path: Path) -> None:
    path = generate(tmp_path / "log.parquet", 500, 100, 5_000)
    log = shoal.read(path)
    made = SyntheticLog(500, 100, 5_000).interactions()
    assert (log.matrix != made.matrix).nnz == 0
    assert log.users == made.users
    assert log.items == made.items


def test_the_file_is_no_larger_than_was_said(tmp_path: Path) -> None:
    log = SyntheticLog(2_000, 1_000, 200_000)
    path = generate(tmp_path / "log.parquet", 2_000, 1_000, 200_000)
    assert log.bytes_on_disk / 3 < path.stat().st_size < log.bytes_on_disk


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ((10, 10, 101), "101 interactions are more than 10 users × 10 items"),
        ((10, 10, 0), "0 interactions: give 1 or more"),
        ((0, 10, 10), "0 users: give 1 or more"),
        ((10, -5, 10), "-5 items: give 1 or more"),
        ((10, 1, 10), "2 or more"),
        ((10, 30, 20), "too few for 10 users and 30 items"),
        ((2**31, 10, 2**32), "shoal counts up to"),
    ],
)
def test_sizes_that_no_log_can_have_are_refused(
    tmp_path: Path, sizes: tuple[int, int, int], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        generate(tmp_path / "log.parquet", *sizes)
    assert not list(tmp_path.iterdir())


def test_bad_names_and_seeds_are_refused(tmp_path: Path) -> None:
    there = tmp_path / "there.parquet"
    there.write_text("mine")
    for path, says in (
        (there, "exists: name another file"),
        (tmp_path / "log.csv", r"ends in \.parquet"),
        (tmp_path / "no" / "log.parquet", "there is no folder"),
    ):
        with pytest.raises(DataError, match=says):
            generate(path, 10, 10, 50)
    assert there.read_text() == "mine"
    with pytest.raises(DataError, match="seed=-1"):
        generate(tmp_path / "log.parquet", 10, 10, 50, seed=-1)


def test_a_disk_without_room_is_refused_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> Any:
        return type("Usage", (), {"free": 1000})()

    monkeypatch.setattr(generating.shutil, "disk_usage", full)
    monkeypatch.setattr(generating, "_write", None)  # it would fail to be called
    with pytest.raises(DataError, match=r"takes about .*, and its disk has 1\.0 kB free: free"):
        generate(tmp_path / "log.parquet", 10, 10, 50)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        pl.exceptions.ComputeError("underlying IO error: No space left on device (os error 28)"),
    ],
)
def test_a_disk_that_fills_up_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def half(log: SyntheticLog, path: Path, *_: Any) -> None:
        path.write_bytes(b"PAR1 half of it")
        raise error

    monkeypatch.setattr(generating, "_write", half)
    with pytest.raises(DataError, match=r"log\.parquet could not be written: the disk is full.*kB"):
        generate(tmp_path / "log.parquet", 10, 10, 50)
    assert not list(tmp_path.iterdir())


def test_a_real_full_device_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full takes every write with ENOSPC: what polars then raises is understood."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    log = SyntheticLog(100, 50, 1_000)
    with (
        pytest.raises((OSError, pl.exceptions.PolarsError)) as raised,
        Run().progress.step("") as s,
    ):
        generating._write(log, full, s, 1)
    assert "the disk is full" in str(generating._refused(full, 1, raised.value))


def test_a_kill_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    script = f"import shoal; shoal.generate({str(path)!r}, 200_000, 10_000, 20_000_000)"
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".log.parquet.*.part")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not path.exists()
    generate(path, 100, 50, 1_000)  # what was left behind is in nobody's way
    assert pl.read_parquet(path).height == 1_000


def test_a_write_that_fails_leaves_the_threads_as_they_were() -> None:
    from threadpoolctl import threadpool_info

    def limits() -> set[tuple[str, int]]:
        return {(p["filepath"], p["num_threads"]) for p in threadpool_info()}

    if not (full := Path("/dev/full")).exists():
        pytest.skip("no /dev/full here")
    before = limits()
    log = SyntheticLog(200_000, 1_000, 4_000_000)  # of several row groups
    with (
        pytest.raises((OSError, pl.exceptions.PolarsError)) as raised,
        Run().progress.step("") as s,
    ):
        generating._write(log, full, s, 1)
    assert limits() == before, raised
