"""How well models do for groups: items by popularity, people by the length of their history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.experiments.report import charts
from shoal.experiments.report import formats as f
from shoal.experiments.report.sections import Section, telling_models
from shoal.experiments.report.tables import Comparison


def by_popularity(comparison: Comparison) -> Section | None:
    """What share of the held-out items each model finds, by how popular they are."""
    models = [m for m in comparison["models"] if (m.get("by_popularity") or {}).get("deciles")]
    if not models:
        return None
    metric = models[0]["by_popularity"]["metric"]
    groups = [str(n + 1) for n in range(max(len(m["by_popularity"]["deciles"]) for m in models))]
    drawn = _drawn(models, comparison)
    points = [
        {"label": m["label"], "group": group, "value": value}
        for m in drawn
        for group, value in zip(groups, m["by_popularity"]["deciles"], strict=False)
        if value is not None
    ]
    lines = [m["label"] for m in drawn]
    spec = charts.lines_chart(
        points,
        lines,
        x="group",
        x_title="tenth of the items, most popular first",
        y_title=metric,
        order=groups,
    )
    rows = [_heat_row(m["label"], m["by_popularity"]["deciles"]) for m in models]
    return {
        "metric": metric,
        "groups": groups,
        "rows": _heated(rows),
        "lines": lines,
        "spec": spec,
    }


def by_history(comparison: Comparison) -> Section | None:
    """The deciding metric by how long people's histories are."""
    models = [m for m in comparison["models"] if m.get("by_history")]
    if not models:
        return None
    first = models[0]["by_history"]
    groups = [_range_of(group) for group in first]
    drawn = _drawn(models, comparison)
    points = []
    for model in drawn:
        for group, name in zip(model["by_history"], groups, strict=False):
            if group.get("mean") is None:
                continue
            error = group.get("se") or 0.0
            points.append(
                {
                    "label": model["label"],
                    "group": name,
                    "value": group["mean"],
                    "low": group["mean"] - error,
                    "high": group["mean"] + error,
                }
            )
    lines = [m["label"] for m in drawn]
    spec = charts.lines_chart(
        points,
        lines,
        x="group",
        x_title="items in the history",
        y_title=comparison["metric"],
        order=groups,
        errors=True,
    )
    rows = [_heat_row(m["label"], [g.get("mean") for g in m["by_history"]]) for m in models]
    return {
        "metric": comparison["metric"],
        "groups": groups,
        "users": [f.count(group.get("users")) for group in first],
        "rows": _heated(rows),
        "lines": lines,
        "spec": spec,
    }


def _drawn(models: Sequence[Mapping[str, Any]], comparison: Comparison) -> list[Mapping[str, Any]]:
    """Those of some models that have a line in a chart; the table has all."""
    telling = telling_models(comparison)
    return [model for model in models if model["label"] in telling]


def _range_of(group: Mapping[str, Any]) -> str:
    low, high = group.get("from"), group.get("to")
    return f"{low}" if low == high else f"{low}+" if high is None else f"{low}–{high}"


def _heat_row(label: str, values: Sequence[float | None]) -> Section:
    return {
        "label": label,
        "cells": [{"value": value, "text": f.decimals(value, 3)} for value in values],
    }


def _heated(rows: list[Section]) -> list[Section]:
    """Give each cell the strength of its colour: from 0 for the least value to 45 for the most."""
    known = [c["value"] for row in rows for c in row["cells"] if c["value"] is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    for row in rows:
        for cell in row["cells"]:
            share = 0.0 if cell["value"] is None else (cell["value"] - low) / ((high - low) or 1.0)
            cell["heat"] = round(45 * share)
    return rows
