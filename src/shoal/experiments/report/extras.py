"""What a report tells of fitted models beyond figures: weights, people, a map, the data.

All of it is bounded: for catalogues too large for a part, the part is left out and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from shoal.base.linear import LinearRecommender
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import ShoalError
from shoal.evaluation.evaluate import evaluate
from shoal.evaluation.significance import paired
from shoal.experiments.report.example_people import example_people
from shoal.experiments.report.item_places import place_items
from shoal.run import Run
from shoal.splitting.held_out import Split

MOST_ITEMS = 20_000  # of a catalogue whose whole matrix is copied
_POINTS = 50  # of the curve of popularity
_QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

Note = Callable[[str], None]


def make_extras(
    models: Mapping[str, Recommender],
    parts: Split,
    log: Interactions,
    run: Run | None = None,
    seed: int = 0,
    *,
    metric: str = "ndcg@100",
) -> dict[str, Any]:
    """Look into fitted models for a report.

    Parameters
    ----------
    models : mapping label → fitted model
        The best first; all of them fitted to ``parts.train``.
    parts : Split
    log : Interactions
        All the data, before they were split.
    run : Run, optional
    seed : int
        Of the split and of the layout of the map; the report names it.
    metric : str
        By which the model without negative weights is compared; one with values per user.

    Returns
    -------
    dict
        Plain data for JSON: ``data``, ``negative_weights``, ``people``, ``map`` (each None or empty
        where there is nothing to tell), ``seed``, and ``notes`` on what was left out and why.
        Nobody's id is in it: people are example histories.
    """
    run = replace(run or Run(), seed=seed)
    personal = {label: m for label, m in models.items() if m.task == "ranking" and m.personal}
    notes: list[str] = []
    linear = _first(personal, deep=False)
    deep = _first(personal, deep=True)
    found: dict[str, Any] = {
        "seed": seed,
        "data": data_in_short(log),
        "negative_weights": _tried(
            lambda: _negative_weights(personal, parts, metric, run, seed, notes.append),
            "the comparison without negative weights",
            notes,
        ),
        "people": _tried(
            lambda: example_people(
                [pair for pair in (linear, deep) if pair], parts.test, run, seed
            ),
            "example people",
            notes,
        ),
    }
    mapped = linear or deep
    found["map"] = (
        _tried(lambda: place_items(*mapped, parts.train, run), "the item map", notes)
        if mapped
        else None
    )
    return found | {"notes": notes}


def _first(models: Mapping[str, Recommender], *, deep: bool) -> tuple[str, Recommender] | None:
    """The best model that is deep, or the best one that is not."""
    return next(((label, m) for label, m in models.items() if m.deep is deep), None)


def _tried(make: Callable[[], Any], what: str, notes: list[str]) -> Any:
    """What a function makes; None and a note where it cannot be made."""
    try:
        return make()
    except ShoalError as error:
        notes.append(f"The report leaves {what} out: {error}.")
        return None


def data_in_short(log: Interactions) -> dict[str, Any]:
    """How popularity and the lengths of histories are spread.

    Returns
    -------
    dict
        ``popularity``: pairs (share of the items, the most popular first; share of the
        interactions); ``history_quantiles``: pairs (share of the users, items in the history).
    """
    counts = np.sort(log.item_counts)[::-1]
    shares = np.concatenate([[0.0], np.cumsum(counts) / max(1, counts.sum())])
    at = np.unique(np.round(np.linspace(0, counts.size, _POINTS + 1)).astype(np.int64))
    lengths = np.diff(log.indptr)
    return {
        "popularity": [
            [round(n / counts.size, 5), round(float(shares[n]), 5)] for n in at.tolist()
        ],
        "history_quantiles": [[q, float(np.quantile(lengths, q))] for q in _QUANTILES],
    }


def _negative_weights(
    models: Mapping[str, Recommender], parts: Split, metric: str, run: Run, seed: int, note: Note
) -> dict[str, Any] | None:
    """Compare the best linear model that has negative weights with itself without them."""
    for label, model in models.items():
        if not isinstance(model, LinearRecommender) or not model.facts.get("negative_weights"):
            continue
        if model.n_items > MOST_ITEMS or 8 * model.n_items**2 > run.memory_budget:
            note(
                f"The report does not try {label} without its negative weights: its matrix of "
                f"{model.n_items:,} × {model.n_items:,} weights would be copied."
            )
            return None
        return {"ablation": _without_negative(label, model, parts, metric, run) | {"seed": seed}}
    return None


def _without_negative(
    label: str, model: LinearRecommender, parts: Split, metric: str, run: Run
) -> dict[str, Any]:
    B = model.weights
    n_negative = int((B < 0).sum())
    positive = B.maximum(0) if not isinstance(B, np.ndarray) else np.maximum(B, np.float32(0))
    whole = evaluate(model, parts.test, [metric], run)
    without = evaluate(model.with_weights(positive), parts.test, [metric], run)
    test = paired(without, whole, metric)
    return {
        "label": label,
        "metric": metric,
        "share": n_negative / (model.n_items * (model.n_items - 1)),
        "with": whole[metric],
        "without": without[metric],
    } | test.to_dict()
