"""The sections of a report on one data set: what its tables and charts show, from plain results.

Each function gives a dictionary for the template, or None where there is nothing to show.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from shoal.experiments.comparison.words import not_finished
from shoal.experiments.report import charts, small_charts
from shoal.experiments.report import formats as f
from shoal.experiments.report.small_charts import thinned
from shoal.experiments.report.tables import Comparison, several_seeds, shown_metrics

Section = dict[str, Any]

_COSTS = (  # field of a model, what the axis says, whether it counts bytes
    ("fit_seconds", "time of a fit", False),
    ("peak_bytes", "peak memory of a fit", True),
    ("model_bytes", "size of the model", True),
    ("request_seconds", "time of a request", False),
)
_LABELS_APART = 0.08  # of the height of a chart: labels nearer than this would cover each other
_COLUMNS_APART = 0.25  # of its width
_SOME_MACHINE = "unknown hardware"
_FEW = 12  # models of a chart that can all be named
_MOST_POINTS = 200  # of a learning curve: more cannot be told apart
_FAR_BELOW = 1.5  # times the range of the middle half: so far below it, a model leaves the chart


def score_of(model: Mapping[str, Any], metric: str) -> Mapping[str, Any]:
    """Mean, standard error and the rest of a model's metric; empty if it is not known."""
    return model["metrics"].get(metric) or {}


def leaderboard(comparison: Comparison) -> Section:
    """The metrics of all models, the best of each metric marked."""
    metrics, models = shown_metrics(comparison), comparison["models"]
    best = {}
    for name in metrics:
        known = (score_of(model, name).get("mean") for model in models)
        means = {mean for mean in known if mean is not None}
        best[name] = max(means) if len(means) > 1 else None
    verdict = comparison.get("verdict") or {}
    rows = []
    for place, model in enumerate(models, start=1):
        cells = []
        for name in metrics:
            score = score_of(model, name)
            mean = score.get("mean")
            cells.append(
                {
                    "metric": name,
                    "mean": f.decimals(mean),
                    "se": None if score.get("se") is None else f.decimals(score["se"]),
                    "sort": -1 if mean is None else mean,
                    "best": mean is not None and mean == best[name],
                }
            )
        spread = score_of(model, metrics[0]).get("spread")
        rows.append(
            {
                "place": place,
                "label": model["label"],
                "model": model.get("model", ""),
                "kind": model.get("kind", ""),
                "tied": bool(model.get("tied")),
                "ship": model["label"] == verdict.get("ship"),
                "settings": f.settings(model.get("settings")),
                "notes": model.get("notes") or (),
                "cells": cells,
                "spread": f.decimals(spread),
                "spread_sort": -1 if spread is None else spread,
            }
        )
    return {
        "metrics": metrics,
        "rows": rows,
        "several": several_seeds(comparison),
        "any_tied": any(row["tied"] for row in rows),
        "any_notes": any(row["notes"] for row in rows),
    }


def costs(comparison: Comparison) -> Section:
    """What each model takes, and a chart of accuracy against each of these costs."""
    metric, models = comparison["metric"], comparison["models"]
    machines = Counter(model.get("hardware") or "" for model in models)
    usual = machines.most_common(1)[0][0] if machines else ""
    choices = []
    for field, title, in_bytes in _COSTS:
        rows, below = _cost_rows(comparison, field)
        for row in rows:
            row["hollow"] = row["hardware"] != usual
        if len(rows) < 2:
            continue
        choices.append(
            {
                "field": field,
                "title": title,
                "below": below,
                "front": [row["label"] for row in rows if row["front"]],
                "hollow": sorted({r["hardware"] or _SOME_MACHINE for r in rows if r["hollow"]}),
                "spec": charts.cost_chart(rows, title, title, metric, in_bytes=in_bytes),
            }
        )
    fronts = {c["field"]: set(c["front"]) for c in choices}
    table = [
        {
            "label": model["label"],
            "kind": model.get("kind", ""),
            "score": f.decimals(score_of(model, metric).get("mean")),
            "trials": model.get("trials") or 0,
            "hardware": model.get("hardware") or "",
            "cells": [
                {
                    "text": f.size(model.get(field)) if size else f.seconds(model.get(field)),
                    "sort": -1 if model.get(field) is None else model[field],
                    "front": model["label"] in fronts.get(field, ()),
                }
                for field, _, size in _COSTS
            ],
            "tune": f.seconds(model.get("tune_seconds") or None),
            "tune_sort": model.get("tune_seconds") or 0,
        }
        for model in models
    ]
    return {
        "choices": choices,
        "titles": [title for _, title, _ in _COSTS],
        "rows": table,
        "several_machines": len(machines) > 1,
        "usual": usual or _SOME_MACHINE,
    }


def _cost_rows(comparison: Comparison, field: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Points of a chart of costs, and what was left out because it lies far below the others."""
    metric = comparison["metric"]
    known = [
        model
        for model in comparison["models"]
        if model.get(field) and score_of(model, metric).get("mean") is not None
    ]
    lowest = _far_below([score_of(model, metric)["mean"] for model in known])
    shown = [m for m in known if score_of(m, metric)["mean"] >= lowest]
    on_front = charts.front([(m[field], score_of(m, metric)["mean"]) for m in shown])
    rows = []
    for model, is_front in zip(shown, on_front, strict=True):
        score = score_of(model, metric)
        mean, se = score["mean"], score.get("se") or 0.0
        in_bytes = field.endswith("bytes")
        rows.append(
            {
                "label": model["label"],
                "kind": model.get("kind", ""),
                "value": mean,
                "low": mean - se,
                "high": mean + se,
                "score": f"{f.decimals(mean)} ± {f.decimals(score.get('se'))}",
                "cost": model[field],
                "shown": f.size(model[field]) if in_bytes else f.seconds(model[field]),
                "front": is_front,
                "hardware": model.get("hardware") or "",
            }
        )
    _name_some(rows)
    below = [
        f"{m['label']} ({f.decimals(score_of(m, metric)['mean'])})"
        for m in known
        if score_of(m, metric)["mean"] < lowest
    ]
    return rows, below


def _far_below(values: Sequence[float]) -> float:
    """The value below which a model would squeeze all others together in a chart."""
    if len(values) < 5:
        return -math.inf
    means = sorted(values)
    low, high = means[len(means) // 4], means[(3 * len(means)) // 4]
    return low - max(_FAR_BELOW * (high - low), 0.1 * abs(high))


def _name_some(rows: list[dict[str, Any]]) -> None:
    """Choose the points whose labels are written: none close to another, the front first.

    Of many models only those of the front and the best deep one are named.
    """
    if not rows:
        return
    logs = [math.log(row["cost"]) for row in rows]
    values = [row["value"] for row in rows]
    wide, tall = max(logs) - min(logs) or 1.0, max(values) - min(values) or 1.0
    deep = next((row for row in rows if row["kind"] == "deep"), None)
    written: list[tuple[float, float]] = []
    order = sorted(
        zip(rows, logs, strict=True),
        key=lambda pair: (not pair[0]["front"], pair[0] is not deep, -pair[0]["value"]),
    )
    for row, log in order:
        across, up = (log - min(logs)) / wide, row["value"] / tall
        wanted = row["front"] or row is deep or len(rows) <= _FEW
        free = all(
            abs(across - x) > _COLUMNS_APART or abs(up - y) > _LABELS_APART for x, y in written
        )
        row["named"] = wanted and free
        row["side"] = "right" if across < 0.12 else "left"
        if row["named"]:
            written.append((across, up))


def differences(comparison: Comparison) -> Section | None:
    """How far each model is from the best one."""
    metric, rows = comparison["metric"], []
    for model in comparison["models"]:
        against = model.get("against_best")
        if not against or against.get("difference") is None:
            continue
        low, high = against.get("ci95") or (against["difference"],) * 2
        rows.append(
            {
                "label": model["label"],
                "difference": against["difference"],
                "low": low,
                "high": high,
                "shown": f"{f.signed(against['difference'])} {f.interval((low, high))}",
                "p": f.probability(against.get("p")),
                "p_holm": f.probability(against.get("p_holm")),
                "p_sort": against.get("p_holm"),
                "answer": "could be chance" if model.get("tied") else "real",
            }
        )
    if not rows:
        return None
    best = comparison["models"][0]
    highest = score_of(best, metric).get("mean") or 0.0
    lowest = _far_below([highest, *(highest + row["difference"] for row in rows)]) - highest
    points = [
        {k: row[k] for k in ("label", "difference", "low", "high", "shown", "answer")}
        for row in rows
        if row["difference"] >= lowest
    ]
    return {
        "rows": rows,
        "best": best["label"],
        "below": [row["label"] for row in rows if row["difference"] < lowest],
        "spec": charts.difference_chart(points, metric, best["label"]),
    }


def telling_models(comparison: Comparison) -> list[str]:
    """The models that charts of a few lines show: the best of each kind, and the one to ship."""
    models, verdict = comparison["models"], comparison.get("verdict") or {}
    wanted = [models[0]["label"]] if models else []
    for kind in charts.KINDS:
        wanted += [m["label"] for m in models if m.get("kind") == kind][:1]
    if verdict.get("ship") in {m["label"] for m in models}:
        wanted.append(verdict["ship"])
    chosen = set(wanted)
    return [m["label"] for m in models if m["label"] in chosen][: charts.MOST_LINES]


def curves(comparison: Comparison) -> list[Section]:
    """The learning curve of each model that is trained in epochs, on axes of the same height."""
    found = []
    for model in comparison["models"]:
        rows = [row for row in model.get("curve") or () if row.get("epoch") is not None]
        if len(rows) < 2:
            continue
        known = {k for row in rows for k, v in row.items() if v is not None}
        others = known - {"epoch", "loss", "updates", "seconds"}
        metric = (
            comparison["metric"] if comparison["metric"] in known else min(others, default="loss")
        )
        points = [
            {"epoch": row["epoch"], "value": row[metric]}
            for row in rows
            if row.get(metric) is not None
        ]
        if not points:
            continue
        best = (min if metric == "loss" else max)(points, key=lambda point: point["value"])
        found.append(
            {
                "label": model["label"],
                "metric": metric,
                "epochs": rows[-1]["epoch"],
                "best_epoch": best["epoch"],
                "best": f.decimals(best["value"]),
                "loss": f.decimals(rows[-1].get("loss")),
                "points": points,
            }
        )
    for section in found:
        alike = [p["value"] for s in found if s["metric"] == section["metric"] for p in s["points"]]
        section["spec"] = small_charts.small_line_chart(
            thinned(section["points"], _MOST_POINTS),
            x="epoch",
            x_title="epoch",
            y_title=section["metric"],
            domain=None if section["metric"] == "loss" else _with_room(alike),
        )
    return found


def _with_room(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.01
    return low - room, high + room


def unfinished(comparison: Comparison) -> list[str]:
    """Which models were not finished, in lines."""
    metric, measured = comparison["metric"], {}
    for model in comparison["models"]:  # older results have no seeds of each model
        seeds = model.get("seeds") or score_of(model, metric).get("by_seed") or ()
        measured[model["label"]] = len(seeds)
    lines = not_finished(comparison.get("unfinished") or (), measured)
    return [line[0].upper() + line[1:] for line in lines]


def published(comparison: Comparison) -> list[Section]:
    """Figures that others published, beside ours."""
    rows = []
    for row in comparison.get("published") or ():
        ours, value = row.get("ours"), row.get("value")
        gap = ours - value if ours is not None and value is not None else None
        rows.append(
            {
                **row,
                "value": f.decimals(value),
                "ours": f.decimals(ours),
                "gap": f.signed(gap),
            }
        )
    return rows
