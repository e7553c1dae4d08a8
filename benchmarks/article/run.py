"""The article that compared six autoencoders on MovieLens-1M, redone. Writes README.md here.

    SHOAL_DATA=… python benchmarks/article/run.py as-published corrected fold-in --seeds 0
    SHOAL_DATA=… python benchmarks/article/run.py corrected --seeds 0,1,2,3,4
    SHOAL_DATA=… python benchmarks/article/run.py ratings --seeds 0
    python benchmarks/article/run.py                     # the page alone, from the results

Each (task, model, seed) is added to results.jsonl as soon as it is there; a run that was
interrupted continues with what is missing.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.article import page
from benchmarks.harness.results import Results, Row

if TYPE_CHECKING:
    from benchmarks.article.models import Entry
    from benchmarks.article.tasks import Task

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
TASKS = ("as-published", "corrected", "fold-in", "ratings")


def key(label: str) -> str:
    """A label as part of a result's name."""
    plain = label.lower().replace("λ", "l2")
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def once(name: str, make: Callable[[], Row]) -> Row:
    """The kept result of this name, or a new one."""

    def made() -> Row:
        load = os.getloadavg()[0]
        return make() | {"load_before": round(load, 2)}

    def shown(row: Row) -> str:
        means = {n: round(m["mean"], 4) for n, m in row["metrics"].items()}
        return f"{means} {row['fit_seconds']:.0f} s, epoch {row.get('best_epoch', '–')}"

    return RESULTS.once(name, made, shown)


def summary(found: dict[str, Any]) -> Row:
    """Mean and standard error over users."""
    return {
        name: {"mean": float(v.mean()), "se": float(v.std(ddof=1) / np.sqrt(v.size)), "n": v.size}
        for name, v in found.items()
    }


def one(entry: Entry, task: Task, mode: str, seed: int) -> Row:
    """Fit, choose by validation among settings if there are several, and measure on the test."""
    import shoal
    from benchmarks.article.models import at_home, measure
    from benchmarks.article.tasks import facts

    masked, home = mode != "as-published", mode != "fold-in"
    made = at_home(entry.model, masked=masked) if home else entry.model
    settings = entry.ours if masked else [entry.published or {}]
    began, best, trials = time.perf_counter(), None, []
    for each in settings:
        model = made(**each).fit(task.train, task.validation, shoal.Run(seed=seed))
        seconds = time.perf_counter() - began
        if len(settings) > 1:
            found = measure(model, task.validation, at_home=home, masked=True)["ndcg@100"].mean()
            trials.append({**each, "validation": float(found)})
        else:
            found = 0.0
        if best is None or found > best[0]:
            best = float(found), model
    assert best is not None
    model = best[1]
    row = {
        "task": mode,
        "label": entry.label,
        "seed": seed,
        "protocol": task.test.name,
        "sizes": facts(task),
        "parameters": model.model_dump(),
        "trials": trials,
        "metrics": summary(measure(model, task.test, at_home=home, masked=masked)),
        "fit_seconds": round(seconds, 2),
        "cores": len(os.sched_getaffinity(0)),
    }
    if not masked:  # the same weights, and nothing recommended that the user has already
        row["masked"] = summary(measure(model, task.test, at_home=home, masked=True))
    if entry.model.trained:
        row |= {n: model.facts[n] for n in ("epochs", "best_epoch")}
        row["curve"] = [round(c["ndcg@100"], 5) for c in model.curve]  # type: ignore[attr-defined]
    return row


def run(mode: str, seeds: Sequence[int], only: Sequence[str]) -> None:
    """All models of one task, seed by seed."""
    from benchmarks.article import tasks
    from benchmarks.article.models import ENTRIES

    make = {
        "as-published": tasks.as_published,
        "corrected": tasks.corrected,
        "fold-in": tasks.fold_in,
    }[mode]
    for seed in seeds:
        kept: list[Task] = []  # read when the first model wants it

        def task(seed: int = seed, kept: list[Task] = kept) -> Task:
            if not kept:
                kept.append(make(seed))
            return kept[0]

        for entry in ENTRIES:
            if only and key(entry.label) not in only:
                continue
            if mode == "as-published" and entry.published is None:
                continue
            once(
                f"{mode}-{key(entry.label)}-{seed}",
                lambda entry=entry, seed=seed: one(entry, task(), mode, seed),  # type: ignore[misc]
            )


def main() -> None:
    """Run what is asked for, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="task", help=", ".join(TASKS))
    parser.add_argument("--seeds", default="0", help="by commas")
    parser.add_argument("--only", default="", help="models, by commas: cdae,mult-vae,…")
    given = parser.parse_args()
    if unknown := set(given.tasks) - set(TASKS):
        parser.error(f"no task {', '.join(sorted(unknown))}; there are {', '.join(TASKS)}")
    only = [name for name in given.only.split(",") if name]
    seeds = [int(seed) for seed in given.seeds.split(",")]
    for mode in given.tasks:
        if mode == "ratings":
            from benchmarks.article import ratings

            ratings.run(
                seeds,
                lambda label: not only or key(label) in only,
                lambda label, seed, make: once(f"ratings-{key(label)}-{seed}", lambda: make(label)),
            )
        else:
            run(mode, seeds, only)
    (HERE / "README.md").write_text(page.render(RESULTS))


if __name__ == "__main__":
    main()
