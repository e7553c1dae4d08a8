"""Small charts as the geometry of SVG: lines, areas and intervals, drawn by a template.

All positions are numbers for attributes, since a strict Content-Security-Policy allows no inline
style; colours are classes of the style sheet. Each chart has a text that says the same in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 360.0, 132.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 38.0, 10.0, 12.0, 20.0  # margins, for the labels of the axes
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
Value = float | None


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Parameters
    ----------
    name : str
        For the legend and the text alternative.
    colour : str
        The end of a class of the style sheet, such as the 1 of ``line-1``: 1, 2 or 3.
    values : sequence of float or None
        One for each bin; None where nothing is known.
    area : bool
        Whether the surface below the line is filled.
    """

    name: str
    colour: str
    values: Sequence[Value]
    area: bool = False


@dataclass(frozen=True)
class Mark:
    """A moment, as a line across the chart.

    Parameters
    ----------
    share : float
        Where: 0 is the left end of the chart, 1 the right end.
    label : str
    """

    share: float
    label: str


@dataclass(frozen=True)
class Drawn:
    """A line as it is drawn.

    Parameters
    ----------
    name, colour : str
    line, area : str
        The attribute ``d`` of two paths; empty where there is nothing to draw.
    dots : list of (x, y)
        Values that have no neighbour, so that no line shows them.
    latest : str
        The last value that is known, for the legend.
    """

    name: str
    colour: str
    line: str
    area: str
    dots: list[tuple[float, float]]
    latest: str


@dataclass(frozen=True)
class Chart:
    """A chart as a template draws it; see the macro `chart` of ``charts.html``.

    Parameters
    ----------
    id : str
        Of the elements that name it; unique in its page.
    title, description : str
        The description says in words what the lines show.
    unit : str
    lines : list of Drawn
    across : list of (x, label, anchor)
        Labels of the axis of time.
    up : list of (y, label)
        Labels of the axis of values, each with a line across.
    marks : list of (x, label)
    empty : bool
        Whether nothing at all is known.
    """

    id: str
    title: str
    description: str
    unit: str
    lines: list[Drawn]
    across: list[tuple[float, str, str]]
    up: list[tuple[float, str]]
    marks: list[tuple[float, str]]
    empty: bool
    width: float = WIDTH
    height: float = HEIGHT
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM


def line_chart(
    name: str,
    title: str,
    series: Sequence[Series],
    *,
    unit: str = "",
    ends: tuple[str, str, str] = ("60 min ago", "30 min", "now"),
    marks: Sequence[Mark] = (),
    least_top: float = 1.0,
    digits: int = 2,
) -> Chart:
    """Lay out a chart of one or several series over the same time.

    Parameters
    ----------
    name : str
        Letters, for the ids of its elements.
    title : str
    series : sequence of Series
        All of the same length.
    unit : str
        Such as ``ms``.
    ends : (str, str, str)
        Labels of the axis of time: its left end, its middle and its right end.
    marks : sequence of Mark
    least_top : float
        The axis of values goes up to here at least, so that noise near zero looks small.
    digits : int
        Decimals of small values.
    """
    known = [value for each in series for value in each.values if value is not None]
    top = _nice_top(max([least_top, *known]))
    bottom_y, right_x = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    middle_x = (_LEFT + right_x) / 2
    drawn = [_drawn(each, top, digits) for each in series]
    return Chart(
        id=name,
        title=title,
        description=_in_words(series, unit, marks, digits),
        unit=unit,
        lines=drawn,
        across=[
            (_LEFT, ends[0], "start"),
            (round(middle_x, 1), ends[1], "middle"),
            (right_x, ends[2], "end"),
        ],
        up=[
            (bottom_y, "0"),
            (round((bottom_y + _TOP) / 2, 1), f"{top / 2:,.6g}"),
            (_TOP, f"{top:,.6g}"),
        ],
        marks=[(round(_LEFT + m.share * (right_x - _LEFT), 1), m.label) for m in marks],
        empty=not known,
    )


def _drawn(series: Series, top: float, digits: int) -> Drawn:
    """The paths of one series: a piece for each run of values without a gap."""
    bottom = HEIGHT - _BOTTOM
    step = (WIDTH - _RIGHT - _LEFT) / max(1, len(series.values))
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(series.values):
        if value is None:
            runs.append([])
            continue
        x = _LEFT + (place + 0.5) * step  # a value stands in the middle of its bin
        y = bottom - (bottom - _TOP) * min(max(value, 0.0), top) / top
        runs[-1].append((round(x, 1), round(y, 1)))
    pieces = [run for run in runs if len(run) > 1]
    line = " ".join(_path(run) for run in pieces)
    area = ""
    if series.area:
        area = " ".join(
            f"{_path(run)} L{run[-1][0]:g} {bottom:g} L{run[0][0]:g} {bottom:g} Z" for run in pieces
        )
    dots = [run[0] for run in runs if len(run) == 1]
    known = [value for value in series.values if value is not None]
    latest = number(known[-1], digits) if known else "–"
    return Drawn(series.name, series.colour, line, area, dots, latest)


def _path(points: Sequence[tuple[float, float]]) -> str:
    first, *rest = points
    return f"M{first[0]:g} {first[1]:g} " + " ".join(f"L{x:g} {y:g}" for x, y in rest)


def _nice_top(value: float) -> float:
    """The least of 1, 2, 2.5, 5 and 10 times a power of ten that is not below a value."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(power * nice for nice in _NICE if power * nice >= value * (1 - 1e-12))


def number(value: float, digits: int = 2) -> str:
    """A number with few digits: decimals where it is small, commas where it is large."""
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.{min(1, digits)}f}"
    return f"{value:.{digits}f}"


def _in_words(series: Sequence[Series], unit: str, marks: Sequence[Mark], digits: int) -> str:
    """What a chart shows, as text."""
    sentences = []
    for each in series:
        known = [value for value in each.values if value is not None]
        if not known:
            sentences.append(f"{each.name}: nothing is known.")
            continue
        of_unit = f" {unit}" if unit else ""
        sentences.append(
            f"{each.name}: at last {number(known[-1], digits)}{of_unit}, at least "
            f"{number(min(known), digits)}, at most {number(max(known), digits)}."
        )
    gaps = {value is None for value in series[0].values} if series else set()
    if gaps == {True, False}:
        sentences.append("Where the line is broken, nothing is known.")
    sentences += [f"{mark.label}." for mark in marks]
    return " ".join(sentences)


@dataclass(frozen=True)
class IntervalBar:
    """An estimate with its interval on an axis that several rows share.

    Parameters
    ----------
    low, value, high : float
        Positions from left to right; `low` and `high` are those of `value` where there is none.
    reference : float or None
        Position of the line to compare with.
    width, height : float
    text : str
        The same in words.
    """

    low: float
    value: float
    high: float
    reference: float | None
    text: str
    width: float = 160.0
    height: float = 20.0
    colour: str = "1"
    has_interval: bool = field(default=True)


def interval_bars(
    rows: Sequence[tuple[Value, Value, Value]],
    texts: Sequence[str],
    *,
    reference: Value = None,
    colours: Sequence[str] | None = None,
    width: float = 160.0,
) -> list[IntervalBar | None]:
    """Place estimates with their intervals on one axis, which covers them all.

    Parameters
    ----------
    rows : sequence of (low, value, high)
        `low` and `high` are None where there is no interval; a row without a value is None in the
        result.
    texts : sequence of str
        What each row says, in words.
    reference : float, optional
        A value to compare with, such as that of the control, or zero.
    colours : sequence of str, optional
        As of `Series`.
    width : float
    """
    ends = [end for row in rows for end in row if end is not None]
    if reference is not None:
        ends.append(reference)
    if not ends:
        return [None] * len(rows)
    low, high = min(ends), max(ends)
    margin = 6.0

    def at(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(margin + share * (width - 2 * margin), 1)

    bars: list[IntervalBar | None] = []
    for place, (below, value, above) in enumerate(rows):
        if value is None:
            bars.append(None)
            continue
        known = below is not None and above is not None
        bars.append(
            IntervalBar(
                at(below if below is not None and known else value),
                at(value),
                at(above if above is not None and known else value),
                None if reference is None else at(reference),
                texts[place],
                width=width,
                colour="1" if colours is None else colours[place],
                has_interval=known,
            )
        )
    return bars
