"""Sections about fitted models, from what `extras.make_extras` found: weights, people, the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoal.design.bars import reason_bar
from shoal.experiments.comparison.entry import CHANCE
from shoal.experiments.report import formats as f
from shoal.experiments.report import small_charts
from shoal.experiments.report.tables import Comparison


def negative_weights(comparison: Comparison) -> dict[str, Any] | None:
    """The share of negative weights of each linear model, and what removing them does."""
    found = (comparison.get("extras") or {}).get("negative_weights") or {}
    rows = [
        {"label": model["label"], "value": model["facts"]["negative_weights"]}
        for model in comparison["models"]
        if (model.get("facts") or {}).get("negative_weights") is not None
    ]
    ablation = found.get("ablation")
    if not rows and not ablation:
        return None
    text = ""
    if ablation:
        real = ablation.get("p") is not None and ablation["p"] < CHANCE
        effect = "costs" if ablation["difference"] < 0 else "gains"
        text = (
            f"Without its negative weights ({f.percent(ablation.get('share'))} of all), "
            f"{ablation['label']} reaches {ablation['metric']} {f.decimals(ablation['without'])} "
            f"in place of {f.decimals(ablation['with'])} on {f.count(ablation.get('users'))} test "
            f"users of seed {ablation.get('seed', 0)}: "
            f"{f.signed(ablation['difference'])} {f.interval(ablation.get('ci95'))}. "
        )
        text += (
            f"Removing them {effect} accuracy."
            if real
            else f"The difference could be chance (p = {f.probability(ablation.get('p'))})."
        )
    shown = [row | {"text": f.percent(row["value"])} for row in rows]
    spec = None
    if rows:
        spec = small_charts.bars_chart(rows, title="share of negative weights", as_share=True)
    return {"rows": shown, "text": text, "spec": spec}


def people(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Example people with the lists of two models; bars of reasons have one scale in each list."""
    if not found or not found.get("persons"):
        return None
    persons = []
    for person in found["persons"]:
        lists = []
        for one in person["lists"]:
            amounts = [abs(r["amount"]) for row in one["rows"] for r in row.get("reasons") or ()]
            longest = max(amounts, default=0.0)
            rows = [
                row | {"reasons": [_bar(r, longest) for r in row.get("reasons") or ()]}
                for row in one["rows"]
            ]
            lists.append({**one, "rows": rows, "hits": sum(bool(row["hit"]) for row in rows)})
        persons.append({**person, "lists": lists})
    return {"rule": found.get("rule", ""), "persons": persons}


def _bar(reason: Mapping[str, Any], longest: float) -> dict[str, Any]:
    amount = reason["amount"]
    return {**reason, **reason_bar(amount, longest), "shown": f.signed(amount, 3)}


def item_map(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The map of items, and how far it can be trusted."""
    if not found or not found.get("drawing"):
        return None
    text = (
        f"{f.count(len(found['drawing']['ids']))} of {f.count(found['n_catalogue'])} items, placed "
        f"by {found['placed_by']} of what {found['model']} answers to each item alone: near items "
        "get like answers. Axes and distances between far groups mean nothing."
    )
    if found.get("kept") is not None:
        text += (
            f" Of each item's ten nearest by answer, {f.percent(found['kept'], 0)} are among its "
            "ten nearest here."
        )
    return {
        "text": text,
        "notes": list(found.get("notes") or ()),
        "drawing": found["drawing"],
    }
