"""The three steps of a fit by number of items, beside the machine's own matrix product.

Each size runs in processes of its own: one for seconds, one for the peak memory of a whole fit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Row
from benchmarks.harness.synthetic import CSR, catalogue, log_of
from benchmarks.peers.common import peak_rss, start_peak

SIZES = [2_000, 4_000, 8_000, 10_000, 12_000, 16_000, 20_000]
NUMPY_UP_TO = 8_000  # np.linalg.inv; 277 s at 20,000 items, and four matrices of float64
PRODUCT_UP_TO = 20_000  # three matrices more; beyond it n³ flops are scaled from this size
L2 = 300.0


def quickest(make: Callable[[], float], times: int) -> float:
    """The least of several measurements."""
    return min(make() for _ in range(times))


def seconds(n: int) -> Row:
    """Gram matrix, inverse and weights; the machine's sgemm; np.linalg.inv."""
    X = catalogue(n)
    row = _steps(X, 3 if n <= 4_000 else 2 if n <= 12_000 else 1)
    m = min(n, PRODUCT_UP_TO)
    row["sgemm"] = quickest(lambda: _product(m), 3 if m <= 8_000 else 2) * (n / m) ** 3
    row["sgemm_from"] = m
    if n <= NUMPY_UP_TO:
        G = (X.T @ X).toarray()
        G[np.diag_indices(n)] += np.float32(L2)
        began = time.perf_counter()
        np.linalg.inv(G)
        row["numpy_inv"] = time.perf_counter() - began
    return row


def _steps(X: CSR, times: int) -> Row:
    """The fastest of each step of a fit."""
    from shoal.kernels import gram, linear, spd

    n = X.shape[1]
    indptr, indices = X.indptr.astype(np.int64), X.indices
    P = np.empty((n, n), np.float32)
    P.fill(0)  # its pages are there before the clock starts
    ones = np.ones(n, np.float32)
    end = int(indptr[9])  # a few users, to load the kernels
    gram.gram_upper(indptr[:10], indices[:end], X.data[:end], None, P)
    linear.weights_from_inverse(np.eye(64, dtype=np.float32), *(np.ones(64, np.float32),) * 3)
    rows = []
    for _ in range(times):
        clock = [time.perf_counter()]
        gram.gram_upper(indptr, indices, X.data, None, P)
        clock.append(time.perf_counter())
        P[np.diag_indices(n)] += np.float32(L2)
        spd.invert_upper(P)
        clock.append(time.perf_counter())
        linear.weights_from_inverse(P, (1 / P.diagonal()).astype(np.float32), ones, ones)
        clock.append(time.perf_counter())
        rows.append(np.diff(clock))
    fastest = np.min(rows, axis=0).tolist()
    return dict(zip(("gram", "inverse", "weights"), fastest, strict=True))


def _product(n: int) -> float:
    """Seconds of n³ flops of sgemm: half of an n × n product."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((n, n), np.float32) for _ in range(2))
    out: NDArray[np.float32] = np.zeros((n, n), np.float32)
    began = time.perf_counter()
    np.matmul(a, b, out=out)
    return (time.perf_counter() - began) / 2


def memory(n: int) -> Row:
    """Peak of a whole fit beyond the data."""
    import shoal

    X = catalogue(n)
    log = log_of(X)
    shoal.EASE(l2=L2).fit(log_of(X[:100]))  # kernels and threads are there before
    estimate = shoal.EASE(l2=L2).bytes_to_fit(log.size)
    before = start_peak()
    shoal.EASE(l2=L2).fit(log)
    return {
        "estimate_bytes": estimate,
        "users": X.shape[0],
        "interactions": int(X.nnz),
        "csr_bytes": int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes),
        "fit_peak_bytes": peak_rss() - before,
    }


def measure(sizes: Sequence[int], env: dict[str, str], threads: int) -> Row:
    """All sizes."""
    rows: list[Row] = []
    for n in sizes:
        row: Row = {"items": n, "load_before": round(os.getloadavg()[0], 2)}
        for part in ("seconds", "memory"):
            command = [sys.executable, str(Path(__file__)), part, str(n)]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                row[f"{part}_failed"] = f"status {done.returncode}"
            else:
                row |= json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(row, flush=True)
    return {"threads": threads, "cores": len(os.sched_getaffinity(0)), "rows": rows}


def plot(found: Row, path: Path) -> None:
    """Seconds by number of items, on logarithmic axes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    styles = {
        "inverse": ("shoal, inverse", "o-", "#0b6e8a"),
        "sgemm": ("n³ flops of sgemm", "--", "#444444"),
        "numpy_inv": ("np.linalg.inv", "s-", "#c44e52"),
        "gram": ("shoal, Gram matrix", "^:", "#5f9e6e"),
        "weights": ("shoal, weights", "v:", "#b5893f"),
    }
    for name, (label, line, colour) in styles.items():
        points = [(row["items"], row[name]) for row in found["rows"] if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), line, label=label, color=colour)
    axes.set(xscale="log", yscale="log", xlabel="items", ylabel="seconds")
    ticks = [row["items"] for row in found["rows"]]
    axes.set_xticks(ticks, [f"{n / 1000:g}k" for n in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.set_title(f"One fit of EASE, {found['threads']} threads", loc="left")
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["seconds", "memory"])
    parser.add_argument("items", type=int)
    given = parser.parse_args()
    print(json.dumps(seconds(given.items) if given.part == "seconds" else memory(given.items)))
