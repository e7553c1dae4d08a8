"""One recommendation inside the process, beside what the machine needs for it. Writes inside.md.

    python benchmarks/serving/inside.py run             # a minute, once catalogue.py has been run
    python benchmarks/serving/inside.py run --short     # a small catalogue, to try the script
    python benchmarks/serving/inside.py render

`recommend(model, ids, k=10)` from ids to titles, for 2,000 histories of 20 items, after `warm_up`.
The bare product is the least that any program could do with numpy: the sum of 20 rows of B (EASE),
or of V times Vᵀ (ELSA), the history left out, and `argpartition`; it knows no ids, and returns no
titles. Both are timed in turn, 100 histories each, in a process of one thread for each model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from benchmarks.serving.catalogue import HISTORY, Catalogue, K

HERE = Path(__file__).parent
MODELS = {"ease": "EASE", "elsa": "ELSA, 512 factors"}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
REPEATS = 3  # times that all histories are asked about
IN_A_ROW = 100  # histories before the other is timed, which leaves other arrays in the caches

HEAD = f"""# One recommendation inside the process

Written by `benchmarks/serving/inside.py`; no figure here is typed by hand.

    python benchmarks/serving/inside.py run

`recommend(model, ids, k={K})` for histories of {HISTORY} items, from ids to titles, after
`warm_up`, in one thread. *Bare* is the product and `argpartition` in numpy alone, without ids,
rules, the order of equal scores or titles, timed in turn with it in the same process. *Warm-up*
compiles nothing: the kernels are on the disk.
"""


def times_of(*actions: Callable[[Any], object], asked: list[Any]) -> list[np.ndarray[Any, Any]]:
    """Seconds of each action for each thing that is asked, the actions in turn."""
    taken = np.empty((len(actions), len(asked)))
    for begin in range(0, len(asked), IN_A_ROW):
        for number, action in enumerate(actions):
            for place in range(begin, min(len(asked), begin + IN_A_ROW)):
                began = time.perf_counter()
                action(asked[place])
                taken[number, place] = time.perf_counter() - began
    return list(taken)


def summary(seconds: np.ndarray[Any, Any]) -> Row:
    """Median and 99th percentile, in milliseconds."""
    return {
        "median_ms": float(np.median(seconds) * 1e3),
        "p99_ms": float(np.percentile(seconds, 99) * 1e3),
    }


def bare_product(model: Any) -> Callable[[list[int]], Any]:
    """The least that numpy can do: scores of all items and the positions of the best."""
    factors = not hasattr(model, "weights")
    matrix = model.vectors() if factors else model.weights

    def best(codes: list[int]) -> Any:
        scores = matrix[codes].sum(axis=0)
        if factors:
            scores = scores @ matrix.T
        scores[codes] = -np.inf
        return np.argpartition(-scores, K)[:K]

    return best


def measured(catalogue: Catalogue, name: str) -> Row:
    """The figures of one model, in this process."""
    import shoal
    from shoal.inference import warm_up

    model = shoal.load(catalogue.model(name))
    run = shoal.Run(threads=1)
    load = os.getloadavg()[0]
    histories = catalogue.histories()
    codes = [model.items.lookup(history).tolist() for history in histories]
    asked = list(zip(histories, codes, strict=True)) * REPEATS

    def recommend(pair: Any) -> Any:
        return shoal.recommend(model, pair[0], K, run=run)

    best_of_codes = bare_product(model)

    def bare(pair: Any) -> Any:
        return best_of_codes(pair[1])

    row: Row = {"model": name, "items": model.n_items, "histories": len(histories)}
    if name == "elsa":  # without the copy of the vectors in 8 bits
        recommend(asked[0])
        row["without_copy"] = summary(times_of(recommend, asked=asked[: len(histories)])[0])
    began = time.perf_counter()
    warm_up(model, run)
    row["warm_up_seconds"] = time.perf_counter() - began
    of_shoal, of_numpy = times_of(recommend, bare, asked=asked)
    row |= {"recommend": summary(of_shoal), "bare": summary(of_numpy)}

    def with_reasons(pair: Any) -> Any:
        return shoal.recommend(model, pair[0], K, because=True, run=run)

    row["with_reasons"] = summary(times_of(with_reasons, asked=asked[: len(histories)])[0])
    row["per_second"] = {}
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            list(pool.map(recommend, asked[: len(histories)]))
            row["per_second"][str(threads)] = len(histories) / (time.perf_counter() - began)
    return row | {"load_before": round(load, 2), "cores": len(os.sched_getaffinity(0))}


def run(results: Results, *, short: bool) -> None:
    """Measure each model in a process of its own."""
    for name in MODELS:
        command = [sys.executable, __file__, "model", "--model", name, *["--short"] * short]
        environment = os.environ | ONE_THREAD
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr[-2_000:]}")
        row = json.loads(done.stdout.splitlines()[-1])
        results.save(name, row)
        print(name, row["recommend"], row["bare"], flush=True)


def render(results: Results) -> str:
    """The page."""
    rows = [row for name in MODELS if (row := results.get(name)) is not None]
    if not rows:
        return HEAD + "\nNot yet run.\n"
    page = HEAD + (
        f"\n{rows[0]['items']:,} items, {rows[0]['histories']:,} histories, each asked about "
        f"{REPEATS} times; {rows[0]['cores']} cores, of which one is used. Milliseconds.\n\n"
        "| model | median | p99 | bare: median | bare: p99 | with all reasons | warm-up, s |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    for row in rows:
        cells = [
            f"{row[part][figure]:.2f}"
            for part in ("recommend", "bare")
            for figure in ("median_ms", "p99_ms")
        ]
        cells += [f"{row['with_reasons']['median_ms']:.2f}", f"{row['warm_up_seconds']:.1f}"]
        page += f"| {MODELS[row['model']]} | {' | '.join(cells)} |\n"
    page += "\nAnswers per second from one process with one and two threads of Python: "
    page += "; ".join(
        f"{MODELS[row['model']]} {row['per_second']['1']:,.0f} and {row['per_second']['2']:,.0f}"
        for row in rows
    )
    for row in rows:
        if "without_copy" in row:
            page += (
                f".\n\n{MODELS[row['model']]} ranks one history by a copy of the item vectors in 8 "
                "bits, which `warm_up` makes, and with the same result; without the copy the "
                f"median is {row['without_copy']['median_ms']:.2f}"
            )
    loads = ", ".join(str(row["load_before"]) for row in rows)
    return page + f".\n\nLoad of the machine before each: {loads}.\n"


def main() -> None:
    """Run, then write the page; or one model, for the process that asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["run", "render", "model"])
    parser.add_argument("--model", choices=list(MODELS), default="ease")
    parser.add_argument("--short", action="store_true", help="a small catalogue")
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results and page")
    given = parser.parse_args()
    if given.part == "model":
        catalogue = Catalogue("short" if given.short else "full")
        print(json.dumps(measured(catalogue, given.model)))
        return
    results = Results(given.results / "inside.jsonl")
    if given.part == "run":
        run(results, short=given.short)
    (given.results / "inside.md").write_text(render(results))


if __name__ == "__main__":
    main()
