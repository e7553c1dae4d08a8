"""Which family for which log: autoencoders and graph filters on many logs and two splits.

    SHOAL_DATA=… python benchmarks/families/run.py run                        # all logs
    SHOAL_DATA=… python benchmarks/families/run.py run --only ml-1m,gf-cf,strong
    python benchmarks/families/run.py render                                  # the page

Each model is tuned on the validation users of seed 0, with as many settings as every other one, and
its best setting is fitted and tested with 3 seeds. Each result is added to results.jsonl as soon as
it is there; a run that was interrupted continues with what is missing.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import shoal
from shoal.experiments.files.facts import facts_of
from shoal.models.registry import by_name, create, models

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.families.grids import FAMILIES, MEMBERS, given
from benchmarks.families.page import render
from benchmarks.families.sets import KINDS, SETS, split
from benchmarks.harness.results import Results, Row
from benchmarks.harness.vectors import SharedVectors

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
SEEDS = (0, 1, 2)
DECIDES = "ndcg@20"
METRICS = ("ndcg@20", "recall@20", "ndcg@100")


@cache
def log_of(name: str) -> shoal.Interactions:
    """The log of a data set."""
    return SETS[name].read()


@cache
def parts_of(name: str, kind: str, seed: int) -> shoal.Split:
    """The split of a log."""
    return split(log_of(name), kind, seed)


MOST_VECTORS = 256  # of all settings in the grids


def tuned(name: str, kind: str, model: str) -> Row:
    """The validation values of all settings of a model, with seed 0."""

    def make() -> Row:
        parts = parts_of(name, kind, SEEDS[0])
        assert parts.validation is not None
        if model == "blend":
            return blended(name, kind, parts)
        tried = [given(row, parts.train) for row in FAMILIES[model][1]]
        began, values = time.perf_counter(), [0.0] * len(tried)
        for at, fitted in by_name(model).fit_grid(tried, parts.train, parts.validation):
            values[at] = shoal.evaluate(fitted, parts.validation, [DECIDES])[DECIDES]
        best = max(range(len(tried)), key=values.__getitem__)
        return {
            "values": values,
            "best": best,
            "settings": tried[best],
            "seconds": round(time.perf_counter() - began, 1),
        }

    return RESULTS.once(
        f"{name}|{kind}|{model}|tuned",
        make,
        lambda row: f"{max(row['values']):.4f} {row['settings']} {row['seconds']} s",
    )


def parts_text(name: str, kind: str, parts: shoal.Split) -> str:
    """The members of the blend, each with its best setting for this log."""
    texts = []
    for member in MEMBERS:
        best = FAMILIES[member][1][tuned(name, kind, member)["best"]]
        settings = ";".join(f"{k}={v}" for k, v in given(best, parts.train).items())
        texts.append(f"{member}({settings})")
    return "+".join(texts)


def blended(name: str, kind: str, parts: shoal.Split) -> Row:
    """The weights of the blend, chosen on the validation users of seed 0."""
    assert parts.validation is not None
    began = time.perf_counter()
    text = parts_text(name, kind, parts)
    blend = create("blend", {"parts": text, "metric": DECIDES})
    blend.fit(parts.train, parts.validation)
    value = shoal.evaluate(blend, parts.validation, [DECIDES])[DECIDES]
    weights = ",".join(f"{blend.facts[f'{place}.weight']:g}" for place in range(len(MEMBERS)))
    seconds = round(time.perf_counter() - began, 1)
    return {"values": [value], "best": 0, "settings": {"weights": weights}, "seconds": seconds}


def settings_of(name: str, kind: str, model: str, parts: shoal.Split) -> Row:
    """The best setting of a model, as it takes it for this split."""
    found = tuned(name, kind, model)
    if model == "blend":
        return {"parts": parts_text(name, kind, parts), "weights": found["settings"]["weights"]}
    return given(FAMILIES[model][1][found["best"]], parts.train)


def tested(name: str, kind: str, model: str, seed: int) -> Row:
    """The best setting of a model, fitted and tested with one seed."""

    def make() -> Row:
        parts = parts_of(name, kind, seed)
        settings = settings_of(name, kind, model, parts)
        fitted = create(model, settings).fit(parts.train, None, shoal.Run(seed=seed))
        found = shoal.evaluate(fitted, parts.test, list(METRICS)).to_dict()
        return {
            "metrics": found["metrics"],
            "users": found["users"],
            "settings": settings,
        }

    return RESULTS.once(
        f"{name}|{kind}|{model}|{seed}",
        make,
        lambda row: f"{row['metrics'][DECIDES]['mean']:.4f}",
    )


def wanted(names: Any, only: list[str]) -> list[str]:
    """The names that are asked for, in that order: all, if none of them is."""
    return [name for name in only if name in names] or list(names)


def run(only: list[str]) -> None:
    """Measure what is missing."""
    for name in wanted(SETS, only):
        for kind in wanted(KINDS, only):

            def facts(name: str = name, kind: str = kind) -> Row:
                return facts_of(name, log_of(name)) | {
                    "trained_on": facts_of(name, parts_of(name, kind, 0).train)
                }

            RESULTS.once(f"{name}|{kind}|facts", facts, str)
            measured = [model for model in wanted(FAMILIES, only) if model in models()]
            with SharedVectors(MOST_VECTORS):
                for model in measured:
                    for seed in SEEDS:
                        tested(name, kind, model, seed)


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "render"])
    parser.add_argument("--only", default="", help="data sets, splits and models, by commas")
    chosen = parser.parse_args()
    if chosen.part == "run":
        run([name for name in chosen.only.split(",") if name])
    (HERE / "families.md").write_text(render(RESULTS))


if __name__ == "__main__":
    main()
