"""Accuracy on real data, beside the published figures. Writes accuracy.md.

    SHOAL_DATA=… python benchmarks/accuracy/run.py lightgcn      # about 2 hours on 2 cores, 8 GB
    SHOAL_DATA=… python benchmarks/accuracy/run.py ml-1m         # about 3 minutes
    python benchmarks/accuracy/run.py render                     # the page alone, from the results

Each result is added to results.jsonl as soon as it is there; a run that was interrupted continues
with what is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import shoal

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.accuracy.page import readme_block, render
from benchmarks.harness import data
from benchmarks.harness.page import README, fill
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")

# research literature: BARS leaderboard for EASE; the others by the hyper-parameters of
# github.com/jaewan7599/RDLAE_SIGIR2023 (weak) and github.com/psm1206/DAN
PUBLISHED = {"gowalla": {"ease": (0.1765, 0.1467)}, "yelp2018": {"ease": (0.0657, 0.0552)}}

# (label, model, settings); in the order of what one wants to know first
LIGHTGCN: dict[str, list[tuple[str, str, dict[str, float]]]] = {
    "gowalla": [
        ("EASE", "ease", {"l2": 80}),
        ("EDLAE + DAN", "edlae", {"l2": 20, "dropout": 0.6, "alpha": 0.2, "beta": 0.3}),
        ("RDLAE", "rdlae", {"l2": 80, "dropout": 0.8, "xi": 0.09}),
        ("RLAE", "rlae", {"l2": 100, "xi": 0.2}),
        ("EDLAE", "edlae", {"l2": 60, "dropout": 0.8}),
        ("DLAE", "dlae", {"l2": 60, "dropout": 0.9}),
        ("RDLAE + DAN", "rdlae", {"l2": 20, "dropout": 0.6, "xi": 0.1, "alpha": 0.2, "beta": 0.3}),
        ("DLAE + DAN", "dlae", {"l2": 20, "dropout": 0.5, "alpha": 0.2, "beta": 0.3}),
        ("LAE", "lae", {"l2": 500}),
    ],
    "yelp2018": [
        ("EASE", "ease", {"l2": 300}),
        ("EDLAE + DAN", "edlae", {"l2": 20, "dropout": 0.7, "alpha": 0.3, "beta": 0.3}),
        ("RDLAE", "rdlae", {"l2": 200, "dropout": 0.7, "xi": 0.2}),
        ("RLAE", "rlae", {"l2": 300, "xi": 0.4}),
        ("EDLAE", "edlae", {"l2": 200, "dropout": 0.6}),
        ("DLAE", "dlae", {"l2": 200, "dropout": 0.7}),
        ("RDLAE + DAN", "rdlae", {"l2": 20, "dropout": 0.7, "xi": 0.1, "alpha": 0.3, "beta": 0.3}),
        ("DLAE + DAN", "dlae", {"l2": 50, "dropout": 0.7, "alpha": 0.3, "beta": 0.2}),
        ("LAE", "lae", {"l2": 500}),
    ],
}
LIGHTGCN_METRICS = ["recall_full@20", "ndcg@20", "recall_full@20:head", "recall_full@20:tail"]


def once(name: str, make: Callable[[], Row]) -> Row:
    """The kept result of this name, or a new one."""
    return RESULTS.once(name, make, lambda row: json.dumps(row["metrics"]))


def measure(model: Any, split: Any, metrics: list[str]) -> Row:
    """Fit on the training part and evaluate on the test part."""
    began = time.perf_counter()
    model.fit(split.train)
    fit_seconds = time.perf_counter() - began
    found = shoal.evaluate(model, split.test, metrics).to_dict()
    return found | {"fit_seconds": round(fit_seconds, 1), "facts": model.facts}


def lightgcn(first: int) -> None:
    """Gowalla and Yelp2018 in the split of the LightGCN paper, hyper-parameters as published."""
    splits = {}
    for at in range(first):
        for name, runs in LIGHTGCN.items():
            if at >= len(runs):
                continue
            label, model, settings = runs[at]

            def make(name: str = name, model: str = model, settings: Any = settings) -> Row:
                if name not in splits:
                    splits[name] = data.lightgcn(name)
                from shoal.models.registry import create

                return measure(create(model, settings), splits[name], LIGHTGCN_METRICS)

            once(f"{name}-{label.lower().replace(' + ', '-')}", make)


ML1M_METRICS = [
    *("ndcg@100", "recall@20", "recall@50", "ndcg@100:head", "ndcg@100:tail", "coverage@100"),
]
ML1M_MODELS = ("popularity", "item-knn", "lae", "ease", "rlae", "dlae", "edlae", "rdlae")
ML1M_GRID: dict[str, dict[str, list[Any]]] = {
    "item-knn": {"k": [20, 50, 100, 200, 400], "shrink": [0, 10, 50, 200]},
    "lae": {"l2": [500, 1000, 2000, 5000, 10_000, 20_000]},
    "ease": {"l2": [50, 100, 200, 300, 500, 700, 1000, 2000]},
    "rlae": {"l2": [100, 200, 300, 500, 700, 1000, 2000], "xi": [0.1, 0.2, 0.3, 0.4, 0.6]},
    "dlae": {"l2": [10, 50, 100, 200, 500], "dropout": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
    "edlae": {"l2": [10, 50, 100, 200, 500], "dropout": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
    "rdlae": {
        "l2": [10, 50, 100, 200, 500],
        "dropout": [0.1, 0.2, 0.3, 0.4],
        "xi": [0.1, 0.2, 0.3, 0.5],
    },
}
DAN_GRID = {"alpha": [0.0, 0.1, 0.2, 0.3], "beta": [0.0, 0.2, 0.4, 0.6]}


def ml_1m() -> None:
    """MovieLens-1M, strong generalisation, rating ≥ 4; chosen on validation users."""
    split = data.ml_1m()
    assert split.validation is not None

    def chosen(name: str, fixed: dict[str, Any], grid: dict[str, list[Any]]) -> Row:
        found = shoal.tune(name, split.train, split.validation, grid=grid, fixed=fixed)
        return measure(found.model, split, ML1M_METRICS) | {
            "validation": found.best.score,
            "trials": len(found.trials),
            "protocol": split.test.name,
            "split": {"train": len(split.train), "users": split.train.n_users},
        }

    for name in ML1M_MODELS:
        once(f"ml-1m-{name}", partial(chosen, name, {}, ML1M_GRID.get(name, {})))
    ease = once("ml-1m-ease", dict)
    clipped = {"l2": ease["parameters"]["l2"], "nonnegative": True}
    once("ml-1m-ease-nonnegative", partial(chosen, "ease", clipped, {}))
    for name in ("ease", "edlae", "rdlae"):
        best = once(f"ml-1m-{name}", dict)["parameters"]
        fixed = {k: v for k, v in best.items() if k not in ("alpha", "beta", "nonnegative", "l2")}
        grid = DAN_GRID | {"l2": sorted({best["l2"], best["l2"] / 3, best["l2"] / 10})}
        once(f"ml-1m-{name}-dan", partial(chosen, name, fixed, grid))


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["lightgcn", "ml-1m", "render"])
    parser.add_argument("--first", type=int, default=9, help="lightgcn: so many models each")
    chosen = parser.parse_args()
    if chosen.part == "lightgcn":
        lightgcn(chosen.first)
    elif chosen.part == "ml-1m":
        ml_1m()
    (HERE / "accuracy.md").write_text(render(RESULTS, LIGHTGCN, PUBLISHED))
    fill(README, "accuracy", readme_block(RESULTS, LIGHTGCN, PUBLISHED))


if __name__ == "__main__":
    main()
