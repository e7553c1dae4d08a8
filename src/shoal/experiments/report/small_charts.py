"""Charts of one series: small lines for a grid, the curve of popularity, bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.experiments.report.charts import ROW, Rows, Spec, chart, names_axis

_DOTS = 40  # points of a small chart that can be told apart


def thinned(rows: Sequence[Any], most: int) -> list[Any]:
    """At most so many rows, evenly chosen; the first and the last are among them."""
    last = len(rows) - 1
    if last < most:
        return list(rows)
    return [rows[round(place * last / (most - 1))] for place in range(most)]


def small_line_chart(
    rows: Rows,
    *,
    x: str,
    x_title: str,
    y_title: str,
    domain: Sequence[float] | None = None,
    steps: bool = False,
) -> Spec:
    """One line, for a grid of small charts; `domain` makes their axes alike.

    Rows that have ``tried`` beside ``value`` have their dots there.
    """
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": y_title, "tickCount": 4, "format": ".3~f", "minExtent": 32},
        "scale": {"zero": False} | ({"domain": list(domain)} if domain else {}),
    }
    across: Spec = {
        "field": x,
        "type": "quantitative",
        "axis": {"title": x_title, "tickCount": 4, "tickMinStep": 1, "grid": False},
        "scale": {"zero": False, "nice": False},
    }
    field = "tried" if any("tried" in row for row in rows) else "value"  # of the dots
    tip = [
        {"field": x, "title": x_title, "format": ".4~g"},
        {"field": field, "title": y_title, "format": ".4f"},
    ]
    line: Spec = {"type": "line", "color": "var(--mark-accent)", "strokeWidth": 1.8, "clip": True}
    if steps:
        line["interpolate"] = "step-after"
    dot: Spec = {"type": "point", "filled": True, "clip": True}
    if field == "tried":
        dot |= {"color": "var(--mark-quiet)", "size": 22, "opacity": 0.8}
    else:  # dots that cannot be told apart are not seen, and still tell their values
        opacity = 1 if len(rows) <= _DOTS else 0
        dot |= {"color": "var(--mark-accent)", "size": 18, "opacity": opacity}
    dots = {"x": across, "y": y | {"field": field}, "tooltip": tip}
    return chart(
        110,
        data={"values": [dict(row) for row in rows]},
        layer=[
            {"mark": line, "encoding": {"x": across, "y": y}},
            {"mark": dot, "encoding": dots},
        ],
    )


def share_chart(points: Sequence[Sequence[float]]) -> Spec:
    """Which share of the interactions the most popular items have; equal shares as a line."""
    rows = [{"items": x, "interactions": y} for x, y in points]
    axis: Spec = {"type": "quantitative", "axis": {"format": ".0%", "tickCount": 5}}
    x = axis | {"field": "items", "axis": axis["axis"] | {"title": "share of the items"}}
    y = axis | {
        "field": "interactions",
        "axis": axis["axis"] | {"title": "share of the interactions"},
    }
    tip = [
        {"field": "items", "title": "most popular items", "format": ".1%"},
        {"field": "interactions", "title": "interactions", "format": ".1%"},
    ]
    equal = {"values": [{"items": 0, "interactions": 0}, {"items": 1, "interactions": 1}]}
    return chart(
        200,
        data={"values": rows},
        layer=[
            {
                "data": equal,
                "mark": {"type": "line", "color": "var(--mark-quiet)", "strokeDash": [3, 3]},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "line", "color": "var(--mark-accent)", "strokeWidth": 2},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "point", "opacity": 0, "size": 80},
                "encoding": {"x": x, "y": y, "tooltip": tip},
            },
        ],
    )


def bars_chart(rows: Rows, *, title: str, as_share: bool = False) -> Spec:
    """A bar for each row of ``label`` and ``value``, in their order."""
    axis: Spec = {"title": title, "tickCount": 5} | ({"format": ".0%"} if as_share else {})
    tip = [
        {"field": "label", "title": "model"},
        {"field": "value", "title": title, "format": ".1%" if as_share else ".4f"},
    ]
    return chart(
        ROW * len(rows),
        data={"values": [dict(row) for row in rows]},
        mark={"type": "bar", "color": "var(--mark-accent)", "height": {"band": 0.6}},
        encoding={
            "y": names_axis(rows),
            "x": {"field": "value", "type": "quantitative", "axis": axis},
            "tooltip": tip,
        },
    )
