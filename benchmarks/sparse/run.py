"""Sparse models beside dense EASE: accuracy, bytes, seconds and memory. Writes sparse.md.

    SHOAL_DATA=… python benchmarks/sparse/run.py ml-1m      # about 5 minutes
    SHOAL_DATA=… python benchmarks/sparse/run.py gowalla    # dense EASE: 6.8 GB; --only mrf without
    SHOAL_DATA=… python benchmarks/sparse/run.py yelp2018
    python benchmarks/sparse/run.py scale --items 20000,200000,1000000  # synthetic; the last: hours
    python benchmarks/sparse/run.py render                  # the page, from the results

Each fit is measured in a process of its own, after a small fit that loads the kernels, and is added
to results.jsonl; a run that was interrupted continues with what is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import shoal
from shoal.models.registry import by_name, create

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness import synthetic
from benchmarks.harness.data import folder, ml_1m
from benchmarks.harness.results import Results, Row
from benchmarks.harness.synthetic import log_of
from benchmarks.peers.common import peak_rss, start_peak
from benchmarks.sparse.page import plot, render

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")

NO_LIMIT = 1_000_000  # neighbours per item: density alone is the limit
SETS: dict[str, Row] = {
    "ml-1m": {
        "metrics": ("ndcg@100", "recall@20", "ndcg@100:tail"),
        "densities": (0.001, 0.005, 0.01, 0.02, 0.05),
        "keep": (4, 9, 18, 35, 70, 175, 350),
        "l2": (100.0, 200.0, 300.0, 500.0, 700.0, 1000.0),
    },
    "gowalla": {
        "metrics": ("recall_full@20", "ndcg@20", "ndcg@100"),
        "densities": (0.001, 0.005, 0.01, 0.02),
        "keep": (10, 41, 100, 205, 410, 820),
        "l2": (80.0,),
    },
    "yelp2018": {
        "metrics": ("recall_full@20", "ndcg@20", "ndcg@100"),
        "densities": (0.001, 0.005, 0.01, 0.02),
        "keep": (10, 38, 100, 190, 380, 760),
        "l2": (300.0,),
    },
}
MRF_GRID = {"l2": (1.0, 3.0, 5.0, 10.0, 20.0, 30.0), "alpha": (0.5, 0.65, 0.75, 0.85)}
PER_ITEM = 100  # interactions per item, and neighbours, of the synthetic sets


def once(name: str, make: Callable[[], Row]) -> Row:
    """The kept result of this name, or a new one."""
    return RESULTS.once(name, make, lambda row: json.dumps(row)[:400])


def data(name: str) -> tuple[Any, Any, Any]:
    """Training, validation and test part.

    ml-1m: the split that several studies share. The others come as training and test files: a tenth
    of each user's training items is the validation part, and the training part for the test is
    whole.
    """
    if name == "ml-1m":
        parts = ml_1m()
        return parts.train, (parts.train, parts.validation), parts.test
    train, test = (shoal.read(folder(name) / f"{p}.parquet") for p in ("train", "test"))
    given = shoal.split_given(train, test)
    inner = shoal.split(train, "weak", seed=0, test=0.1, validation=0)
    return given.train, (inner.train, inner.test), given.test


def in_a_process(part: str, *arguments: str, threads: int) -> Row:
    """A part of this script, alone."""
    command = [sys.executable, str(Path(__file__)), part, *arguments, "--threads", str(threads)]
    load = round(os.getloadavg()[0], 2)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    cores = len(os.sched_getaffinity(0))
    about = {"load_before": load, "threads": threads, "cores": cores}
    return dict(json.loads(done.stdout.splitlines()[-1])) | about


def settled() -> int:
    """Start a new high-water mark once what reading the data left behind has been given back."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
    time.sleep(2)
    return start_peak()


def choose(name: str, model: str, threads: int) -> Row:
    """The settings that validate best: of EASE, and of mrf for each density (ml-1m) or the least.

    On the larger sets EASE's λ is the published one.
    """
    how, run = SETS[name], shoal.Run(threads=threads)
    _, (train, validation), _ = data(name)
    metric = how["metrics"][0] if name == "ml-1m" else "ndcg@20"
    if model == "ease":
        densities, grid = (0.0,), [{"l2": l2} for l2 in how["l2"]]
    else:
        densities = how["densities"] if name == "ml-1m" else how["densities"][:1]
        grid = [dict(zip(MRF_GRID, values, strict=True)) for values in product(*MRF_GRID.values())]
    out = []
    for density in densities:
        more = {"density": density, "neighbours": NO_LIMIT} if density else {}
        trials: list[tuple[Row, float | None]] = []
        for settings in grid:
            if len(grid) == 1:
                trials.append((settings, None))
                continue
            fitted = create(model, settings | more).fit(train, run=run)
            trials.append((settings, shoal.evaluate(fitted, validation, [metric])[metric]))
        best = max(trials, key=lambda t: t[1] or 0)[0]
        out.append({"density": density, "trials": trials, "best": best})
    return {"metric": metric, "chosen": out}


def measure(name: str, model: str, settings: list[Row], threads: int) -> list[Row]:
    """Fit and evaluate on the test part; settings that can share a fit do."""
    run = shoal.Run(threads=threads)
    train, _, test = data(name)
    few = synthetic.make(100, 40, 1000)
    by_name(model)().fit(log_of(few), run=run)  # kernels are loaded
    before = settled()
    rows: list[Row] = []
    began, shared = time.perf_counter(), 0.0
    for at, fitted in by_name(model).fit_grid(settings, train, run=run):
        seconds = time.perf_counter() - began
        shared = shared or seconds
        peak = peak_rss() - before
        found = shoal.evaluate(fitted, test, list(SETS[name]["metrics"]), run).to_dict()
        estimate = fitted.bytes_to_fit(train.size)
        weights = fitted.state().get("data", next(iter(fitted.state().values())))
        rows.append(
            found
            | {
                "given": settings[at],
                "fit_seconds": seconds if len(rows) == 0 else shared + seconds,
                "peak_bytes": peak,
                "estimate_bytes": estimate,
                "model_bytes": int(sum(a.nbytes for a in fitted.state().values())),
                "density": weights.size / train.n_items**2,
                "facts": fitted.facts,
                "items": train.n_items,
                "interactions": len(train),
            }
        )
        began = time.perf_counter()
    return rows


def one_set(name: str, only: list[str], threads: int) -> None:
    """Choose, then measure."""
    how = SETS[name]

    def wanted(model: str) -> bool:
        return not only or model in only

    def fits(label: str, model: str, settings: list[Row]) -> None:
        of = name, model, json.dumps(settings)
        once(f"{name}-{label}", partial(in_a_process, "measure", *of, threads=threads))

    def chosen(model: str) -> list[Row]:
        alone = partial(in_a_process, "choose", name, model, threads=threads)
        found: list[Row] = once(f"{name}-choose-{model}", alone)["chosen"]
        return found

    if wanted("mrf"):
        found = chosen("mrf")
        for at, density in enumerate(how["densities"]):
            best = found[min(at, len(found) - 1)]["best"]
            settings = best | {"density": density, "neighbours": NO_LIMIT}
            fits(f"mrf-{density:g}", "mrf", [settings])
        fits("mrf-default", "mrf", [{}])
    if wanted("ease") or wanted("pruned-ease"):
        best = chosen("ease")[0]["best"]
        if wanted("ease"):
            fits("ease", "ease", [best])
        if wanted("pruned-ease"):
            fits("pruned-ease", "pruned-ease", [best | {"keep": k} for k in how["keep"]])


def scale(n: int, threads: int) -> Row:
    """Seconds and bytes of one fit on a synthetic catalogue of `n` items and as many users."""
    X = synthetic.make(n, n, PER_ITEM * n)
    log = log_of(X)
    del X
    run = shoal.Run(threads=threads)
    shoal.MRF().fit(log_of(synthetic.make(100, 40, 1000)), run=run)
    model = shoal.MRF(neighbours=PER_ITEM)
    before, began, cpu = settled(), time.perf_counter(), time.process_time()
    model.fit(log, run=run)
    return {
        "items": n,
        "users": log.n_users,
        "interactions": len(log),
        "fit_seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": peak_rss() - before,
        "estimate_bytes": model.bytes_to_fit(log.size._replace(n_items=n)),
        "model_bytes": int(sum(a.nbytes for a in model.state().values())),
        "facts": model.facts,
    }


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "part", choices=[*SETS, "scale", "render", "choose", "measure", "one-scale"]
    )
    parser.add_argument("of", nargs="*", help="of choose and measure: set, model, settings")
    parser.add_argument("--only", default="", help="by commas: mrf,ease,pruned-ease")
    parser.add_argument("--items", default="20000,50000,100000,200000")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    if given.part in ("choose", "measure", "one-scale"):
        if given.part == "choose":
            found = choose(given.of[0], given.of[1], given.threads)
        elif given.part == "measure":
            rows = measure(given.of[0], given.of[1], json.loads(given.of[2]), given.threads)
            found = {"rows": rows}
        else:
            found = scale(int(given.of[0]), given.threads)
        print(json.dumps(found))
        return
    if given.part in SETS:
        one_set(given.part, [m for m in given.only.split(",") if m], given.threads)
    elif given.part == "scale":
        for n in given.items.split(","):
            alone = partial(in_a_process, "one-scale", n, threads=given.threads)
            once(f"scale-{n}", alone)
    (HERE / "sparse.md").write_text(render(RESULTS, SETS))
    plot(RESULTS, SETS, HERE / "sparse.png")


if __name__ == "__main__":
    main()
