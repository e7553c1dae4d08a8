"""shoal's fit and recommend-all on the real catalogues of the LightGCN splits, by the clock.

Data come from the folder that the environment variable SHOAL_DATA names. The peers are not run: the
one that takes least memory on the small shape takes 2.9 × 4n² bytes: 19 GB at 41,000 items.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness import data
from benchmarks.harness.results import Row
from benchmarks.peers.common import peak_rss, start_peak

SETS = {"gowalla": 80.0, "yelp2018": 300.0}  # λ of EASE there (BARS)
K = 20


def one(name: str, threads: int) -> Row:
    """Read, fit, recommend to everyone, evaluate."""
    import polars as pl

    import shoal
    from shoal.splitting.split import split_given

    folder = data.folder(name)
    run = shoal.Run(threads=threads)
    few_rows = pl.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 2, 3]})
    few = shoal.EASE(l2=10).fit(shoal.read(few_rows), run=run)
    del few  # kernels are loaded
    clock = [time.perf_counter()]
    logs = [shoal.read(folder / f"{part}.parquet") for part in ("train", "test")]
    clock.append(time.perf_counter())
    split = split_given(*logs)
    estimate = shoal.EASE().bytes_to_fit(split.train.size)
    before = start_peak()
    clock.append(time.perf_counter())
    model = shoal.EASE(l2=SETS[name]).fit(split.train, run=run)
    clock.append(time.perf_counter())
    peak = peak_rss() - before
    rows = shoal.recommend_all(model, split.train, K, run=run).height
    clock.append(time.perf_counter())
    found = shoal.evaluate(model, split.test, f"recall_full@{K},ndcg@{K}", run)
    clock.append(time.perf_counter())
    return {
        "items": split.train.n_items,
        "users": split.train.n_users,
        "interactions": len(split.train),
        "l2": SETS[name],
        "read_seconds": clock[1] - clock[0],
        "fit_seconds": clock[3] - clock[2],
        "recommend_seconds": clock[4] - clock[3],
        "evaluate_seconds": clock[5] - clock[4],
        "recommended_rows": rows,
        "fit_peak_bytes": peak,
        "estimate_bytes": estimate,
        "recall_full@20": found["recall_full@20"],
        "ndcg@20": found["ndcg@20"],
        "residual": model.facts["residual"],
    }


def measure(env: dict[str, str], threads: int) -> Row:
    """Each set in a process of its own."""
    rows = {}
    for name in SETS:
        command = [sys.executable, str(Path(__file__)), name, str(threads)]
        load = round(os.getloadavg()[0], 2)
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr[-2_000:], file=sys.stderr)
            continue
        rows[name] = json.loads(done.stdout.splitlines()[-1]) | {"load_before": load}
        print(name, rows[name], flush=True)
    return {"threads": threads, "cores": len(os.sched_getaffinity(0)), "sets": rows}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=list(SETS))
    parser.add_argument("threads", type=int)
    chosen = parser.parse_args()
    print(json.dumps(one(chosen.name, chosen.threads)))
