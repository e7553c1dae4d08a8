"""The last hour, from the service's own metrics: rates, latencies, restarts and several workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from shoal.service import recent
from shoal.service.metrics import BOUNDS, Metrics
from shoal.service.recent import RecentHour
from shoal.service.totals import (
    Interval,
    Totals,
    between,
    binned,
    merged,
    of_line,
    quantile,
    read_totals,
    to_line,
)


def bucketed(seconds: np.ndarray) -> tuple[int, ...]:
    """How many latencies lie in each bucket: (low, high], and beyond the last bound."""
    edges = np.array([-np.inf, *BOUNDS, np.inf])
    return tuple(int(((seconds > low) & (seconds <= high)).sum()) for low, high in pairwise(edges))


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.9, 0.99, 1.0])
def test_a_quantile_is_that_of_numpy_where_buckets_are_filled_evenly(q: float) -> None:
    rng = np.random.default_rng(0)
    # in each bucket a grid of values without its left end, so that linear interpolation is right
    counts = rng.integers(200, 400, len(BOUNDS))
    lows = [0.0, *BOUNDS[:-1]]
    seconds = np.concatenate(
        [
            low + (high - low) * np.arange(1, n + 1) / n
            for low, high, n in zip(lows, BOUNDS, counts, strict=True)
        ]
    )
    estimate = quantile(bucketed(seconds), q)
    assert estimate is not None
    true = float(np.percentile(seconds, 100 * q))
    place = int(np.searchsorted(BOUNDS, true))
    width = BOUNDS[place] - ([0.0, *BOUNDS][place])
    assert estimate == pytest.approx(true, abs=width / 100)


@pytest.mark.parametrize("seed", range(5))
def test_a_quantile_of_any_latencies_is_in_the_right_bucket(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seconds = np.minimum(rng.lognormal(-5, 1.2, 3000), 4.9)
    for q in (0.5, 0.95, 0.99):
        true = float(np.percentile(seconds, 100 * q, method="inverted_cdf"))
        estimate = quantile(bucketed(seconds), q)
        assert estimate is not None
        place = int(np.searchsorted(BOUNDS, true))
        assert [0.0, *BOUNDS][place] <= estimate <= BOUNDS[place]


def test_quantiles_without_requests_and_beyond_the_last_bound() -> None:
    assert quantile([0] * (len(BOUNDS) + 1), 0.5) is None
    assert quantile(bucketed(np.array([9.0, 10.0, 0.0004])), 0.5) == BOUNDS[-1]


def test_between_two_readings_only_what_happened_since_counts() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.004), (200, 0.004), (422, 0.0001)):
        metrics.request("/v1/recommend", status, seconds)
    metrics.fallbacks.labels("unknown history").inc(7)
    before = read_totals(metrics.registry.collect())
    for seconds in (0.0004, 0.0015, 0.0015, 7.0):
        metrics.request("/v1/similar", 200, seconds)
    metrics.request("/v1/recommend", 503, 0.02)
    metrics.request("/v1/recommend", 200, 0.02)
    for probe in ("/v1/ready", "/live", "/metrics", "/now", "/static/shoal.css"):
        metrics.request(probe, 200, 0.001)
    metrics.request("(no route)", 401, 0.0002)
    metrics.fallbacks.labels("unknown history").inc(2)
    metrics.fallbacks.labels("too few candidates").inc()
    metrics.empty.labels("/v1/recommend").inc(3)
    metrics.events.labels("click").inc(5)
    metrics.events.labels("view").inc(11)
    metrics.shed.inc()
    metrics.limited.inc(4)
    metrics.in_flight.inc(2)
    interval = between(before, read_totals(metrics.registry.collect()), end=100.0, seconds=5.0)
    assert interval.requests == {"2xx": 5, "5xx": 1, "4xx": 1}
    assert interval.latencies == bucketed(
        np.array([0.0004, 0.0015, 0.0015, 7.0, 0.02, 0.02, 0.0002])
    )
    assert (interval.fallbacks, interval.empty, interval.shed, interval.limited) == (3, 3, 1, 4)
    assert interval.events == {"click": 5, "view": 11}
    assert interval.in_flight == 2
    assert of_line(json.loads(json.dumps(to_line(interval)))) == interval


def test_a_counter_that_began_anew_gives_no_negative_number() -> None:
    def totals(n_requests: float, n_slow: float, events: float) -> Totals:
        return Totals(
            {
                ("shoal_requests_total", "/v1/rank", "200"): n_requests,
                ("shoal_events_written_total", "view"): events,
            },
            {
                ("/v1/rank", bound): n_slow if bound < 1 else n_requests
                for bound in (*BOUNDS, float("inf"))
            },
        )

    interval = between(totals(100, 60, 50), totals(8, 6, 50), end=5.0, seconds=5.0)
    assert interval.requests == {"2xx": 8}
    assert interval.events == {}
    assert sum(interval.latencies) == 8
    assert min(interval.latencies) == 0
    assert interval.latencies[0] == 6


def test_bins_add_up_and_say_where_nothing_is_known() -> None:
    intervals = [Interval(end=10.0 * i, seconds=10.0, requests={"2xx": i}) for i in (1, 2, 3, 7, 8)]
    bins = binned(intervals, 0.0, 90.0, 3)  # 0–30, 30–60, 60–90
    assert [None if each is None else each.n_requests for each in bins] == [6, None, 15]
    first = bins[0]
    assert first is not None
    assert (first.seconds, first.end) == (30.0, 30.0)
    with pytest.raises(ValueError, match="no interval"):
        merged([])


def test_the_thread_keeps_an_hour_and_no_more() -> None:
    metrics = Metrics()
    recent = RecentHour(metrics, every=0.02, kept=0.2)
    recent.start()
    try:
        end = time.monotonic() + 10
        while len(recent.intervals()) < 3 or not any(i.n_requests for i in recent.intervals()):
            metrics.request("/v1/recommend", 200, 0.001)
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.4)
        intervals = recent.intervals()
    finally:
        recent.stop()
    assert 1 <= len(intervals) <= 11
    assert time.time() - intervals[0].end < 5
    assert sum(each.n_requests for each in intervals) == 0  # it is longer ago than is kept
    n = len(recent._intervals)
    time.sleep(0.1)
    assert len(recent._intervals) == n  # it has stopped


def test_swaps_are_changes_of_version_whoever_loads_them(tmp_path: Path) -> None:
    one, other = (RecentHour(Metrics(), tmp_path) for _ in range(2))
    one.note_load("main", "ease", "v1", 1000.0)
    other.note_load("main", "ease", "v1", 1001.0)
    one.note_load("second", "elsa", "e1", 1002.0)
    other.note_load("main", "rdlae", "v2", 2001.0)
    one.note_load("main", "rdlae", "v2", 2000.5)
    one.note_load("main", "rdlae", "v2", 2900.0)  # a worker that was started anew
    swaps = [(s.time, s.live, s.before, s.version, s.workers) for s in other.swaps()]
    assert swaps == [
        (1000.0, "main", "", "v1", 2),
        (1002.0, "second", "", "e1", 1),
        (2000.5, "main", "v1", "v2", 2),
    ]
    assert one.swaps()[-1].until == 2001.0


WORKER = """
import os, sys
from pathlib import Path
from shoal.service.metrics import Metrics
metrics = Metrics()
for _ in range(int(sys.argv[1])):
    metrics.request("/v1/recommend", 200, 0.004)
if len(sys.argv) > 2:
    from shoal.service.recent import RecentHour
    recent = RecentHour(metrics, Path(sys.argv[2]))
    recent.sample()
    for line in sys.stdin:
        for _ in range(int(line)):
            metrics.request("/v1/recommend", 200, 0.004)
        interval = recent.sample()
        print(-1 if interval is None else interval.n_requests, flush=True)
"""


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments],
        env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def tell(process: subprocess.Popen[str], n_requests: int) -> int:
    """Let a worker answer requests and read the metrics: what it says has happened."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{n_requests}\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def test_of_several_workers_one_reads_for_all_and_another_goes_on_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    with started(folder, "10", str(tmp_path)) as first:
        assert tell(first, 3) == 3
        with started(folder, "5", str(tmp_path)) as second:
            assert tell(second, 2) == -1  # the first one reads for both
            assert tell(first, 1) == 8  # 5 + 2 of the second worker, and its own
            first.kill()
            first.wait()
            with started(folder, "4") as third:  # answers 4 requests and ends
                assert third.wait() == 0
            assert tell(second, 0) == -1  # it takes over, with nothing to compare with yet
            assert tell(second, 6) == 6
            second.kill()
    reader = RecentHour(Metrics(), tmp_path)
    numbers = [interval.n_requests for interval in reader.intervals()]
    assert numbers == [3, 8, 6]


SAME = """
import sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from shoal.service.metrics import Metrics
from shoal.service.totals import read_totals
from shoal.service.worker_totals import WorkerTotals
folder = Path(sys.argv[1])
metrics = Metrics()
for n in range(40):
    metrics.request(("/v1/recommend", "/v1/ready", "/v1/rank")[n % 3], 200 + n % 2, 0.0004 * n**2)
metrics.events.labels("view").inc(3)
metrics.fallbacks.labels("unknown").inc(2)
metrics.in_flight.inc(n % 4)
theirs = CollectorRegistry()
MultiProcessCollector(theirs)
ours, theirs = WorkerTotals(folder).read(), read_totals(theirs.collect())
assert ours == theirs, (ours, theirs)
assert ours.counters["shoal_requests_total", "/v1/recommend", "200"] == 7 * int(sys.argv[2])
assert ours.buckets["/v1/recommend", float("inf")] == 14 * int(sys.argv[2])
assert ours.in_flight == 3 * int(sys.argv[2])
print(len(ours.buckets))
"""


def test_files_of_workers_add_up_as_prometheus_client_adds_them(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for n_workers in (1, 2, 3):
        command = [sys.executable, "-c", SAME, str(tmp_path), str(n_workers)]
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) == 2 * 17  # buckets of the two routes that count


def test_the_file_of_several_workers_does_not_grow_for_ever(tmp_path: Path) -> None:
    recent = RecentHour(Metrics(), tmp_path, every=1.0, kept=4.0)
    reader = RecentHour(Metrics(), tmp_path, every=1.0, kept=4.0)
    recent.sample()
    for _ in range(40):
        assert recent.sample() is not None
        assert len((tmp_path / "recent.jsonl").read_bytes().splitlines()) <= 10
    assert [i.end for i in reader.intervals()][-5:] == pytest.approx(
        [i.end for i in recent.intervals()][-5:], abs=0.001
    )
    recent.stop()


def test_a_damaged_file_is_no_fault_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "recent.jsonl").write_bytes(b'{"end": 1, "seconds": 5}\n{"end": half\n{"e')
    (tmp_path / "swaps.jsonl").write_bytes(b"\x00\xff\n")
    recent = RecentHour(Metrics(), tmp_path, kept=1e12)
    assert [interval.end for interval in recent.intervals()] == [1]
    assert recent.swaps() == []


def test_the_file_of_swaps_does_not_grow_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "_MOST_SWAPS", 10)
    workers = [RecentHour(Metrics(), tmp_path) for _ in range(2)]
    for number in range(25):
        workers[number % 2].note_load("main", "ease", f"v{number}", 1_000.0 + number)
    # 20 lines at most: at the 21st the last 10 are kept, and 4 more come
    assert len((tmp_path / "swaps.jsonl").read_bytes().splitlines()) == 14
    swaps = workers[0].swaps()
    assert [swap.version for swap in swaps] == [f"v{number}" for number in range(11, 25)]
