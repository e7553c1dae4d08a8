"""Models from singular values and item graphs: accuracy per byte, and on the LightGCN splits.

    SHOAL_DATA=… python benchmarks/spectral.py ml-1m       # spectral-ease beside ELSA, by size
    SHOAL_DATA=… python benchmarks/spectral.py lightgcn    # tuned on a share of train, then test
    SHOAL_DATA=… python benchmarks/spectral.py published   # GF-CF and Turbo-CF as published
    python benchmarks/spectral.py render                   # the page, from the results

`--only gowalla`, `--only gf-cf` or both by commas take a part. Each fit is one file in
benchmarks/results/spectral/, written as soon as it is there; a run that was interrupted continues
with what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import shoal
from shoal.models.registry import create

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "spectral"
Row = dict[str, Any]

RANKS = (32, 64, 128, 256, 512)
ML1M_METRICS = ("ndcg@100", "recall@20", "ndcg@100:head", "ndcg@100:tail")
METRICS = ("recall_full@20", "ndcg@20")
SHARE = 0.1  # of each user's training items, for validation


def settings(**values: list[Any]) -> list[Row]:
    """All combinations."""
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


# label: model, settings that are tried; `factors` is added
BY_RANK: dict[str, tuple[str, list[Row]]] = {
    "spectral-ease": (
        "spectral-ease",
        settings(l2=[100.0, 200.0, 400.0, 800.0], gamma=[0.5], beta=[0.0, 0.4, 0.8]),
    ),
    "spectral-ease-even": (
        "spectral-ease",
        settings(l2=[200.0, 400.0, 800.0, 1600.0], gamma=[0.0], beta=[0.0]),
    ),
    "elsa": ("elsa", [{"patience": 5}]),
}

# The authors' own: github.com/yshenaw/GF_CF and github.com/jindeok/Turbo-CF
AS_PUBLISHED: dict[str, dict[str, Row]] = {
    "gowalla": {
        "gf-cf": {"alpha": 0.3, "factors": 256},
        "turbo-cf": {"a": 0.6, "s": 0.7, "filter": 1},
    },
    "yelp2018": {
        "gf-cf": {"alpha": 0.3, "factors": 256},
        "turbo-cf": {"a": 0.6, "s": 1.0, "filter": 2},
    },
}
# recall_full@20, ndcg@20; None: not at hand
ANCHORS: dict[str, list[tuple[str, float, float | None, str]]] = {
    "gowalla": [
        ("GF-CF", 0.1849, 0.1518, "Shen et al. 2021"),
        ("Turbo-CF", 0.1835, None, "Park et al. 2024"),
        ("LightGCN", 0.1820, 0.1547, "BARS"),
        ("EASE", 0.1765, 0.1467, "BARS"),
        ("ItemCF", 0.1570, 0.1214, "BARS"),
    ],
    "yelp2018": [
        ("GF-CF", 0.0697, 0.0571, "Shen et al. 2021"),
        ("Turbo-CF", 0.0693, 0.0574, "Park et al. 2024"),
        ("EASE", 0.0657, 0.0552, "BARS"),
        ("LightGCN", 0.0653, 0.0532, "BARS"),
        ("ItemCF", 0.0639, 0.0531, "BARS"),
    ],
}
GRID: dict[str, list[Row]] = {
    "popularity": [{}],
    "item-knn": settings(k=[20, 100, 400], shrink=[0.0, 10.0]),
    "gf-cf": settings(alpha=[0.15, 0.3, 0.5], factors=[128, 256]),
    "turbo-cf": settings(a=[0.5, 0.6, 0.7], s=[0.7, 1.0, 1.3]),
    "spectral-ease": settings(
        factors=[256, 512], l2=[5.0, 20.0, 80.0], gamma=[0.5], beta=[0.4, 0.8]
    )
    + settings(factors=[256, 512], l2=[100.0, 300.0, 1000.0], gamma=[1.0], beta=[0.8]),
    "mrf": settings(l2=[3.0, 10.0, 30.0], alpha=[0.5, 0.75], neighbours=[200]),
    "elsa": settings(factors=[256], sampled=[8192], n_epochs=[5, 15], lr=[0.03, 0.1]),
}


def data(name: str) -> Path:
    """Folder of a data set under SHOAL_DATA."""
    root = os.environ.get("SHOAL_DATA")
    if not root:
        raise SystemExit("set SHOAL_DATA to the folder that holds ml-1m/, gowalla/ and yelp2018/")
    return Path(root) / name


@cache
def ml_1m() -> shoal.Split:
    """The split of accuracy.py and depth.py."""
    path = data("ml-1m") / "interactions.parquet"
    return shoal.split(shoal.read(path, min_value=4, min_user_items=5), "strong", seed=0)


@cache
def lightgcn(name: str, share: float) -> shoal.Split:
    """The split of the LightGCN paper; a share of each user's training items for validation."""
    parts = [shoal.read(data(name) / f"{part}.parquet") for part in ("train", "test")]
    return shoal.given(*parts, validation=share, seed=0)


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
    path = RESULTS / f"{name}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    row = make()
    RESULTS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1, sort_keys=True) + "\n")
    print(f"{path.stem}: {row['metrics']} {row['fit_seconds']} s", flush=True)
    return row


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


def best(rows: list[Row]) -> Row:
    """The row that validates best by NDCG@20."""
    return max(rows, key=lambda row: row["metrics"]["ndcg@20"]["mean"])


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
    parser.add_argument("part", choices=["ml-1m", "lightgcn", "published", "render"])
    parser.add_argument("--only", default="", help="data sets and models, by commas")
    chosen = parser.parse_args()
    if chosen.part != "render":
        run(chosen.part, [name for name in chosen.only.split(",") if name])
    from spectral_page import render

    (HERE / "spectral.md").write_text(render(RESULTS))


if __name__ == "__main__":
    main()
