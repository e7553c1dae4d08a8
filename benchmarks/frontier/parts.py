"""The data of the study, its results by name, and which settings a selection takes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.frontier.settings import METRICS, SELECTED_ON, SHARE
from benchmarks.harness import data
from benchmarks.harness.results import Results, Row
from shoal import metrics
from shoal.data.interactions import Interactions
from shoal.evaluation.evaluate import scores_of_lists
from shoal.kernels import topk
from shoal.kernels.arrays import Int
from shoal.splitting.held_out import HeldOut

HERE = Path(__file__).parent
FILES = {part: Results(HERE / f"{part}.jsonl") for part in ("filters", "dense", "costs")}
PARTS = ("validation", "test")  # what settings are compared on
SEED = 0  # of the sample of users


@cache
def data_of(name: str, part: str) -> tuple[Interactions, HeldOut]:
    """The training data, and all users of the validation or of the test part."""
    split = data.lightgcn(name, SHARE if part == "validation" else 0.0)
    held_out = split.validation if part == "validation" else split.test
    assert held_out is not None
    return split.train, held_out


def sample(held_out: HeldOut) -> HeldOut:
    """The users on whom settings are compared."""
    return data.some_users(held_out, SELECTED_ON, np.random.default_rng(SEED))


def name_of(dataset: str, part: str, label: str, given: Row) -> str:
    """The name of a result; `part` is that of the users: validation, test or all."""
    return f"{dataset} {part} {label} {json.dumps(given, sort_keys=True)}"


def scored(lists: Int, held_out: HeldOut) -> Row:
    """The metrics of lists, with their standard errors over users."""
    target = held_out.target
    hits = topk.hits(lists, target.indptr, target.indices, target.n_items)
    _, found = scores_of_lists([metrics.parse(name) for name in METRICS], lists, hits, held_out)
    means = {name: {"mean": score.mean, "se": score.se} for name, score in found.items()}
    return {"metrics": means, "users": held_out.n_users}


def rows_of(dataset: str, part: str, label: str) -> list[Row]:
    """All results of a model on a part."""
    prefix = f"{dataset} {part} {label} "
    return [
        row
        for file in FILES.values()
        for name in file.names()
        if name.startswith(prefix) and (row := file.get(name)) is not None
    ]


def best(dataset: str, part: str, label: str) -> Row | None:
    """The result of a model with the highest NDCG@20 on a part; None if there is none yet."""
    rows = rows_of(dataset, part, label)
    return max(rows, key=lambda row: row["metrics"]["ndcg@20"]["mean"], default=None)


def chosen(dataset: str, label: str) -> list[Row]:
    """The settings that the two selections take, each once."""
    found = [best(dataset, part, label) for part in PARTS]
    given = [row["given"] for row in found if row is not None]
    return [g for at, g in enumerate(given) if g not in given[:at]]
