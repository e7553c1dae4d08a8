"""Dividing a log by user, and reading it from there: rows per second, and memory.

    python benchmarks/cluster/bucketing.py                   # 20 million rows
    python benchmarks/cluster/bucketing.py --rows 5000000

The log is generated (`shoal generate`), with values and times added to it, as Parquet and as CSV.
Each measurement runs in a process of its own, whose peak of memory is told, and adds a line to
bucketing.jsonl; bucketing.md is written from them. `read_sharded` runs on `LocalExecutor`, which
does one task after the other with one thread, so its time is the work of a cluster and its memory
is that of all machines together: all shards are kept in the process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.page import table
from benchmarks.harness.results import Results, Row
from shoal.run import human_bytes

HERE = Path(__file__).parent
RESULTS = Results(HERE / "bucketing.jsonl")
PAGE = HERE / "bucketing.md"
BUCKETS = 64

STEPS = {
    "bucket": "`shoal.bucket` of Parquet",
    "bucket-text": "`shoal.bucket` of CSV",
    "read-file": "`shoal.read` of the Parquet file",
    "read-folder": "`shoal.read` of the folder",
    "sharded": "`read_sharded` of the folder",
    "core-file": "`shoal.read` of the file, 5-core",
    "core-sharded": "`read_sharded`, 5-core",
}


def make(folder: Path, n_rows: int) -> None:
    """Generate the log as Parquet and as CSV."""
    import polars as pl

    import shoal

    plain = folder / "plain.parquet"
    shoal.generate(plain, n_rows // 20, 50_000, n_rows)
    number = pl.int_range(pl.len())
    rows = pl.scan_parquet(plain).with_columns(
        value=(number % 5 + 1).cast(pl.Float32),
        time=(number * 2_654_435_761 % 100_000_000 + 1_600_000_000).cast(pl.Int64),
    )
    rows.sink_parquet(folder / "log.parquet")
    pl.scan_parquet(folder / "log.parquet").sink_csv(folder / "log.csv")
    plain.unlink()


def step(name: str, folder: Path) -> Any:
    """Do one of the steps."""
    import shoal
    from shoal.cluster.local import LocalExecutor
    from shoal.cluster.reading import read_sharded

    core: dict[str, Any] = {"k_core": 5} if name.startswith("core") else {}
    if name.startswith("bucket"):
        ending = "csv" if name == "bucket-text" else "parquet"
        return shoal.bucket(folder / f"log.{ending}", folder / name, BUCKETS, overwrite=True)
    if name.endswith("sharded"):
        return read_sharded(folder / "bucket", LocalExecutor(1), min_value=2, **core)
    place = folder / ("bucket" if name == "read-folder" else "log.parquet")
    return shoal.read(place, min_value=2, **core)


def measure(name: str, folder: Path) -> None:
    """Do one step in this process, and print what it took."""
    start = resource.getrusage(resource.RUSAGE_SELF)
    cpu = start.ru_utime + start.ru_stime
    began = time.perf_counter()
    kept = step(name, folder)
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    del kept
    row = {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime - cpu,
        "peak_bytes": 1024 * used.ru_maxrss,
    }
    print(json.dumps(row))


def measured(name: str, folder: Path) -> Callable[[], Row]:
    """A function that measures a step in a process of its own, twice; the faster one counts."""

    def run() -> Row:
        rows: list[Row] = []
        for _ in range(2):  # kernels are compiled by then
            words = [sys.executable, __file__, "--step", name, "--folder", str(folder)]
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
        return min(rows, key=lambda row: float(row["seconds"]))

    return run


def write_page(n_rows: int) -> None:
    """The table of one size."""
    lines = []
    for name, words in STEPS.items():
        row = RESULTS.get(f"{name}-{n_rows}")
        if row:
            lines.append(
                (
                    words,
                    f"{row['seconds']:.1f} s",
                    f"{row['cpu_seconds']:.1f} s",
                    f"{n_rows / row['seconds'] / 1e6:.1f} million",
                    human_bytes(row["peak_bytes"]),
                )
            )
    sizes = RESULTS.get(f"sizes-{n_rows}") or {}
    PAGE.write_text(
        "# Dividing a log by user, and reading it from there\n\n"
        f"Made by `python benchmarks/cluster/bucketing.py`: {n_rows:,} generated rows of user, "
        f"item, value and time ({human_bytes(sizes['parquet'])} as Parquet, "
        f"{human_bytes(sizes['csv'])} as CSV), {BUCKETS} files "
        f"({human_bytes(sizes['folder'])}), on {os.cpu_count()} cores. `read_sharded` does one "
        "task after the other here, and holds all shards: on a cluster its time is divided by the "
        "workers, and its memory by the machines. Other programs ran meanwhile: the seconds of all "
        "cores do not depend on them. Memory of `shoal.bucket` does not grow with the log: 48 "
        "million rows of files with smaller groups of rows took 365 MB.\n"
        + table("step | time | of all cores | rows per second | peak of the process", lines)
    )


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--step")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.step:
        measure(asked.step, asked.folder)
        return
    folder = Path(tempfile.mkdtemp(prefix="shoal-bucketing-"))
    try:
        missing = [name for name in STEPS if f"{name}-{asked.rows}" not in RESULTS]
        if missing:
            make(folder, asked.rows)
            if "bucket" not in missing:
                step("bucket", folder)
        for name in missing:
            RESULTS.once(
                f"{name}-{asked.rows}",
                measured(name, folder),
                lambda row: f"{row['seconds']:.1f} s",
            )
        if missing:
            parts = (folder / "bucket").iterdir()
            sizes = {
                "parquet": (folder / "log.parquet").stat().st_size,
                "csv": (folder / "log.csv").stat().st_size,
                "folder": sum(file.stat().st_size for file in parts),
            }
            RESULTS.save(f"sizes-{asked.rows}", sizes)
        write_page(asked.rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
