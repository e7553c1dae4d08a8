"""The article's rating models, on a split that does not leak: no test rating enters a network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import shoal
from benchmarks.article.tasks import read
from benchmarks.harness.results import Row
from shoal.base.rating import RatingRecommender
from shoal.evaluation.ratings import evaluate_ratings
from shoal.models.autorec import IAutoRec, UAutoRec
from shoal.models.deeprec import DeepRec
from shoal.splitting.ratings import RatingSplit, split_ratings

# DeepRec's authors take small networks for data sets much larger than this one
ENTRIES: dict[str, tuple[type[RatingRecommender], dict[str, Any]]] = {
    "I-AutoRec": (IAutoRec, {}),
    "U-AutoRec": (UAutoRec, {}),
    "DeepRec": (DeepRec, {"hidden": "128-256-256", "dropout": 0.65}),
}


def item_means(split: RatingSplit) -> Row:
    """The reference: an item's mean training rating, or the mean of all where it has none."""
    train, test = split.train, split.test
    assert train.values is not None
    assert test.values is not None
    counts = train.item_counts
    sums = np.bincount(train.indices, train.values, minlength=train.n_items)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), train.values.mean())
    errors = means[test.indices] - test.values
    per_user = np.bincount(test.user_codes, errors**2, minlength=test.n_users)
    n = np.diff(test.indptr)
    found = {
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mae": float(np.abs(errors).mean()),
        "rmse_per_user": float(np.sqrt(per_user[n > 0] / n[n > 0]).mean()),
    }
    metrics = {name: {"mean": value, "se": None} for name, value in found.items()}
    return {"metrics": metrics, "fit_seconds": 0.0, "parameters": {}}


def with_the_answers(model: UAutoRec, split: RatingSplit) -> float:
    """RMSE if the test ratings are the input, as in the article's code."""
    test = split.test
    assert test.values is not None
    known = model.known
    scores = model.score(test.matrix)[test.user_codes, test.indices]
    errors = np.clip(scores, known.low, known.high).astype(np.float64) - test.values
    return float(np.sqrt(np.mean(errors**2)))


def one(label: str, split: RatingSplit, seed: int) -> Row:
    """Fit, the epoch chosen on validation ratings, and measure on the test."""
    if label not in ENTRIES:
        return item_means(split)
    kind, settings = ENTRIES[label]
    began = time.perf_counter()
    model = kind(**settings).fit(split.train, split.validation, shoal.Run(seed=seed))
    seconds = time.perf_counter() - began
    row = evaluate_ratings(model, split).to_dict()
    row["fit_seconds"] = round(seconds, 2)
    row |= {n: model.facts[n] for n in ("epochs", "best_epoch")}
    row["curve"] = [round(-c["neg_rmse"], 5) for c in model.curve]
    if isinstance(model, UAutoRec):
        row["rmse_with_the_answers"] = with_the_answers(model, split)
    return row


def run(seeds: Sequence[int], wanted: Callable[[str], bool], keep: Callable[..., Row]) -> None:
    """All models, seed by seed; `keep(label, seed, make)` makes what is not there yet."""
    for seed in seeds:
        kept: list[RatingSplit] = []  # read when the first model wants it

        def make(label: str, seed: int = seed, kept: list[RatingSplit] = kept) -> Row:
            if not kept:
                kept.append(split_ratings(read(values="keep"), "random", seed=seed))
            split = kept[0]
            sizes = {
                "train": len(split.train),
                "validation": len(split.validation or ()),
                "test": len(split.test),
            }
            return one(label, split, seed) | {
                "task": "ratings",
                "label": label,
                "seed": seed,
                "sizes": sizes,
                "cores": len(os.sched_getaffinity(0)),
            }

        for label in ("item's mean rating", *ENTRIES):
            if wanted(label):
                keep(label, seed, make)
