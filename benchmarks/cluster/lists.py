"""Lists for everyone in parts: users per second and memory, by one process, by two, and on Ray.

    python benchmarks/cluster/lists.py                     # a million users, 20,000 items
    python benchmarks/cluster/lists.py --users 20000 --items 2000 --ways one,ray   # a try

The log is drawn and divided by user into as many files as parts; the weights are drawn, too, since
they cost the same as fitted ones. Each way runs in processes of its own, which are given a core or
two. Memory is the proportional set size of all of them together (a page that is shared counts
once), at its highest; CPU seconds are theirs together, which other work on the machine hardly
changes. Both are without Ray's own processes. Results go to lists.jsonl.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import psutil

import shoal
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.peers import environment
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "lists.jsonl")
OF_RAY = ("gcs_server", "raylet", "ray/dashboard", "autoscaler", "watching.py", "log_monitor")
MEAN_ITEMS = 30  # of a user


def make_data(folder: Path, users: int, items: int, parts: int) -> None:
    """Draw a log in files by user, and weights for all of its items."""
    rng = np.random.default_rng(1)
    (folder / "log").mkdir()
    for part in range(parts):
        mine = np.arange(part, users, parts)
        counts = 1 + rng.poisson(MEAN_ITEMS - 1, mine.size)
        drawn = (items * rng.random(counts.sum()) ** 2).astype(np.int64)
        rows = pl.DataFrame({"user": np.repeat(mine, counts), "item": drawn}).unique()
        rows.sort("user", "item").write_parquet(folder / "log" / f"bucket-{part:05}.parquet")
    everything = Interactions(
        Ids(pl.Series([0]), "int"),
        Ids(pl.Series(np.arange(items)), "int"),
        np.array([0, items]),
        np.arange(items, dtype=np.int32),
    )
    model = shoal.EASE()
    weights = rng.standard_normal((items, items), np.float32)
    weights[np.diag_indices(items)] = 0
    model.restore({"weights": weights})
    model.take_catalogue(everything)
    shoal.save(model, folder / "model")


def recommend(folder: Path, *more: str) -> list[str]:
    """The command that makes lists."""
    given = [str(folder / "model"), "--all", str(folder / "log"), "--out", str(folder / "lists")]
    return [sys.executable, "-m", "shoal", "recommend", *given, *more]


def by_one(folder: Path, parts: int, threads: int) -> None:
    """One process that makes all parts."""
    run([recommend(folder, "--shards", str(parts), "--threads", str(threads))], threads, 1)


def by_two(folder: Path, parts: int) -> None:
    """A process for each part, two at a time, as a scheduler would start them."""
    shards = [f"{shard}/{parts}" for shard in range(parts)]
    run([recommend(folder, "--shard", shard, "--threads", "1") for shard in shards], 1, 2)


def by_ray(folder: Path, parts: int, threads: int) -> None:
    """Two cores of a Ray of its own: two tasks of one thread at once, or one task of two."""
    code = (
        "import sys; from pathlib import Path; from shoal.cluster.connecting import connect;"
        "from shoal.cluster.lists import make_all; from shoal.cluster.list_job import ListJob;"
        "from shoal.run import Run; folder = Path(sys.argv[1]);"
        "executor = connect('ray', threads=2);"
        "job = ListJob.of(folder / 'model', folder / 'log', folder / 'lists',"
        "shards=int(sys.argv[2]), threads=int(sys.argv[3]));"
        "make_all(job, Run(executor=executor)); executor.close()"
    )
    run([[sys.executable, "-c", code, str(folder), str(parts), str(threads)]], threads, 1)


WAYS: dict[str, Callable[[Path, int], None]] = {
    "one": lambda folder, parts: by_one(folder, parts, 1),
    "one-of-two-threads": lambda folder, parts: by_one(folder, parts, 2),
    "two": by_two,
    "ray": lambda folder, parts: by_ray(folder, parts, 1),
    "ray-of-two-threads": lambda folder, parts: by_ray(folder, parts, 2),
}
PEAK = [0.0]  # bytes, of the way that is measured
CPU: dict[tuple[int, float], float] = {}  # seconds by process and its start, likewise


def run(commands: Sequence[list[str]], threads: int, at_once: int) -> None:
    """Run commands, some at once, and watch their memory."""
    waiting = list(commands)
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        while waiting and len(running) < at_once:
            process = subprocess.Popen(
                waiting.pop(0),
                env=environment(threads),
                stdout=subprocess.DEVNULL,
            )
            running.append(process)
        time.sleep(0.2)
        PEAK[0] = max(PEAK[0], memory())
        for ended in [p for p in running if p.poll() is not None]:
            if ended.returncode:
                raise SystemExit(f"{ended.args!r} failed")
            running.remove(ended)


def memory() -> float:
    """Proportional set size of all processes below this one, whose CPU seconds are noted."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, OSError, IndexError):
            if any(name in " ".join(process.cmdline()) for name in OF_RAY):
                continue
            times = process.cpu_times()
            CPU[process.pid, process.create_time()] = times.user + times.system
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += 1024 * int(rollup.split("\nPss:")[1].split()[0])
    return total


def measured(way: str, folder: Path, users: int, parts: int) -> Row:
    """Seconds and memory of one way, and what it wrote."""
    subprocess.run(["rm", "-rf", str(folder / "lists")], check=True)
    CPU.clear()
    PEAK[0], begin = 0.0, time.perf_counter()
    WAYS[way](folder, parts)
    seconds = time.perf_counter() - begin
    lists = pl.scan_parquet(folder / "lists" / "part-*.parquet")
    rows, check = lists.select(pl.len(), pl.col("item").cast(pl.UInt64).sum()).collect().row(0)
    return {
        "seconds": round(seconds, 1),
        "users_per_second": round(users / seconds),
        "cpu_seconds": round(sum(CPU.values()), 1),
        "peak_gb": round(PEAK[0] / 1e9, 2),
        "rows": rows,
        "sum_of_items": check,
    }


def main() -> None:
    """Measure all ways that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--parts", type=int, default=16)
    parser.add_argument("--ways", default=",".join(WAYS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lists-") as name:
        folder = Path(name)
        make_data(folder, given.users, given.items, given.parts)
        for way in given.ways.split(","):
            row = measured(way, folder, given.users, given.parts)
            about = {"users": given.users, "items": given.items, "parts": given.parts}
            about |= {"cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 1)}
            about |= {"machine": platform.machine(), "at": datetime.now(UTC).isoformat()[:16]}
            RESULTS.save(f"{way}-{given.users}-{given.items}", {**row, **about})
            print(way, row, flush=True)


if __name__ == "__main__":
    main()
