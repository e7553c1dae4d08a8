"""The last hour of a service, from its own metrics: requests, latencies, events and swaps.

A thread reads the metrics every few seconds and keeps what has happened since the reading before.
With several workers one of them does so for all, and the others read its file: whoever is asked
shows the same hour, and a worker that ends takes nothing of it away.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from shoal.service.logs import log
from shoal.service.metrics import SEVERAL, Metrics
from shoal.service.totals import Interval, Totals, between, of_line, read_totals, to_line
from shoal.service.watch import Watch
from shoal.service.worker_totals import WorkerTotals

EVERY = 5.0  # seconds between two readings
KEPT = 3600.0  # seconds for which they are kept
_MOST_SWAPS = 1000
_ONE_SWAP = 60.0  # seconds between two workers that load a version: what comes later is a restart
_INTERVALS, _SWAPS, _LOCK = "recent.jsonl", "swaps.jsonl", "recent.lock"
_SWAPS_LOCK = "swaps.lock"  # held while a line is added, or the file is written anew


@dataclass(frozen=True)
class Swap:
    """A version that began to answer.

    Parameters
    ----------
    time : float
        When the first worker had loaded it, in seconds since 1970.
    live : str
        The name of the live model, such as ``main``.
    model, version : str
        The model's own name, and the name of its version.
    before : str
        The version that had answered until then; empty for the first one.
    workers : int
        How many processes have loaded it.
    until : float
        When the last of them had.
    """

    time: float
    live: str
    model: str
    version: str
    before: str = ""
    workers: int = 1
    until: float = 0.0


class RecentHour:
    """What happened within the last hour.

    Parameters
    ----------
    metrics : Metrics
    folder : Path, optional
        A folder that all workers of a service share; None where there is one process alone.
    every : float
        Seconds between two readings.
    kept : float
        Seconds for which they are kept.
    """

    def __init__(
        self,
        metrics: Metrics,
        folder: Path | None = None,
        every: float = EVERY,
        kept: float = KEPT,
    ) -> None:
        self._metrics, self._folder, self.every, self.kept = metrics, folder, every, kept
        self._intervals: deque[Interval] = deque(maxlen=round(kept / every) + 1)
        self._loads: deque[dict[str, Any]] = deque(maxlen=_MOST_SWAPS)
        self._before: tuple[float, Totals] | None = None  # the last reading, by time.monotonic
        self._lock_file: IO[bytes] | None = None  # held by the worker that reads for all
        self._read: tuple[tuple[int, int], list[Interval]] | None = None  # the file, as it was
        files = os.environ.get(SEVERAL)
        self._workers = WorkerTotals(Path(files)) if files else None
        self._n_written = 0  # lines of the file
        self._ill = False
        # of all workers at the same moments
        self._watch = Watch("recent-hour", self._look, lambda: every - time.time() % every)

    def start(self) -> None:
        """Begin to read the metrics."""
        self._watch.start()

    def stop(self) -> None:
        """Stop; another worker goes on in its place."""
        self._watch.stop()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    # -- what happened ------------------------------------------------------------------------

    def intervals(self) -> list[Interval]:
        """What happened between each two readings, the oldest first."""
        oldest = time.time() - self.kept
        return [interval for interval in self._all_intervals() if interval.end >= oldest]

    def _all_intervals(self) -> list[Interval]:
        if self._folder is None or self._lock_file is not None:
            return list(self._intervals)
        path = self._folder / _INTERVALS
        try:
            about = path.stat()
        except OSError:
            return []
        mark, read = (about.st_ino, about.st_size), self._read
        if read is None or read[0] != mark:
            read = self._read = mark, [of_line(line) for line in _lines(path)]
        return read[1]

    def swaps(self) -> list[Swap]:
        """The versions that began to answer in the last hour and before, the oldest first.

        A version that several workers load one after the other is one swap, and one that a worker
        loads again after it was started anew is none.
        """
        loads = list(self._loads) if self._folder is None else _lines(self._folder / _SWAPS)
        swaps: dict[str, list[Swap]] = {}
        for load in sorted(loads, key=lambda load: float(load["time"])):
            of_model = swaps.setdefault(load["live"], [])
            last = of_model[-1] if of_model else None
            if last is not None and last.version == load["version"]:
                if load["time"] - last.until <= _ONE_SWAP:
                    n_workers = last.workers + 1
                    of_model[-1] = replace(last, workers=n_workers, until=load["time"])
                continue
            of_model.append(
                Swap(
                    load["time"], load["live"], load["model"], load["version"],
                    last.version if last is not None else "", 1, load["time"],
                )
            )  # fmt: skip
        return sorted((s for each in swaps.values() for s in each), key=lambda swap: swap.time)

    def note_load(self, live: str, model: str, version: str, when: float) -> None:
        """Note that a version began to answer in this process.

        Parameters
        ----------
        live : str
            The name of the live model.
        model, version : str
        when : float
            Seconds since 1970.
        """
        load = {"time": when, "live": live, "model": model, "version": version}
        if self._folder is None:
            self._loads.append(load)
            return
        path = self._folder / _SWAPS
        with suppress(OSError), (self._folder / _SWAPS_LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with path.open("ab") as file:
                file.write(json.dumps(load).encode() + b"\n")
            loads = _lines(path)
            if len(loads) > 2 * _MOST_SWAPS:  # written anew, without the oldest
                unfinished = path.with_suffix(".unfinished")
                kept = loads[-_MOST_SWAPS:]
                unfinished.write_bytes(b"".join(json.dumps(k).encode() + b"\n" for k in kept))
                unfinished.replace(path)

    # -- reading the metrics ------------------------------------------------------------------

    def sample(self) -> Interval | None:
        """Read the metrics once, and keep what has happened since the reading before.

        None at the first reading, and in a worker while another one reads for all.
        """
        if not self._reads_for_all():
            return None
        totals, now = self._totals(), time.monotonic()
        before, self._before = self._before, (now, totals)
        if before is None:
            return None
        interval = between(before[1], totals, time.time(), now - before[0])
        self._intervals.append(interval)
        if self._folder is not None:
            self._write(interval)
        return interval

    def _totals(self) -> Totals:
        """What was counted so far, in this process or in all workers together."""
        if self._workers is not None:
            return self._workers.read()
        return read_totals(self._metrics.registry.collect())

    def _look(self) -> None:
        try:
            self.sample()
            self._ill = False
        except Exception as error:  # whatever it is, the service goes on
            if not self._ill:
                reason = f"{type(error).__name__}: {error}"
                log("error", "the last hour cannot be kept", reason=reason)
            self._ill = True

    def _reads_for_all(self) -> bool:
        """Whether this worker is the one that reads the metrics; it goes on where another ended."""
        if self._folder is None or self._lock_file is not None:
            return True
        file = (self._folder / _LOCK).open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        with suppress(OSError):
            self._intervals.extend(of_line(line) for line in _lines(self._folder / _INTERVALS))
        self._lock_file, self._n_written = file, len(self._intervals)
        return True

    def _write(self, interval: Interval) -> None:
        """Add an interval to the file; it is written anew where half of it is too old."""
        assert self._folder is not None
        path, most = self._folder / _INTERVALS, 2 * (self._intervals.maxlen or 1)
        self._n_written += 1
        if self._n_written < most:
            with path.open("ab") as file:
                file.write(_as_lines([interval]))
            return
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(_as_lines(self._intervals))
        unfinished.replace(path)
        self._n_written = len(self._intervals)


def _as_lines(intervals: Iterable[Interval]) -> bytes:
    return b"".join(json.dumps(to_line(each)).encode() + b"\n" for each in intervals)


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of JSON lines; none where there is no file."""
    try:
        written = path.read_bytes()
    except OSError:
        return []
    lines = []
    for line in written.split(b"\n")[:-1]:  # the last one may be half written
        with suppress(ValueError):
            content = json.loads(line)
            lines += [content] if isinstance(content, dict) else []
    return lines
