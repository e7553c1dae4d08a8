"""Models from singular values and item graphs: accuracy per byte, and on the LightGCN splits.

    SHOAL_DATA=… python benchmarks/spectral/run.py ml-1m      # spectral-ease beside ELSA, by size
    SHOAL_DATA=… python benchmarks/spectral/run.py lightgcn   # tuned on a share of train, then test
    SHOAL_DATA=… python benchmarks/spectral/run.py published  # filters as their authors set them
    SHOAL_DATA=… python benchmarks/spectral/run.py long       # ELSA with more factors and epochs
    python benchmarks/spectral/run.py render                  # the page, from the results

`--only gowalla`, `--only gf-cf` or both by commas take a part. Each fit is added to results.jsonl
as soon as it is there; a run that was interrupted continues with what is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import shoal
from shoal.models.registry import create

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness import data
from benchmarks.harness.results import Results, Row
from benchmarks.spectral.grids import (
    AS_PUBLISHED,
    BY_RANK,
    GRID,
    LONG,
    METRICS,
    ML1M_METRICS,
    RANKS,
    SHARE,
    best,
)
from benchmarks.spectral.page import render

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")


ml_1m, lightgcn = cache(data.ml_1m), cache(data.lightgcn)


def measure(model: Any, train: Any, validation: Any, judge: Callable[[Any], Row]) -> Row:
    """Fit, and say what it took and what it is worth."""
    load, began, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
    model.fit(train, validation)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return judge(model) | {
        "fit_seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "bytes": int(sum(a.nbytes for a in model.state().values())),
        "facts": model.facts,
        "load_before": round(load, 2),
        "cores": len(os.sched_getaffinity(0)),
    }


def once(name: str, make: Callable[[], Row]) -> Row:
    """The kept result of this name, or a new one."""
    return RESULTS.once(name, make, lambda row: f"{row['metrics']} {row['fit_seconds']} s")


def by_rank(rank: int, label: str, at: int) -> Row:
    """One fit on MovieLens-1M, with its validation and its test."""
    name, tried = BY_RANK[label]
    given = tried[at] | {"factors": rank}

    def make() -> Row:
        split = ml_1m()
        assert split.validation is not None

        def judge(model: Any) -> Row:
            assert split.validation is not None
            value = shoal.evaluate(model, split.validation, ["ndcg@100"])["ndcg@100"]
            found = shoal.evaluate(model, split.test, list(ML1M_METRICS)).to_dict()
            return found | {"validation": value, "given": given}

        return measure(create(name, given), split.train, split.validation, judge)

    return once(f"ml-1m-{label}-{rank}-{at}", make)


def on(dataset: str, label: str, given: Row, name: str, *, test: bool) -> Row:
    """One fit on a LightGCN split: on the rest of train for validation, on all of it for test."""

    def make() -> Row:
        split = lightgcn(dataset, 0.0 if test else SHARE)
        held_out = split.test if test else split.validation
        assert held_out is not None

        def judge(model: Any) -> Row:
            return shoal.evaluate(model, held_out, list(METRICS)).to_dict() | {"given": given}

        return measure(create(label, given), split.train, None, judge)

    return once(f"{dataset}-{label}-{name}", make)


def wanted(names: Any, only: list[str]) -> list[str]:
    """The names that are asked for: all, if none of them is."""
    chosen = [name for name in names if name in only]
    return chosen or list(names)


def run(part: str, only: list[str]) -> None:
    """Fit what is missing of a part."""
    if part == "ml-1m":
        for label in wanted(BY_RANK, only):
            for rank in RANKS:
                for at in range(len(BY_RANK[label][1])):
                    by_rank(rank, label, at)
    for dataset in wanted(AS_PUBLISHED, only):
        if part == "published":
            for label in wanted(AS_PUBLISHED[dataset], only):
                on(dataset, label, AS_PUBLISHED[dataset][label], "published", test=True)
        if part == "long":
            for label in wanted(LONG, only):
                name = label.split("-")[0]
                on(dataset, name, LONG[label], f"long-{LONG[label]['factors']}", test=True)
        if part == "lightgcn":
            for label in wanted(GRID, only):
                tried = [
                    on(dataset, label, given, str(at), test=False)
                    for at, given in enumerate(GRID[label])
                ]
                on(dataset, label, best(tried)["given"], "test", test=True)


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["ml-1m", "lightgcn", "published", "long", "render"])
    parser.add_argument("--only", default="", help="data sets and models, by commas")
    chosen = parser.parse_args()
    if chosen.part != "render":
        run(chosen.part, [name for name in chosen.only.split(",") if name])
    (HERE / "spectral.md").write_text(render(RESULTS))


if __name__ == "__main__":
    main()
