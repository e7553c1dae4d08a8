"""Closed-form fits on Ray beside a fit here: overhead, speed-up, bytes moved, and slopes.

    python benchmarks/cluster/gram.py overhead      # a fit of a minute and more: local, one node
    python benchmarks/cluster/gram.py processes     # XᵀX by one process of a thread, and by two
    python benchmarks/cluster/gram.py slopes        # what `costs.py` extrapolates
    python benchmarks/cluster/gram.py overhead --size tiny    # tries the script

Each measurement runs in a process of its own and adds a line to gram.jsonl; `costs.py` writes the
page. Ray runs on this machine alone, with as many workers as are said.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.peers import environment
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "gram.jsonl")
SIZES = {  # users, items, interactions
    "tiny": (20_000, 1_500, 1_000_000),
    "full": (600_000, 16_000, 60_000_000),
}
SLOPES = [  # users, items, interactions, bands
    (40_000, 8_000, 4_000_000, 16),
    (160_000, 8_000, 4_000_000, 16),
    (160_000, 8_000, 16_000_000, 16),
    (160_000, 8_000, 16_000_000, 64),
    (160_000, 16_000, 16_000_000, 16),
    (320_000, 16_000, 32_000_000, 32),
]
INVERSES = [4_000, 8_000, 12_000]
L2 = 300.0


class Stopwatch:
    """Progress that notes how long each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Any]:
        """Measure a step."""

        class Nothing:
            def advance(self, amount: float = 1) -> None:
                pass

            def note(self, text: str) -> None:
                pass

        began = time.perf_counter()
        yield Nothing()
        self.seconds[label] = time.perf_counter() - began


@contextmanager
def one_node(n_cpus: int, store: int) -> Iterator[Any]:
    """A Ray of one node, and its executor."""
    import ray

    from shoal.cluster.ray_executor import RayExecutor

    ray.init(
        address="local", num_cpus=n_cpus, include_dashboard=False, object_store_memory=store,
        log_to_driver=False, configure_logging=False,
    )  # fmt: skip
    try:
        yield RayExecutor()
    finally:
        ray.shutdown()


@contextmanager
def nodes(count: int, store: int) -> Iterator[Any]:
    """A Ray of several nodes of one core each, and its executor."""
    import ray
    from ray.cluster_utils import Cluster

    from shoal.cluster.ray_executor import RayExecutor

    node = {"num_cpus": 1, "object_store_memory": store, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        for _ in range(count - 1):
            cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
        cluster.wait_for_nodes()
        yield RayExecutor()
    finally:
        ray.shutdown()
        cluster.shutdown()


def log_of(size: str) -> Any:
    """The generated log of a size."""
    from shoal.datasets.synthetic import SyntheticLog

    return SyntheticLog(*SIZES[size]).interactions()


def _warm(executor: Any = None) -> None:
    """Compile the kernels of both ways."""
    import shoal
    from shoal.run import Run

    shoal.EASE(l2=L2).fit(log_of("tiny"), run=Run(executor=executor))


def local(size: str) -> Row:
    """A fit in this process, with two threads."""
    import shoal
    from shoal.run import Run

    log = log_of(size)
    _warm()
    watch, began = Stopwatch(), time.perf_counter()
    shoal.EASE(l2=L2).fit(log, run=Run(threads=2, progress=watch))
    return {"seconds": time.perf_counter() - began, "steps": watch.seconds}


def ray_one_node(size: str) -> Row:
    """The same fit on a Ray of one node with two cores: dividing the log, XᵀX, assembling, all."""
    import shoal
    from shoal.run import Run

    log = log_of(size)
    began = time.perf_counter()
    with one_node(2, 6 * 2**30) as executor:
        _warm(executor)
        start = time.perf_counter() - began
        watch, began = Stopwatch(), time.perf_counter()
        shoal.EASE(l2=L2).fit(log, run=Run(progress=watch, executor=executor))
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "steps": watch.seconds, "start_and_compile": start}


def loopback() -> int:
    """Bytes that this machine sent to itself over the network so far."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    return 0


def xtx(size: str, count: int) -> Row:
    """XᵀX by some nodes of one core each; every band is fetched at the end, as by a solver."""
    from shoal.cluster.gram import Plan, even_edges, gram_bands
    from shoal.cluster.sharded import ShardedLog

    log = log_of(size)
    with nodes(count, 3 * 2**30) as executor:
        _warm(executor)
        sharded = ShardedLog.of(log, executor)
        edges = even_edges(log.n_items)
        before, began = loopback(), time.perf_counter()
        bands = gram_bands(executor, sharded, edges)
        seconds = time.perf_counter() - began
        for band in bands:
            executor.get(band)
        fetched = time.perf_counter() - began
    plan = Plan.of(sharded, edges)
    updates = (sharded.squares + len(log)) / 2
    return {
        "seconds": seconds,
        "with_fetching": fetched,
        "bytes_over_loopback": loopback() - before,
        "bytes_of_log": 4 * len(log),
        "bytes_of_triangle": 4 * sum((b - a) * (log.n_items - a) for a, b in pairwise(edges)),
        "chunks": len(plan.chunks),
        "updates": updates,
    }


def slopes() -> Row:
    """Processor time of tasks of several shapes, of their sums, and of inverses, in one thread."""
    import numpy as np

    from shoal.cluster import gram as cluster_gram
    from shoal.cluster.sharded import Shard, ShardSize
    from shoal.datasets.synthetic import SyntheticLog
    from shoal.kernels import spd
    from shoal.kernels.threads import use_threads

    tasks = []
    with use_threads(1):
        for m, n, nnz, n_bands in SLOPES:
            log = SyntheticLog(m, n, nnz).interactions()
            shard = Shard(log.indptr, log.indices)
            edges = np.linspace(0, n, n_bands + 1).astype(int).tolist()

            def work(edges: list[int] = edges, n: int = n, shard: Shard = shard) -> None:
                for a, b in pairwise(edges):
                    cluster_gram._band(
                        (a, b, n), [0, n - a], 0.0, True, np.float32, np.float32, shard
                    )

            size = ShardSize.of(shard)
            tasks.append(
                {
                    "updates": (size.squares + nnz) / 2,
                    "scans": m * n_bands,
                    "numbers": sum((b - a) * (n - a) for a, b in pairwise(edges)),
                    "entries": nnz,
                    "seconds": _quickest(work, 2),
                }
            )
            print(tasks[-1], file=sys.stderr, flush=True)
        parts = [np.ones((1_000, 8_000), np.int32) for _ in range(8)]
        adding = _quickest(lambda: cluster_gram._sum(np.float32, *parts), 3) / (8 * 8e6)
        inverses = []
        for n in INVERSES:
            A = np.eye(n, dtype=np.float32)
            A += np.float32(0.5 / n)
            seconds = _quickest(partial(spd.invert_upper, A), 1)
            inverses.append({"n": n, "seconds": seconds})
            print(inverses[-1], file=sys.stderr, flush=True)
    return {"tasks": tasks, "seconds_of_an_addition": adding, "inverses": inverses}


def reading(size: str) -> Row:
    """A bucketed log, read by tasks of one thread."""
    import tempfile

    from shoal.cluster.local import LocalExecutor
    from shoal.cluster.reading import read_sharded
    from shoal.data.bucketing import bucket
    from shoal.datasets.synthetic import generate

    rows = 1_000_000 if size == "tiny" else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        log, buckets = Path(folder) / "log.parquet", Path(folder) / "buckets"
        generate(log, rows // 100, 20_000, rows)
        bucket(log, buckets, 8)
        n_bytes = sum(path.stat().st_size for path in buckets.glob("*.parquet"))
        seconds = _quickest(lambda: read_sharded(buckets, LocalExecutor(threads=1)), 1)
    return {"rows": rows, "bytes": n_bytes, "seconds": seconds}


def _quickest(work: Callable[[], object], times: int) -> float:
    """The least seconds of processor time of several runs, which other processes change little."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def machine() -> Row:
    """What was measured on, and when."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "date": datetime.now(UTC).date().isoformat(),
    }


PARTS: dict[str, Callable[[str], Row]] = {
    "local": local,
    "ray": ray_one_node,
    "xtx-1": lambda size: xtx(size, 1),
    "xtx-2": lambda size: xtx(size, 2),
    "slopes": lambda _size: slopes(),
    "reading": reading,
}
STUDIES = {
    "overhead": ["local", "ray"],
    "processes": ["xtx-1", "xtx-2"],
    "slopes": ["slopes", "reading"],
}


def main() -> None:
    """Measure the parts of a study, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=[*STUDIES, *PARTS])
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--child", action="store_true", help="measure here, print the result")
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(PARTS[chosen.study](chosen.size)))
        return
    for part in STUDIES.get(chosen.study, [chosen.study]):
        about = machine()
        command = [sys.executable, __file__, part, "--size", chosen.size, "--child"]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env=environment(2)
        )
        row = about | json.loads(done.stdout.splitlines()[-1])
        print(part, json.dumps(row), flush=True)
        if chosen.size == "full":
            RESULTS.save(part, row)


if __name__ == "__main__":
    main()
