"""Fits by columns and evaluation by blocks of users on Ray, beside the same in one thread here.

    python benchmarks/cluster/columns.py mrf               # or slim, item-knn, evaluate, dense
    python benchmarks/cluster/columns.py all
    python benchmarks/cluster/columns.py mrf --size tiny   # tries the script

Each of three measurements runs in a process of its own and adds a line to columns.jsonl: one thread
of this process (`local`), a Ray of one node with one core (`ray-1`: what Ray costs), and a Ray of
two nodes with one core each (`ray-2`: what a second one brings, and the bytes that went between
them). SHOAL_DATA names the folder of Gowalla. The machine should do nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.cluster.gram import Stopwatch, loopback, machine, nodes, one_node
from benchmarks.harness.data import lightgcn
from benchmarks.harness.peers import environment
from benchmarks.harness.results import Results, Row

RESULTS = Results(Path(__file__).parent / "columns.jsonl")
STORE = 2 * 2**30
HOW = ("local", "ray-1", "ray-2")
NEIGHBOURS = 100


def models() -> dict[str, tuple[Callable[[], Any], int | None]]:
    """Each fit that is measured: a new model, and the memory budget."""
    from shoal.models.item_knn import ItemKNN
    from shoal.models.mrf import MRF
    from shoal.models.slim import SLIM

    return {
        "mrf": (MRF, None),
        # XᵀX of 40,981 items does not fit 3 GB, so the columns are solved from X
        "slim": (lambda: SLIM(l1=0.5, l2=20, neighbours=NEIGHBOURS), 3 * 10**9),
        "item-knn": (lambda: ItemKNN(k=NEIGHBOURS), None),
    }


@contextmanager
def executor_of(how: str) -> Iterator[Any]:
    """Nothing for a fit here, or a Ray."""
    with (
        nullcontext()
        if how == "local"
        else one_node(1, STORE)
        if how == "ray-1"
        else nodes(2, STORE) as executor
    ):
        yield executor


def split_of(size: str, kind: str = "") -> Any:
    """Gowalla, or a generated log: a tiny one, or many users of few items."""
    import shoal
    from shoal.datasets.synthetic import SyntheticLog

    if size == "full" and kind != "dense":
        return lightgcn("gowalla")
    sizes = (150_000, 6_000, 6_000_000) if size == "full" else (20_000, 1_500, 1_000_000)
    return shoal.split(SyntheticLog(*sizes).interactions(), test=0.4, validation=0.0)


def processor_seconds() -> float:
    """Seconds of a core that this process and all below it have taken, those of Ray among them."""
    here, total = psutil.Process(), 0.0
    for process in (here, *here.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


@contextmanager
def cost() -> Iterator[Row]:
    """Seconds, seconds of a core, and bytes over the loopback device, of what is inside."""
    found: Row = {}
    moved, busy, began = loopback(), processor_seconds(), time.perf_counter()
    yield found
    found["seconds"] = time.perf_counter() - began
    found["processor_seconds"] = processor_seconds() - busy
    found["loopback"] = loopback() - moved


def fit(name: str, how: str, size: str) -> Row:
    """One fit, after kernels were compiled by a tiny one."""
    from shoal.run import Run

    make, memory = models()[name]
    log, tiny = split_of(size).train, split_of("tiny").train
    with executor_of(how) as executor:
        make().fit(tiny, run=Run(threads=1, memory=memory, executor=executor))
        watch = Stopwatch()
        run = Run(threads=1, memory=memory, executor=executor, progress=watch)
        with cost() as found:
            make().fit(log, run=run)
    return found | {"steps": watch.seconds}


def evaluation(kind: str, how: str, size: str) -> Row:
    """The evaluation of a sparse model on Gowalla, or of a dense one on a generated log."""
    import shoal
    from shoal.models.mrf import MRF
    from shoal.run import Run

    parts, one = split_of(size, kind), Run(threads=1)
    model = shoal.EASE(l2=300) if kind == "dense" else MRF(neighbours=NEIGHBOURS)
    model.fit(parts.train, run=Run(threads=2))
    tiny = split_of("tiny")
    small = type(model)(**model.model_dump()).fit(tiny.train, run=one)
    with executor_of(how) as executor:
        shoal.evaluate(small, tiny.test, run=Run(threads=1, executor=executor))
        with cost() as found:
            scores = shoal.evaluate(model, parts.test, run=Run(threads=1, executor=executor))
    return found | {
        "users": parts.test.n_users,
        "bytes_of_model": sum(array.nbytes for array in model.state().values()),
        "ndcg@100": scores["ndcg@100"],
    }


def measured(study: str, how: str, size: str) -> Row:
    """One measurement, in this process."""
    if study in ("evaluate", "dense"):
        return evaluation(study, how, size)
    return fit(study, how, size)


def main() -> None:
    """Measure a study in its three ways."""
    studies = ["mrf", "slim", "item-knn", "evaluate", "dense"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=[*studies, "all"])
    parser.add_argument("--size", choices=["full", "tiny"], default="full")
    parser.add_argument("--child", choices=HOW, help="measure here, print the result")
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(measured(chosen.study, chosen.child, chosen.size)))
        return
    for study in studies if chosen.study == "all" else [chosen.study]:
        for how in HOW:
            about = machine()
            command = [sys.executable, __file__, study, "--size", chosen.size, "--child", how]
            done = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, check=True, env=environment(2)
            )
            row = about | json.loads(done.stdout.splitlines()[-1])
            print(study, how, json.dumps(row), flush=True)
            if chosen.size == "full":
                RESULTS.save(f"{study}, {how}", row)


if __name__ == "__main__":
    main()
