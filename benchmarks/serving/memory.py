"""How much memory several processes take that load one model. Writes memory.md.

    python benchmarks/serving/memory.py run      # a minute, 2 GB of memory
    python benchmarks/serving/memory.py render   # the page, from the results

Two processes load the live version of a store one after the other, and each answers a request. Then
both load a second version beside the first, as a service does before it swaps, answer from it, and
let the first go. Numbers are those of /proc/PID/smaps_rollup.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "memory.jsonl")
ITEMS = 10_000
WORKERS = 2
STAGES = {
    "before": "before the model",
    "loaded": "one version, answered from",
    "beside": "two versions, answered from",
    "swapped": "the second alone",
}

HEAD = """# Memory of several processes with one model

Written by `benchmarks/serving/memory.py`; no figure here is typed by hand.

    python benchmarks/serving/memory.py run

EASE of {items:,} items, {megabytes:,.0f} MB of arrays, in a store; {workers} processes load it, and
later a second version beside it. *Private* is what a process holds alone; *PSS* counts each shared
page in equal parts for those that share it, so that the sum over all processes is what they take
together. The load compares all hashes and checks all numbers.
"""


def make_store(place: Path) -> int:
    """Publish two models of random numbers; gives the bytes of the arrays of one."""
    import polars as pl

    import shoal
    from shoal.artifact import Store
    from shoal.base.weights import DenseWeights

    log = shoal.read(pl.DataFrame({"user": np.arange(ITEMS) // 2, "item": np.arange(ITEMS)}))
    rng = np.random.default_rng(0)
    for _ in range(2):
        model = shoal.EASE()
        model._weights = DenseWeights(rng.normal(size=(ITEMS, ITEMS)).astype(np.float32))
        model.take_catalogue(log)
        Store(place, create=True).publish(model)
    return 4 * ITEMS**2


def held() -> Row:
    """What this process holds, in bytes."""
    fields = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        name, value, _ = line.split()
        fields[name.rstrip(":")] = int(value) * 1024
    private = fields["Private_Dirty"] + fields["Private_Clean"]
    return {"rss": fields["Rss"], "pss": fields["Pss"], "private": private}


def work(store: str, mapped: bool) -> None:
    """Load and answer, stage by stage, each when a line comes in."""
    import shoal
    from shoal.artifact import Store

    names = sorted(v.name for v in Store(store).versions())
    models: list[shoal.Recommender] = []
    for stage in STAGES:
        sys.stdin.readline()
        began = time.perf_counter()
        if stage in ("loaded", "beside"):
            models.append(shoal.load(Path(store) / names[len(models)], mapped=mapped))
        elif stage == "swapped":
            del models[0]
            gc.collect()
        if models:
            shoal.recommend(models[-1], models[-1].items.take([0, 1]), 10)
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
        sys.stdin.readline()
        print(json.dumps(held()), flush=True)
    sys.stdin.readline()  # what is shared stays so until all have said what they hold


def measured(store: Path, mapped: bool) -> Row:
    """The memory of all workers in each stage."""
    command = [sys.executable, __file__, "work", str(store), str(int(mapped))]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(WORKERS)
    ]

    def ask(worker: subprocess.Popen[str]) -> Row:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
        row: Row = json.loads(worker.stdout.readline())
        return row

    stages: Row = {}
    for stage in STAGES:
        times = [ask(worker) for worker in workers]
        stages[stage] = [t | ask(w) for t, w in zip(times, workers, strict=True)]
    for worker in workers:
        worker.communicate()
    return {"stages": stages}


def render() -> str:
    """The page."""
    size = (RESULTS.get("arrays") or {})["bytes"]
    page = HEAD.format(items=ITEMS, megabytes=size / 1e6, workers=WORKERS)
    for how in ("mapped", "read"):
        row = RESULTS.get(how) or {}
        page += f"\n## Arrays that are {how}\n\n"
        page += "| stage | seconds | private of each, MB | RSS of each, MB | PSS of all, MB |\n"
        page += "|---|---|---|---|---|\n"
        for stage, name in STAGES.items():
            rows = row["stages"][stage]
            cells = [
                " / ".join(f"{r['seconds']:.2f}" for r in rows),
                *(" / ".join(f"{r[k] / 1e6:,.0f}" for r in rows) for k in ("private", "rss")),
                f"{sum(r['pss'] for r in rows) / 1e6:,.0f}",
            ]
            page += f"| {name} | {' | '.join(cells)} |\n"
    return page


def main() -> None:
    """Run, then write the page; or work, for the process that measures."""
    if sys.argv[1:2] == ["work"]:
        work(sys.argv[2], sys.argv[3] == "1")
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "render"])
    if parser.parse_args().part == "run":
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "store"
            RESULTS.save("arrays", {"bytes": make_store(store)})
            for how in ("mapped", "read"):
                RESULTS.save(how, measured(store, how == "mapped"))
    (HERE / "memory.md").write_text(render())


if __name__ == "__main__":
    main()
