"""The inverse in tiles on two Ray nodes of one thread beside the in-place inverse of two threads.

    python benchmarks/cluster/tiled_inverse.py            # n = 6,000 and n = 20,000
    python benchmarks/cluster/tiled_inverse.py 6000       # one size

Both invert the same matrix UᵀU + diag(λ) in float32, which is there before the clock starts: in one
array here, in tiles spread over the object stores there. Each measurement runs in a process of its
own and adds a line to tiled_inverse.jsonl; tiled_inverse.md is written from them. Nodes are those
of `ray.cluster_utils.Cluster` on this machine. A node's memory is what its object store has touched
of its shared memory, plus what its workers have allocated, looked at every 50 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "tiled_inverse.jsonl")
SIZES = [6_000, 20_000]
RANK = 64  # rows of U
RIDGE = 500.0


def columns_of_u(begin: int, end: int) -> Any:
    """U[:, begin:end]: popular items have large columns, as in XᵀX of a log."""
    import numpy as np

    rng = np.random.default_rng([7, begin])
    popularity = rng.pareto(1.2, end - begin) + 0.1
    return (rng.random((RANK, end - begin)) * np.minimum(popularity, 10)).astype(np.float32)


def tile(rows: tuple[int, int], columns: tuple[int, int]) -> Any:
    """A tile of the matrix."""
    import numpy as np

    out = columns_of_u(*rows).T @ columns_of_u(*columns)
    if rows == columns:
        out[np.diag_indices_from(out)] += np.float32(RIDGE)
    return out


def residual(n: int, edges: list[int], inverse_times: Any) -> float:
    """The maximum of |A·P·v − v| for a random v of ±1, with A = UᵀU + λ·I in float64."""
    import numpy as np

    U = np.concatenate([columns_of_u(a, b) for a, b in pairwise(edges)], axis=1).astype(float)
    v = np.random.default_rng(0).choice([-1.0, 1.0], n)
    y = inverse_times(v)
    return float(np.abs(U.T @ (U @ y) + RIDGE * y - v).max())


def in_place(n: int) -> Row:
    """`kernels.spd.invert_upper` with two threads."""
    import numpy as np

    from shoal.cluster.tiles import edges_of, tile_size
    from shoal.kernels import linear, spd
    from shoal.kernels.threads import use_threads

    edges = edges_of(n, tile_size(n))
    A = np.empty((n, n), np.float32)
    for i, rows in enumerate(pairwise(edges)):
        for columns in list(pairwise(edges))[i:]:
            A[slice(*rows), slice(*columns)] = tile(rows, columns)
    with use_threads(2, fit=True):
        warm = np.eye(1500, dtype=np.float32)
        spd.invert_upper(warm)
        began = time.perf_counter()
        spd.invert_upper(A)
        seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "residual": residual(n, edges, lambda v: linear.symmetric_times(A, v)),
        "bytes": A.nbytes,
    }


class MemoryOfNodes(threading.Thread):
    """Looks at the memory of the raylets of this process and of their workers."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.peaks: dict[int, dict[str, int]] = {}

    def run(self) -> None:
        import psutil

        while not self.over.wait(0.05):
            try:
                for process in psutil.Process().children(recursive=True):
                    if process.name() == "raylet":
                        self._look_at(process)
            except psutil.Error:
                continue

    def _look_at(self, raylet: Any) -> None:
        store = _status(raylet.pid, "RssShmem")
        titles = [(p.pid, " ".join(p.cmdline())) for p in raylet.children()]
        workers = sum(
            _status(pid, "RssAnon")
            for pid, title in titles
            if title.startswith("ray::") and not title.strip().endswith("Agent")
        )
        peak = self.peaks.setdefault(raylet.pid, {"store": 0, "workers": 0, "together": 0})
        for name, now in (("store", store), ("workers", workers), ("together", store + workers)):
            peak[name] = max(peak[name], now)


def _status(pid: int, entry: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(entry):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def in_tiles(n: int) -> Row:
    """The same on two nodes of one thread."""
    import ray
    from ray.cluster_utils import Cluster

    from shoal.cluster import tiles
    from shoal.cluster.ray_executor import RayExecutor

    # a node may take 2·n² bytes, of which workers take some; the triangle has 2·n² in both stores
    store = max(2**27, int(1.6 * n**2))
    node = {"num_cpus": 1, "object_store_memory": store, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    memory = MemoryOfNodes()
    try:
        cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
        cluster.wait_for_nodes()
        executor = RayExecutor()
        executor.map(time.sleep, [1.0] * 2)  # workers of both nodes are there
        for _ in range(2):
            warm = {(0, 0): executor.submit(tile, (0, 64), (0, 64))}
            tiles.invert(executor, warm, [0, 64])
        edges = tiles.edges_of(n, tiles.tile_size(n))
        cells = list(pairwise(edges))
        A: tiles.Tiles = {}
        for i in range(len(cells)):
            for j in range(i, len(cells)):
                A[i, j] = executor.submit(tile, cells[i], cells[j])
                executor.wait([A[i, j]] if j % 2 else [])  # two at once, so one worker a node
        executor.wait(list(A.values()))
        time.sleep(3)  # what a node started beyond its one worker ends
        memory.start()
        began = time.perf_counter()
        P = tiles.invert(executor, A, edges)
        seconds = time.perf_counter() - began
        memory.over.set()
        memory.join()
        spilled = sum(
            file.stat().st_size
            for file in Path(ray._private.worker._global_node.get_session_dir_path()).glob(
                "ray_spilled_objects*/*"
            )
        )
        off = residual(n, edges, lambda v: tiles.symmetric_times(executor, P, edges, v))
        return {
            "seconds": seconds,
            "residual": off,
            "tile": tiles.tile_size(n),
            "store": store,
            "spilled": spilled,
            "nodes": sorted(memory.peaks.values(), key=lambda peak: peak["together"]),
        }
    finally:
        memory.over.set()
        ray.shutdown()
        cluster.shutdown()


WAYS = {"in-place": in_place, "in-tiles": in_tiles}


def measure(way: str, n: int) -> Row:
    """A measurement in a process of its own."""
    name = f"{n}-{way}"
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, __file__, "--alone", way, str(n)]
    out = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if out.returncode:
        raise SystemExit(f"{name} failed:\n{out.stderr[-3000:]}")
    row: Row = json.loads(out.stdout.splitlines()[-1])
    RESULTS.save(name, row)
    print(f"{name}: {row}", flush=True)
    return row


def page() -> str:
    """tiled_inverse.md."""
    lines = [
        "# The inverse in tiles beside the in-place inverse",
        "",
        "Made by `python benchmarks/cluster/tiled_inverse.py`: the same matrix in float32, here by",
        "`kernels.spd.invert_upper` with two threads, there on two Ray nodes of one thread each on",
        "the same machine (two cores). Memory of a node: what its object store touched of its",
        "shared memory plus what its workers allocated, at the same moment; half of the matrix is",
        "2·n² bytes.",
        "",
        "| n | in place | in tiles | times | residual in place, in tiles | memory of a node, most "
        "| half of 4·n² | written to disk |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for n in SIZES:
        here, there = RESULTS.get(f"{n}-in-place"), RESULTS.get(f"{n}-in-tiles")
        if here is None or there is None:
            continue
        most = max(node["together"] for node in there["nodes"])
        lines.append(
            f"| {n:,} | {here['seconds']:.1f} s | {there['seconds']:.1f} s "
            f"| {there['seconds'] / here['seconds']:.2f} "
            f"| {here['residual']:.1g}, {there['residual']:.1g} | {most / 1e6:,.0f} MB "
            f"| {2 * n**2 / 1e6:,.0f} MB | {there['spilled'] / 1e6:,.0f} MB |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--alone", choices=WAYS, help="measure one way in this process")
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(WAYS[given.alone](given.sizes[0])))
        return
    for n in given.sizes:
        for way in WAYS:
            measure(way, n)
    (HERE / "tiled_inverse.md").write_text(page())


if __name__ == "__main__":
    main()
