"""Which part of a catalogue ranks settings as the whole does: its most popular items, or others?"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import shoal
from benchmarks.harness.results import Row
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.subcatalogue import Part
from shoal.models.registry import by_name
from shoal.run import Run

GRID: dict[str, tuple[float, ...]] = {
    "l2": (10, 30, 100, 300, 1000),
    "dropout": (0.1, 0.4),
    "beta": (0, 0.5),
    "xi": (0, 0.5),
    "alpha": (0, 0.3),
}
USERS = 4_000  # validation users of the whole, at most
TOP = (1, 3, 5)


def most_popular(split: shoal.Split, m: int) -> shoal.Split:
    """A split reduced to the most popular items, and to some validation users; it has no test."""
    problem = Problem.of(by_name("rdlae"), split.train, split.validation)
    part = Part.of(problem, m).problem
    validation = _some_users(part.validation)
    return replace(split, train=part.train, validation=validation, test=validation)


def spread(problem: Problem, m: int) -> Part:
    """So many items, evenly over all popularities: every (n/m)-th by popularity."""
    order = np.argsort(-problem.train.item_counts, kind="stable")
    return Part.of_items(problem, order[np.arange(m) * len(order) // m].astype(np.int64))


WAYS: dict[str, Callable[[Problem, int], Part]] = {"popular": Part.of, "spread": spread}


def measure(split: shoal.Split, whole_items: int, sizes: list[int], run: Run) -> Row:
    """Score a grid of RDLAE on the whole and on parts, each with scaled and with equal ridges."""
    problem = Problem.of(by_name("rdlae"), split.train, split.validation, run=run)
    if whole_items < split.train.n_items:
        problem = Part.of(problem, whole_items).problem
    problem = replace(problem, validation=_some_users(problem.validation))
    settings = [
        dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())
    ]
    scores, seconds = _scores(problem, settings)
    rows: list[Row] = []
    for m, (way, part_of) in itertools.product(sizes, WAYS.items()):
        part = part_of(problem, m)
        for scaled in (True, False):
            fitted = [_for_part(part, s) if scaled else s for s in settings]
            found, taken = _scores(part.problem, fitted)
            order = np.argsort(-found, kind="stable")
            rows.append({
                "items": m, "way": way, "scaled": scaled, "seconds": round(taken, 1),
                "users": part.problem.validation.n_users,
                "spearman": float(spearmanr(found, scores)[0]),
                "lost": {str(k): float(scores.max() - scores[order[:k]].max()) for k in TOP},
            })  # fmt: skip
    best = settings[int(scores.argmax())]
    return {
        "items": problem.train.n_items, "users": problem.train.n_users,
        "validation_users": problem.validation.n_users, "settings": len(settings),
        "best": float(scores.max()), "median": float(np.median(scores)), "best_settings": best,
        "seconds": round(seconds, 1), "parts": rows,
    }  # fmt: skip


def _for_part(part: Part, settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"l2": settings["l2"] / part.scale(settings["beta"])}


def _scores(problem: Problem, settings: list[dict[str, Any]]) -> tuple[np.ndarray, float]:
    began = time.perf_counter()
    scores = np.empty(len(settings))
    for index, score in _each(problem, settings):
        scores[index] = score
    return scores, time.perf_counter() - began


def _each(problem: Problem, settings: list[dict[str, Any]]) -> Iterator[tuple[int, float]]:
    fitted = problem.kind.fit_grid(settings, problem.train, problem.validation, problem.run)
    for index, model in fitted:
        yield index, problem.score_of(model)


def _some_users(validation: Any) -> Any:
    if validation.n_users <= USERS:
        return validation
    some = np.random.default_rng(0).choice(validation.n_users, USERS, replace=False)
    history, target = (log.take_users(some) for log in (validation.history, validation.target))
    return replace(validation, history=history, target=target)
