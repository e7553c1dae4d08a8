"""What the searches for hyper-parameters tried, and which hyper-parameters mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.experiments.report import formats as f
from shoal.experiments.report import small_charts
from shoal.experiments.report.small_charts import thinned
from shoal.experiments.report.tables import Comparison

_MOST_STEPS, _MOST_DOTS = 30, 200  # of one chart
_MOST_OF_ALL = 1_800  # dots of all charts of a data set
_MANY = 12  # charts that are not folded


def tuning(comparison: Comparison, trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each model that was tuned; with a chart, where its trials are known.

    Parameters
    ----------
    comparison : mapping
    trials : sequence of mappings
        Of this data set, in the order in which they were tried; ``model`` is the label.
    """
    rows: list[dict[str, Any]] = []
    by_label: dict[Any, list[Mapping[str, Any]]] = {}
    for trial in trials:
        by_label.setdefault(trial.get("model"), []).append(trial)
    most_dots = min(_MOST_DOTS, max(20, _MOST_OF_ALL // max(1, len(by_label))))
    for model in comparison["models"]:
        own = by_label.get(model["label"], [])
        if not own and not model.get("trials"):
            continue
        states = [trial.get("state", "complete") for trial in own]
        importance = model.get("importance") or {}
        ranked = sorted(importance.items(), key=lambda pair: -(pair[1] or 0.0))
        rows.append(
            {
                "number": len(rows) + 1,
                "label": model["label"],
                "trials": model.get("trials") or len(own),
                "pruned": states.count("pruned"),
                "failed": states.count("failed"),
                "seconds": f.seconds(model.get("tune_seconds") or None),
                "settings": f.settings(model.get("settings")),
                "importance": [
                    {"name": name, "text": f.percent(share, 0), "heat": round(45 * (share or 0.0))}
                    for name, share in ranked
                ],
                "spec": _chart(own, most_dots),
                "best": _best(own),
            }
        )
    return rows


def _scored(trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [t for t in trials if t.get("state") != "failed" and t.get("score") is not None]


def _best(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The best trial that was not stopped early: its score and where it came from."""
    whole = [t for t in _scored(trials) if t.get("state", "complete") == "complete"]
    if not whole:
        return None
    best = max(whole, key=lambda trial: trial["score"])
    return {
        "score": f.decimals(best["score"]),
        "source": best.get("source", "drawn"),
        "number": trials.index(best) + 1,
    }


def is_folded(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there are so many charts that they are shown once they are asked for."""
    return sum(row["spec"] is not None for row in rows) > _MANY


def _chart(trials: Sequence[Mapping[str, Any]], most_dots: int) -> dict[str, Any] | None:
    """The best score so far, over the time of the search; of many trials, some are dots."""
    points: list[dict[str, float]] = []
    best, spent = None, 0.0
    for trial in trials:
        spent += trial.get("seconds") or 0.0
        if trial.get("state") == "failed" or trial.get("score") is None:
            continue
        if trial.get("state", "complete") == "complete":
            best = trial["score"] if best is None else max(best, trial["score"])
        if best is not None:
            points.append(
                {
                    "seconds": round(spent, 2),
                    "value": round(best, 5),
                    "tried": round(trial["score"], 5),
                }
            )
    if len(points) < 2:
        return None
    highest = max(p["value"] for p in points)
    low = sorted(p["tried"] for p in points)[len(points) // 4]  # what failed badly is cut off
    room = max(highest - low, 0.01 * abs(highest), 1e-6)
    better = [n for n in range(1, len(points)) if points[n]["value"] > points[n - 1]["value"]]
    # each step of the line is there, however few of the other trials are
    shown = {*thinned(range(len(points)), most_dots), *thinned(better, _MOST_STEPS)}
    return small_charts.small_line_chart(
        [points[n] for n in sorted(shown)],
        x="seconds",
        x_title="seconds of search",
        y_title="validation",
        domain=(low - 0.5 * room, highest + 0.1 * room),
        steps=True,
    )
