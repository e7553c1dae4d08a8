"""Kill processes that store events, again and again: every acknowledged event has to be there.

    python benchmarks/serving/kill_events.py --kills 300
    python benchmarks/serving/kill_events.py --kills 50 --control   # has to find lost events

Each process has four threads that append: events alone, and batches with a key. It says through a
pipe what it is about to send and what was acknowledged, and is killed (SIGKILL) after a random
moment. Then the file is checked: SQLite's own check, all acknowledged events, none that was not
sent, and no batch by halves. A kill counts as in the middle if some call was not yet answered. The
negative control acknowledges before it stores, as a queue in memory would: the check has to see it.

A kill does not cut the power: what is not flushed survives it. That the writer flushes is tested by
its pragmas.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy.dialects.sqlite  # noqa: F401 - before the forks, so that they start fast

from shoal.events import Event, EventStore

THREADS, BATCH = 4, 20


@dataclass
class Outcome:
    """What was found after all kills."""

    kills: int = 0
    in_the_middle: int = 0
    acknowledged: int = 0
    lost: int = 0
    halves: int = 0
    never_sent: int = 0
    damaged: int = 0
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.halves or self.never_sent or self.damaged)


def append_for_ever(file: Path, run: int, pipe: int, *, control: bool) -> None:
    """What a process does until it is killed."""
    store = EventStore(file)

    def say(word: str, name: str, size: int) -> None:
        os.write(pipe, f"{word} {name} {size}\n".encode())

    def send(thread: int) -> None:
        for number in range(1_000_000):
            name = f"{run}-{thread}-{number}"
            size = BATCH if number % 5 == 4 else 1
            events = [Event(name, place, id=f"{name}:{place}") for place in range(size)]
            say("sent", name, size)
            if control:
                say("stored", name, size)
            store.append(events, key=name if size > 1 else None)
            if not control:
                say("stored", name, size)

    threads = [threading.Thread(target=send, args=(t,)) for t in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_kill(
    file: Path, run: int, rng: random.Random, *, control: bool
) -> dict[str, dict[str, int]]:
    """Start a process and kill it; gives what it said: word → name → number of events."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with contextlib.suppress(BaseException):
            append_for_ever(file, run, writing, control=control)
        os._exit(1)
    os.close(writing)
    text = os.read(reading, 65536)  # its first words: it has opened the database
    until = time.monotonic() + rng.uniform(0.0, 0.08)
    os.set_blocking(reading, False)
    while time.monotonic() < until:  # so that the pipe is never full
        with contextlib.suppress(BlockingIOError):
            text += os.read(reading, 65536)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.set_blocking(reading, True)
    while part := os.read(reading, 65536):
        text += part
    os.close(reading)
    said: dict[str, dict[str, int]] = {"sent": {}, "stored": {}}
    for line in text.decode().splitlines():
        word, name, size = line.split()
        said[word][name] = int(size)
    return said


def check(file: Path, run: int, said: dict[str, dict[str, int]], outcome: Outcome) -> None:
    """Compare the file with what a process said."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            outcome.damaged += 1
        query = "SELECT user_id, count(*) FROM shoal_events WHERE user_id LIKE ? GROUP BY user_id"
        stored = dict(connection.execute(query, (f"{run}-%",)).fetchall())
    outcome.acknowledged += sum(said["stored"].values())
    outcome.lost += sum(size - stored.get(name, 0) for name, size in said["stored"].items())
    outcome.never_sent += len(stored.keys() - said["sent"].keys())
    sent = said["sent"]
    outcome.halves += sum(0 < n < sent[name] for name, n in stored.items() if name in sent)


def kill(kills: int, *, control: bool = False, seed: int = 0) -> Outcome:
    """Kill so many processes, all on one file."""
    rng, outcome = random.Random(seed), Outcome(kills)  # noqa: S311
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.db"
        for run in range(kills):
            said = one_kill(file, run, rng, control=control)
            outcome.in_the_middle += len(said["sent"].keys() - said["stored"].keys()) > 0
            check(file, run, said, outcome)
    outcome.seconds = time.monotonic() - began
    return outcome


def main() -> None:
    """Kill, and say in JSON what was found; the exit code is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control", action="store_true", help="acknowledge before storing")
    given = parser.parse_args()
    outcome = kill(given.kills, control=given.control, seed=given.seed)
    print(json.dumps(asdict(outcome)))
    sys.exit(not outcome.sound)


if __name__ == "__main__":
    main()
