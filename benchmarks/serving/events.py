"""Events a second that SQLite acknowledges, and what killed processes lose. Writes events.md.

    python benchmarks/serving/events.py run               # about three minutes
    python benchmarks/serving/events.py run --kills 20 --results tried
    python benchmarks/serving/events.py render

An event counts when `append` has returned: it is flushed to the disk. Beside each measurement, in
the same run and on the same disk, are sqlite3's own `executemany` into the same tables, and the
time that the disk takes to flush 4 kB. `--folder` names a folder on the disk to measure.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from benchmarks.serving.kill_events import kill
from shoal.events import Event, EventStore

HERE = Path(__file__).parent
SECONDS, ROUNDS = 3.0, 5
# threads that append at once, and events of one call
SHAPES = ((1, 1), (8, 1), (64, 1), (8, 100))
RAW_BATCHES = (1, 8, 100, 1000)

HEAD = """# Events: how many a second, and what a kill loses

Written by `benchmarks/serving/events.py`; no figure here is typed by hand.

    python benchmarks/serving/events.py run

A SQLite file with WAL and `synchronous = FULL`: an event counts once its commit is flushed to the
disk. Users and items are random, so that every index is used. Medians of {rounds} rounds of
{seconds:g} s each; rounds of all shapes take turns.
"""


def events_of(thread: int, number: int, size: int) -> list[Event]:
    """Events of some of 20,000 users and 5,000 items."""
    first = 7919 * (thread + 64 * number)
    return [
        Event(f"user-{(first + 104_729 * n) % 20_000}", f"item-{(first + n) % 5000}")
        for n in range(size)
    ]


def appended(folder: Path, threads: int, size: int) -> float:
    """Acknowledged events a second of several threads."""
    counts = [0] * threads
    with EventStore(folder / "events.db") as store:
        began = time.perf_counter()
        until = began + SECONDS

        def send(thread: int) -> None:
            number = 0
            while time.perf_counter() < until:
                counts[thread] += store.append(events_of(thread, number, size)).accepted
                number += 1

        workers = [threading.Thread(target=send, args=(t,)) for t in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        seconds = time.perf_counter() - began
        assert store.count() == sum(counts)
    return sum(counts) / seconds


def raw(folder: Path, size: int) -> float:
    """Events a second of sqlite3 itself: one thread, a transaction for each batch."""
    EventStore(folder / "events.db").close()  # makes the tables
    connection = sqlite3.connect(folder / "events.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    insert = (
        "INSERT INTO shoal_events (user_id, item_id, type, time, received) VALUES (?, ?, ?, ?, ?)"
    )
    n_rows, number, began = 0, 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        now = time.time()
        rows = [(e.user, e.item, e.type, now, now) for e in events_of(0, number, size)]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows)
        connection.execute("COMMIT")
        n_rows, number = n_rows + size, number + 1
    seconds = time.perf_counter() - began
    connection.close()
    return n_rows / seconds


def flush(folder: Path) -> float:
    """Seconds that the disk takes to flush 4 kB into a file that is there."""
    descriptor = os.open(folder / "flushed", os.O_CREAT | os.O_RDWR)
    os.write(descriptor, b"x" * 4096 * 64)
    os.fsync(descriptor)
    times = []
    for number in range(100):
        os.pwrite(descriptor, os.urandom(4096), 4096 * (number % 64))
        began = time.perf_counter()
        os.fdatasync(descriptor)
        times.append(time.perf_counter() - began)
    os.close(descriptor)
    return statistics.median(times)


def measure(folder: Path | None) -> Row:
    """All shapes in turns."""
    ways: dict[str, Callable[[Path], float]] = {"flush": flush}
    for threads, size in SHAPES:
        ways[f"append {threads}×{size}"] = partial(appended, threads=threads, size=size)
    for size in RAW_BATCHES:
        ways[f"raw {size}"] = partial(raw, size=size)
    found: dict[str, list[float]] = {name: [] for name in ways}
    loads = []
    for _ in range(ROUNDS):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(dir=folder) as place:
                found[name].append(way(Path(place)))
        loads.append(os.getloadavg()[0])
    return {
        "rates": found,
        "load": loads,
        "cores": len(os.sched_getaffinity(0)),
        "sqlite": sqlite3.sqlite_version,
    }


def spread(values: list[float]) -> str:
    """Cells of the median, the smallest and the largest."""
    return f"{statistics.median(values):,.0f} | {min(values):,.0f} … {max(values):,.0f}"


def render(results: Results) -> str:
    """The page."""
    page = HEAD.format(rounds=ROUNDS, seconds=SECONDS)
    speed = results.get("speed")
    if speed is not None:
        rates = speed["rates"]
        flushes = [1000 * t for t in rates["flush"]]
        page += (
            f"\n## Speed\n\n{speed['cores']} cores, SQLite {speed['sqlite']}, load of the machine "
            f"{min(speed['load']):.1f} to {max(speed['load']):.1f}; a flush of 4 kB takes "
            f"{statistics.median(flushes):.2f} ms ({min(flushes):.2f} … {max(flushes):.2f}).\n\n"
            "| way | threads | events of a call | events/s | from … to |\n|---|---|---|---|---|\n"
        )
        for threads, size in SHAPES:
            values = spread(rates[f"append {threads}×{size}"])
            page += f"| `EventStore.append` | {threads} | {size} | {values} |\n"
        for size in RAW_BATCHES:
            page += f"| sqlite3 `executemany` | 1 | {size:,} | {spread(rates[f'raw {size}'])} |\n"
        page += (
            "\nCalls of several threads share a transaction, so that a single event from each of 8 "
            "threads costs an eighth of a flush.\n"
        )
    killed, control = results.get("kill"), results.get("kill-control")
    if killed is not None and control is not None:
        page += (
            "\n## Kills\n\nProcesses of four threads that append, killed (SIGKILL) after a random "
            "moment; then the file is compared with what was acknowledged. The control "
            "acknowledges before it stores.\n\n"
            "| | kills | in the middle of a call | acknowledged | lost | batches by halves | "
            "damaged files |\n|---|---|---|---|---|---|---|\n"
        )
        for label, row in (("events", killed), ("control", control)):
            # the control says that a call is done before it begins
            middle = f"{row['in_the_middle']:,}" if row is killed else "–"
            page += (
                f"| {label} | {row['kills']:,} | {middle} | "
                f"{row['acknowledged']:,} | {row['lost']:,} | {row['halves']:,} | "
                f"{row['damaged']:,} |\n"
            )
    return page if speed or killed else page + "\nNot yet run.\n"


def main() -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "render"])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results and page")
    given = parser.parse_args()
    results = Results(given.results / "events.jsonl")
    if given.part == "run":
        results.once("kill", lambda: asdict(kill(given.kills)), str)
        results.once("kill-control", lambda: asdict(kill(given.kills // 6, control=True)), str)
        results.once("speed", lambda: measure(given.folder), str)
    (given.results / "events.md").write_text(render(results))


if __name__ == "__main__":
    main()
