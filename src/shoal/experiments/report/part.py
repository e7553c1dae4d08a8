"""All that a report shows of one data set, for its templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.experiments.report import formats as f
from shoal.experiments.report import group_sections, sections, small_charts
from shoal.experiments.report.extra_sections import item_map, negative_weights, people
from shoal.experiments.report.notes import folded
from shoal.experiments.report.tables import Comparison, sizes, verdict_lines
from shoal.experiments.report.tuning_section import is_folded, tuning


def part(comparison: Comparison, id_: str, trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sections of one data set, and the charts in them.

    Parameters
    ----------
    comparison : mapping
    id_ : str
        Beginning of the ids of its elements; unique in the page.
    trials : sequence of mappings
        Of this data set.

    Returns
    -------
    dict
        `specs` are the charts by the id of their place.
    """
    extras = comparison.get("extras") or {}
    tuned = tuning(comparison, trials)
    made: dict[str, Any] = {
        "id": id_,
        "name": str(comparison["data"]["name"]),
        "metric": comparison["metric"],
        "about": sizes(comparison["data"]),
        "protocol": comparison.get("protocol") or "Test users",
        "seeds": len(comparison.get("seeds") or ()),
        "verdict": _verdict(comparison),
        "unfinished": folded(sections.unfinished(comparison)),
        "refused": list((comparison.get("refused") or {}).items()),
        "notes": folded([*(comparison.get("notes") or ()), *(extras.get("notes") or ())]),
        "leaderboard": sections.leaderboard(comparison),
        "differences": sections.differences(comparison),
        "costs": sections.costs(comparison),
        "curves": sections.curves(comparison),
        "by_popularity": group_sections.by_popularity(comparison),
        "by_history": group_sections.by_history(comparison),
        "published": sections.published(comparison),
        "tuning": tuned,
        "tuning_is_folded": is_folded(tuned),
        "negative": negative_weights(comparison),
        "people": people(extras.get("people")),
        "map": item_map(extras.get("map")),
        "data": _data(comparison, extras),
        "share_text": _share_text(extras),
    }
    made["contents"] = _contents(made)
    made["specs"] = _specs(made, extras)
    return made


def _specs(made: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
    specs = {f"costs-{choice['field']}": choice["spec"] for choice in made["costs"]["choices"]}
    specs |= {f"curve-{n}": curve["spec"] for n, curve in enumerate(made["curves"], start=1)}
    specs |= {f"tuning-{row['number']}": row["spec"] for row in made["tuning"] if row["spec"]}
    for name, section in (
        ("differences", made["differences"]),
        ("popularity", made["by_popularity"]),
        ("history", made["by_history"]),
        ("negative", made["negative"]),
    ):
        if section and section.get("spec"):
            specs[name] = section["spec"]
    if made["share_text"]:
        specs["share"] = small_charts.share_chart(extras["data"]["popularity"])
    return {f"{made['id']}-{name}": spec for name, spec in specs.items()}


def _contents(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the links at the top lead to."""
    there = {
        "verdict": "Verdict",
        "leaderboard": "Leaderboard",
        "costs": "Cost",
        "curves": "Curves" if made["curves"] else "",
        "popularity": "Popularity" if made["by_popularity"] else "",
        "people": "People" if made["people"] else "",
        "map": "Map" if made["map"] else "",
        "data": "Data",
        "tuning": "Tuning" if made["tuning"] else "",
        "published": "Published" if made["published"] else "",
    }
    return [(id_, title) for id_, title in there.items() if title]


def _verdict(comparison: Comparison) -> dict[str, Any]:
    """The verdict in words and in three tiles."""
    verdict = comparison.get("verdict") or {}
    depth = verdict.get("depth") or {}
    by_label = {model["label"]: model for model in comparison["models"]}
    metric = comparison["metric"]

    def value(label: Any) -> str:
        score = sections.score_of(by_label[label], metric) if label in by_label else {}
        return f.decimals(score.get("mean"))

    def shown(label: Any) -> str:
        if label not in by_label:
            return ""
        model = by_label[label]
        return f"{value(label)}, fitted in {f.seconds(model.get('fit_seconds'))}"

    paragraphs = verdict_lines(verdict)
    about_depth = str(depth.get("text") or "")
    # older results have no lines, and the answer to depth stands among the rest
    told_apart = bool(about_depth) and paragraphs[-1].casefold() == about_depth.casefold()
    answer = "not asked"
    if depth.get("asked"):
        pays = depth.get("pays")
        answer = "cannot be told" if pays is None else "yes" if pays else "no"
    difference = ""
    if not depth.get("asked") and verdict.get("best"):
        difference = "there is no deep model, or no linear one"
    if depth.get("difference") is not None:
        difference = (
            f"{depth.get('deep')} minus {depth.get('linear')}: "
            f"{f.signed(depth['difference'])} {f.interval(depth.get('ci95'))}"
        )
    return {
        "lines": paragraphs[:-1] if told_apart else paragraphs,
        "depth": paragraphs[-1] if told_apart else "",
        "best": verdict.get("best"),
        "best_score": value(verdict.get("best")),
        "best_shown": shown(verdict.get("best")),
        "ship": verdict.get("ship"),
        "ship_shown": shown(verdict.get("ship")),
        "answer": answer,
        "depth_difference": difference,
    }


def _data(comparison: Comparison, extras: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows about the data."""
    data, more = comparison["data"], extras.get("data") or {}
    rows = [(key, f.count(data.get(key))) for key in ("users", "items", "interactions")]
    density = data.get("density")
    rows += [
        ("density", f.UNKNOWN if density is None else f"{100 * density:.3g} %"),
        ("items in a history, median", f.count(data.get("median_history"))),
    ]
    quantiles = more.get("history_quantiles")
    if quantiles:
        texts = [f"{round(100 * share)}\u00a0%: {f.count(value)}" for share, value in quantiles]
        rows.append(("items in a history, quantiles", " · ".join(texts)))
    rows += [
        ("interactions with the top 20 % of items", f.percent(data.get("head_share"))),
        ("Gini coefficient of popularity", f.decimals(data.get("popularity_gini"), 3)),
        ("protocol", str(comparison.get("protocol") or f.UNKNOWN)),
        ("test users", f.count(comparison.get("users"))),
        ("seeds", ", ".join(map(str, comparison.get("seeds") or ())) or f.UNKNOWN),
    ]
    return [row for row in rows if row[1] != f.UNKNOWN]


def _share_text(extras: Mapping[str, Any]) -> str:
    """What the curve of popularity says, in words."""
    points = (extras.get("data") or {}).get("popularity") or []
    tenth = next((y for x, y in points if x >= 0.1), None)
    if tenth is None:
        return ""
    return f"The most popular tenth of the items has {f.percent(tenth, 0)} of the interactions."
