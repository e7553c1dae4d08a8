"""One kernel at a time, and what a start costs. Each part runs in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Row
from benchmarks.harness.synthetic import catalogue, log_of
from benchmarks.linear.scale import quickest
from benchmarks.peers.common import peak_rss, start_peak

Part = Callable[[Path, int], Row]

L2, K = 300.0, 100


def clock(step: Callable[[], Any]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def matrices(folder: Path) -> tuple[sp.csr_array, sp.csr_array]:
    """Training and target matrix."""
    train, target = (sp.csr_array(sp.load_npz(folder / f"{n}.npz")) for n in ("train", "target"))
    return train, target


def part_gram(folder: Path, threads: int) -> Row:
    """G from a sparse X: scipy's sparse product made dense, and ours."""
    from shoal.kernels import gram
    from shoal.kernels.threads import use_threads

    X, _ = matrices(folder)
    indptr, indices = X.indptr.astype(np.int64), X.indices.astype(np.int32)
    out = np.empty((X.shape[1],) * 2, np.float32)
    out.fill(0)

    def ours() -> None:
        gram.gram_upper(indptr, indices, X.data, None, out)

    def theirs() -> None:
        np.asarray((X.T @ X).toarray(), np.float32)

    with use_threads(threads):
        gram.gram_upper(indptr[:11], indices[: indptr[10]], X.data[: indptr[10]], None, out)
        before = start_peak()
        ours()
        extra = peak_rss() - before
        seconds = quickest(lambda: clock(ours), 3)
    before = start_peak()
    scipy_seconds = clock(theirs)
    return {
        "gram_seconds": seconds,
        "gram_extra_bytes": extra,
        "csr_bytes": int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes),
        "scipy_seconds": min(scipy_seconds, clock(theirs)),
        "scipy_extra_bytes": peak_rss() - before - out.nbytes,
    }


def part_ranking(folder: Path, threads: int) -> Row:
    """Top-100 for all users by kernels alone: in one pass, in two, and by the sketch."""
    import shoal
    from benchmarks.peers.reference import best
    from shoal.kernels import linear, ranking, topk
    from shoal.kernels.threads import use_threads

    X, _ = matrices(folder)
    run = shoal.Run(threads=threads)
    B = shoal.EASE(l2=L2).fit(log_of(X), run=run).weights
    everything = np.ones(X.shape[1], np.bool_)
    block = max(1, 256_000_000 // (4 * X.shape[1]))  # as `recommending` does it

    def parts(size: int) -> list[Any]:
        return [X[at : at + size] for at in range(0, X.shape[0], size)]

    def arrays(rows: Any) -> tuple[Any, Any, Any]:
        return rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data

    def fused(rows: Any = X) -> Any:
        x = arrays(rows)
        return ranking.best_of_product(x, B, K, x[0], x[1], everything)

    def two_steps(rows: Any = X) -> None:
        for part in [rows[:50]] if rows is not X else parts(block):
            x = arrays(part)
            topk.best(linear.sparse_times_dense(*x, B), K, x[0], x[1], everything)

    def sketch() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda rows: best(rows @ B, rows, K), parts(500)))

    with use_threads(threads):
        fused(X[:50])
        two_steps(X[:50])
        found = {
            "fused_seconds": quickest(lambda: clock(fused), 2),
            "two_steps_seconds": quickest(lambda: clock(two_steps), 2),
        }
    return found | {"users": X.shape[0], "sketch_seconds": quickest(lambda: clock(sketch), 2)}


def part_metrics(folder: Path, threads: int) -> Row:
    """What metrics take beyond ranking: `evaluate`, less the ranking of the same users."""
    import shoal
    from shoal.inference.ranking import rank_blocks
    from shoal.splitting.held_out import HeldOut

    X, T = matrices(folder)
    run = shoal.Run(threads=threads)
    train = log_of(X)
    history, target = (log_of(M) for M in (sp.csr_array(X[-T.shape[0] :]), T))
    held_out = HeldOut(history, target, train.item_counts, "synthetic")
    model = shoal.EASE(l2=L2).fit(train, run=run)
    few = ["ndcg@100", "recall@20"]
    all_of_them = [*few, "recall@50", "ndcg@100:head", "ndcg@100:tail", "coverage@100"]

    def rank() -> None:
        for _ in rank_blocks(model, history.matrix, K, run=run):
            pass

    shoal.evaluate(model, held_out, few, run)
    ranking = quickest(lambda: clock(rank), 3)
    row: Row = {"users": T.shape[0], "ranking_seconds": ranking}

    def evaluated(metrics: list[str]) -> float:
        return quickest(lambda: clock(lambda: shoal.evaluate(model, held_out, metrics, run)), 3)

    row["two_metrics_seconds"] = evaluated(few) - ranking
    row["default_metrics_seconds"] = evaluated(all_of_them) - ranking
    exact = shoal.evaluate(model, held_out, few, run)["ndcg@100"]
    bits = np.asarray(model.weights).view(np.uint32)
    bits += 0x8000  # to the nearest of the 16 upper bits
    bits &= 0xFFFF0000
    row["bfloat16_ndcg_change"] = shoal.evaluate(model, held_out, few, run)["ndcg@100"] - exact
    return row


def part_threads(folder: Path, threads: int) -> Row:
    """One fit with one thread, with all, and with all inside of a block that limits them too.

    `folder` is not used: 4,000 items are enough.
    """
    import shoal
    from shoal.kernels.threads import use_threads

    log = log_of(catalogue(4_000))

    def fit(count: int) -> None:
        shoal.EASE(l2=L2).fit(log, run=shoal.Run(threads=count))

    def nested() -> None:
        with use_threads(threads):
            fit(threads)

    fit(threads)
    return {
        "one_seconds": quickest(lambda: clock(lambda: fit(1)), 3),
        "two_seconds": quickest(lambda: clock(lambda: fit(threads)), 3),
        "nested_seconds": quickest(lambda: clock(nested), 3),
    }


def part_reading(folder: Path, threads: int) -> Row:
    """`shoal.read` of all pairs, from Parquet and from CSV."""
    import polars as pl

    import shoal

    X, _ = matrices(folder)
    pairs = X.tocoo()
    frame = pl.DataFrame({"user": pairs.row + 1, "item": pairs.col + 1})
    frame = frame.sample(fraction=1.0, shuffle=True, seed=0)
    paths = {kind: folder / f"pairs.{kind}" for kind in ("parquet", "csv")}
    frame.write_parquet(paths["parquet"])
    frame.write_csv(paths["csv"])
    row: Row = {"rows": frame.height}
    del X, pairs, frame
    few = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1]})
    shoal.read(few)  # loads what is compiled

    def read(kind: str) -> float:
        return quickest(lambda: clock(lambda: shoal.read(paths[kind])), 3)

    return row | {f"{kind}_seconds": read(kind) for kind in paths}


def part_start(folder: Path, threads: int) -> Row:
    """The whole linear core once on a few users: what a process pays, and again without that.

    `folder` is not used: the data are so small that only compiling and loading is left.
    """
    import polars as pl

    import shoal
    import shoal.evaluation.evaluate
    from shoal.models import registry

    registry.models()  # imports are not what is measured here
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"user": rng.integers(0, 60, 900), "item": rng.integers(0, 40, 900)})
    run = shoal.Run(threads=threads)

    def everything() -> None:
        log = shoal.read(frame)
        split = shoal.split(log, "strong", seed=0)
        for model in (shoal.EASE(l2=10), shoal.RDLAE(), shoal.ItemKNN(k=5)):
            model.fit(split.train, run=run)
            shoal.evaluate(model, split.test, "ndcg@10,recall@5", run)
            shoal.recommend(model, log.history_of(1), k=5, run=run)
            shoal.recommend_all(model, log, 10, run=run)

    first = clock(everything)
    return {"first_seconds": first, "again_seconds": quickest(lambda: clock(everything), 3)}


PARTS: dict[str, Part] = {
    "gram": part_gram,
    "ranking": part_ranking,
    "metrics": part_metrics,
    "threading": part_threads,
    "reading": part_reading,
    "start": part_start,
}


def _child(part: str, folder: Path, env: dict[str, str], threads: int) -> Row:
    command = [sys.executable, str(Path(__file__)), part, str(folder), str(threads)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2_000:], file=sys.stderr)
        return {"failed": f"status {done.returncode}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def starts(folder: Path, env: dict[str, str], threads: int) -> Row:
    """Compile into an empty cache, then load from it in a second process; `shoal --help`."""
    row: Row = {}
    with tempfile.TemporaryDirectory() as empty:
        for name in ("compile", "load"):
            found = _child("start", folder, env | {"NUMBA_CACHE_DIR": empty}, threads)
            if "failed" in found:
                return found
            row[f"{name}_seconds"] = found["first_seconds"] - found["again_seconds"]
    program: Sequence[str] = [str(Path(sys.executable).parent / "shoal"), "--help"]
    row["help_seconds"] = quickest(
        lambda: clock(lambda: subprocess.run(program, capture_output=True, check=True)), 5
    )
    return row


def measure(folder: Path, env: dict[str, str], threads: int) -> Row:
    """All parts."""
    facts = json.loads((folder / "facts.json").read_text())
    row: Row = {"data": facts, "threads": threads, "cores": len(os.sched_getaffinity(0))}
    row["load_before"] = round(os.getloadavg()[0], 2)
    for part in PARTS:
        run = starts if part == "start" else _run_part(part)
        row[part] = run(folder, env, threads)
        print(part, row[part], flush=True)
    return row


def _run_part(part: str) -> Callable[[Path, dict[str, str], int], Row]:
    return lambda folder, env, threads: _child(part, folder, env, threads)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("threads", type=int)
    given = parser.parse_args()
    print(json.dumps(PARTS[given.part](given.folder, given.threads)))
