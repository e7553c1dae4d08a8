"""AutoRec on MovieLens-1M, beside the published RMSE. Writes autorec.md.

    SHOAL_DATA=… python benchmarks/autorec/run.py run            # 5 seeds of each model
    SHOAL_DATA=… python benchmarks/autorec/run.py run --seeds 1  # the first one alone
    SHOAL_DATA=… python benchmarks/autorec/run.py choose         # λ and epochs, by validation
    python benchmarks/autorec/run.py render                      # the page alone, from the results

Each result is added to results.jsonl as soon as it is there; a run that was interrupted continues
with what is missing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import shoal
from shoal.models.registry import create

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness import data
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")

# Sedhain et al., WWW 2015, table 2 (b): 90 % to 10 % at random, mean of 5 splits, ± at most .003
PUBLISHED = {"i-autorec": 0.831, "u-autorec": 0.874}
# by `choose`, on 10 % of the training ratings of split 0
SETTINGS: dict[str, dict[str, Any]] = {
    "i-autorec": {"factors": 500, "l2": 300.0, "n_epochs": 110},
    "u-autorec": {"factors": 500, "l2": 100.0, "n_epochs": 132},
}
GRID: dict[str, list[float]] = {
    "i-autorec": [100, 150, 250, 300, 400],
    "u-autorec": [50, 100, 200, 400],
}

HEAD = """# AutoRec on MovieLens-1M

Written by `benchmarks/autorec/run.py`; no figure here is typed by hand.

    SHOAL_DATA=… python benchmarks/autorec/run.py run

All 1,000,209 ratings, 90 % to train on and 10 % to test on, at random; RMSE and MAE over all test
ratings, predictions within 1 … 5, ratings of cold users or items predicted as 3, as in the paper
(Sedhain et al., WWW 2015). λ is that of the paper's form Σe² + λ/2·(‖V‖² + ‖W‖²); λ and the number
of epochs were chosen on 10 % of the training ratings of split 0, the test ratings are looked at
once (u-autorec runs with λ 100; 50, tried later, validates .0006 better). `±` is the standard
deviation over splits. The test ratings never enter a network.
"""


def log() -> shoal.Interactions:
    """All ratings."""
    return shoal.read(data.folder("ml-1m") / "interactions.parquet", values="keep")


def keep(name: str, row: Row) -> None:
    """Write a result down."""
    RESULTS.save(name, row)
    print(name, {n: round(s["mean"], 4) for n, s in row["metrics"].items()}, flush=True)


def fit(name: str, split: shoal.RatingSplit, seed: int, **settings: Any) -> tuple[Any, float]:
    """Fit a model; the processor seconds of all cores too, which a busy machine does not change."""
    model = create(name, {"cold": 3.0, **settings})
    began = time.process_time()
    model.fit(split.train, split.validation, shoal.Run(seed=seed))
    return model, round(time.process_time() - began, 1)


def run(seeds: int) -> None:
    """Every model on every split."""
    ratings = log()
    for seed in range(seeds):
        split = shoal.split_ratings(ratings, seed=seed, validation=0)
        for name, settings in SETTINGS.items():
            if f"{name}-{seed}" in RESULTS:
                continue
            model, seconds = fit(name, split, seed, **settings)
            found = shoal.evaluate_ratings(model, split).to_dict()
            keep(f"{name}-{seed}", found | {"processor_seconds": seconds, "facts": model.facts})


def choose() -> None:
    """The RMSE on validation ratings for each λ, and the epoch that is best."""
    split = shoal.split_ratings(log(), seed=0)
    for name, grid in GRID.items():
        for l2 in grid:
            at = f"choose-{name}-{l2:g}"
            if at in RESULTS:
                continue
            given = SETTINGS[name] | {"l2": l2, "n_epochs": 250}
            model, seconds = fit(name, split, 0, **given)
            found = shoal.evaluate_ratings(model, split, part="validation").to_dict()
            keep(at, found | {"processor_seconds": seconds, "facts": model.facts})


def spread(values: list[float]) -> str:
    """Mean ± standard deviation."""
    error = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
    return f"{mean(values):.4f}{error}"


def render() -> str:
    """The page."""
    lines = [HEAD]
    lines.append(
        "| model | settings | splits | RMSE | published | MAE | RMSE per user | CPU time |"
    )
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, published in PUBLISHED.items():
        rows = RESULTS.matching(f"{name}-?")
        if not rows:
            continue
        own = rows[0]["parameters"]
        shown = f"k {own['factors']}, λ {own['l2']:g}, {own['optimiser']}, {own['n_epochs']} epochs"
        cells = [
            spread([row["metrics"][m]["mean"] for row in rows])
            for m in ("rmse", "mae", "rmse_per_user")
        ]
        seconds = mean(row["processor_seconds"] for row in rows)
        lines.append(
            f"| {name} | {shown} | {len(rows)} | {cells[0]} | {published:.3f} | {cells[1]} | "
            f"{cells[2]} | {seconds:.0f} s |"
        )
    tried = RESULTS.matching("choose-*")
    if tried:
        lines.append("\n## How λ was chosen (validation ratings of split 0)\n")
        lines.append("| model | λ | RMSE | best epoch of |\n|---|---|---|---|")
        for row in sorted(tried, key=lambda r: (r["model"], r["parameters"]["l2"])):
            own, facts = row["parameters"], row["facts"]
            lines.append(
                f"| {row['model']} | {own['l2']:g} | {row['metrics']['rmse']['mean']:.4f} | "
                f"{facts['best_epoch']:.0f} of {facts['epochs']:.0f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "choose", "render"])
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    if chosen.part == "run":
        run(chosen.seeds)
    elif chosen.part == "choose":
        choose()
    (HERE / "autorec.md").write_text(render())


if __name__ == "__main__":
    main()
