"""Charts of a report as specifications of Vega-Lite.

Colours are tokens of the style sheet (``var(--ink)``), which browsers resolve in the drawing
itself: so a chart is right when it is light, when it is dark, and on paper, and is drawn once. A
specification holds its data, and no address.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]

KINDS = ("linear", "deep", "baseline")
_KIND_COLOURS = ("var(--mark-accent)", "var(--mark-against)", "var(--mark-quiet)")
_KIND_SHAPES = ("circle", "diamond", "square")
# lines of several models in one chart: told apart by colour, dash and order of the legend
_LINES = ("var(--chart-1)", "var(--chart-2)", "var(--chart-3)", "var(--chart-4)", "var(--chart-5)")
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3])
MOST_LINES = len(_LINES)
ROW = 22  # height of a row of a chart that names its rows

CONFIG: Spec = {
    "background": "transparent",
    "font": "Inter, system-ui, sans-serif",
    "view": {"stroke": None},
    "aria": False,  # the element around a chart says what it shows
    "axis": {
        "labelColor": "var(--ink-quiet)",
        "titleColor": "var(--ink-quiet)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "titleFontWeight": 500,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "labelLimit": 150,
    },
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--ink-quiet)",
        "orient": "top",
        "title": None,
        "labelFontSize": 12,
        "labelLimit": 150,
        "columns": {"expr": "width < 480 ? 2 : 5"},
        "symbolStrokeWidth": 2,
    },
    "text": {"color": "var(--ink)", "fontSize": 11},
    "rule": {"color": "var(--mark-quiet)"},
}


def chart(height: float, **rest: Any) -> Spec:
    """A chart as wide as the element that it is in."""
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        **rest,
    }


def names_axis(rows: Rows) -> Spec:
    """The labels of rows below each other, in their order; each is `ROW` high."""
    return {
        "field": "label",
        "type": "nominal",
        "sort": [row["label"] for row in rows],
        "axis": {"title": None, "labelColor": "var(--ink)", "ticks": False, "domain": False},
    }


def _kind(rows: Rows) -> Spec:
    """Colour and shape by the kind of a model, of those kinds that there are."""
    there = [place for place, kind in enumerate(KINDS) if any(r["kind"] == kind for r in rows)]

    def by(signs: Sequence[str]) -> Spec:
        scale = {"domain": [KINDS[p] for p in there], "range": [signs[p] for p in there]}
        return {"field": "kind", "type": "nominal", "scale": scale}

    return {"color": by(_KIND_COLOURS), "shape": by(_KIND_SHAPES)}


def _log_ticks(values: Sequence[float]) -> list[float]:
    """Round numbers within and around positive values: 1, 2 and 5, or powers of ten alone."""
    low, high = min(values), max(values)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in ticks if low / 2 <= tick <= 2 * high]


def cost_chart(rows: Rows, cost: str, title: str, metric: str, *, in_bytes: bool) -> Spec:
    """Accuracy against a cost, with the models that nothing beats at both.

    Parameters
    ----------
    rows : sequence of mappings
        ``label``, ``kind``, ``value``, ``low``, ``high`` (mean ± standard error), ``cost``,
        ``shown`` (the cost in words), ``front``, ``named`` (whether the label is written),
        ``hardware`` and ``hollow`` (whether that is not what most were measured on).
    cost, title : str
        What the axis shows.
    metric : str
    in_bytes : bool
    """
    labels = (
        "datum.value >= 1e9 ? format(datum.value / 1e9, ',.4~g') + ' GB' : datum.value >= 1e6 ? "
        "format(datum.value / 1e6, '.4~g') + ' MB' : format(datum.value / 1e3, '.4~g') + ' kB'"
        if in_bytes
        else "datum.value >= 0.01 ? format(datum.value, ',.4~g') + ' s' : "
        "format(datum.value * 1000, '.4~g') + ' ms'"
    )
    ticks = _log_ticks([row["cost"] for row in rows])
    x: Spec = {
        "field": "cost",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 24},
        "axis": {"title": title, "labelExpr": labels, "values": ticks},
    }
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": {"zero": False, "nice": True, "padding": 12},
        "axis": {"title": metric, "format": ".3f", "tickCount": 6},
    }
    tip = [
        {"field": "label", "title": "model"},
        {"field": "score", "title": metric},
        {"field": "shown", "title": cost},
    ]
    named = {"filter": "datum.named"}
    if any(row["hollow"] for row in rows):
        tip.append({"field": "hardware", "title": "measured on"})
    dot = {"type": "point", "size": 90, "opacity": 1}
    hollow = (
        {
            "transform": [{"filter": "datum.hollow"}],
            "mark": dot | {"filled": False, "fill": "var(--surface-card)", "strokeWidth": 1.8},
            "encoding": {"x": x, "y": y, **_kind(rows), "tooltip": tip},
        },
    )
    return chart(
        320,
        data={"values": [dict(row) for row in rows]},
        layer=[
            {
                "transform": [{"filter": "datum.front"}],
                "mark": {
                    "type": "line",
                    "interpolate": "step-after",
                    "color": "var(--mark-quiet)",
                    "strokeDash": [3, 3],
                    "strokeWidth": 1.2,
                },
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.7},
                "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
            },
            {
                "transform": [{"filter": "!datum.hollow"}],
                "mark": dot | {"filled": True, "stroke": "var(--surface-card)", "strokeWidth": 1},
                "encoding": {"x": x, "y": y, **_kind(rows), "tooltip": tip},
            },
            *(hollow if any(row["hollow"] for row in rows) else ()),
            *(
                {
                    "transform": [named, {"filter": f"datum.side == '{side}'"}],
                    "mark": {"type": "text", "align": align, "dx": dx, "dy": -9, "limit": 150},
                    "encoding": {"x": x, "y": y, "text": {"field": "label"}},
                }
                for side, align, dx in (("left", "right", -3), ("right", "left", 3))
            ),
        ],
        resolve={"scale": {"x": "shared", "y": "shared"}},
    )


def difference_chart(rows: Rows, metric: str, best: str) -> Spec:
    """How far each model is from the best one, with the interval of the difference.

    Parameters
    ----------
    rows : sequence of mappings
        ``label``, ``difference``, ``low``, ``high``, ``answer`` and ``shown``; best first.
    metric, best : str
    """
    y = names_axis(rows)
    title = f"difference to {best}, {metric}"
    x: Spec = {
        "field": "low",
        "type": "quantitative",
        "scale": {"padding": 10},
        "axis": {"title": title, "tickCount": 5},
    }
    answers = ("could be chance", "real")
    colour: Spec = {
        "field": "answer",
        "type": "nominal",
        "scale": {"domain": list(answers), "range": ["var(--mark-quiet)", "var(--mark-accent)"]},
    }
    tip = [{"field": "label", "title": "model"}, {"field": "shown", "title": "difference"}]
    return chart(
        ROW * len(rows),
        data={"values": [dict(row) for row in rows]},
        layer=[
            {"mark": {"type": "rule", "strokeDash": [3, 3]}, "encoding": {"x": {"datum": 0}}},
            {
                "mark": {"type": "rule", "strokeWidth": 2.5, "strokeCap": "round"},
                "encoding": {"y": y, "x": x, "x2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {
                    "y": y,
                    "x": x | {"field": "difference"},
                    "color": colour,
                    "tooltip": tip,
                },
            },
        ],
    )


def lines_chart(
    rows: Rows,
    models: Sequence[str],
    *,
    x: str,
    x_title: str,
    y_title: str,
    order: Sequence[Any],
    errors: bool = False,
) -> Spec:
    """A value of a few models over ordered groups of items or people.

    Parameters
    ----------
    rows : sequence of mappings
        ``label``, ``value``, the field `x`, and ``low`` and ``high`` with `errors`.
    models : sequence of str
        Labels, at most `MOST_LINES`.
    x, x_title, y_title : str
    order : sequence
        The groups, from left to right.
    errors : bool
        Whether each value has an interval.
    """
    axis: Spec = {
        "field": x,
        "type": "ordinal",
        "sort": list(order),
        "axis": {"title": x_title, "labelAngle": 0, "grid": False},
    }
    value: Spec = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": y_title, "tickCount": 5},
    }
    scale = {"domain": list(models), "range": list(_LINES[: len(models)])}
    legend = {"symbolType": "stroke", "symbolSize": 260, "symbolStrokeWidth": 2.5}
    colour: Spec = {"field": "label", "type": "nominal", "scale": scale, "legend": legend}
    dash: Spec = {
        "field": "label",
        "type": "nominal",
        "scale": {"domain": list(models), "range": list(_DASHES[: len(models)])},
        "legend": legend,
    }
    tip = [
        {"field": "label", "title": "model"},
        {"field": x, "title": x_title},
        {"field": "value", "title": y_title, "format": ".4f"},
    ]
    bars = [
        {
            "mark": {"type": "rule", "strokeWidth": 1.2, "opacity": 0.6},
            "encoding": {
                "x": axis,
                "y": value | {"field": "low"},
                "y2": {"field": "high"},
                "color": colour,
            },
        }
    ]
    return chart(
        220,
        data={"values": [dict(row) for row in rows]},
        layer=[
            {
                "mark": {"type": "line", "strokeWidth": 2},
                "encoding": {"x": axis, "y": value, "color": colour, "strokeDash": dash},
            },
            *(bars if errors else []),
            {
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                "encoding": {"x": axis, "y": value, "color": colour, "tooltip": tip},
            },
        ],
    )


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which of (cost, value) no other beats: none is at least as good at both and better at one."""
    order = sorted(range(len(points)), key=lambda n: (points[n][0], -points[n][1]))
    on_it, highest, cheapest = [False] * len(points), -math.inf, None
    for place in order:
        cost, value = points[place]
        if value > highest:
            on_it[place], highest, cheapest = True, value, cost
        elif value == highest and cost == cheapest:
            on_it[place] = True  # the same in both: neither beats the other
    return on_it
