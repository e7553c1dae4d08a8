"""Charts are numbers for attributes: where points stand, gaps, axes, and the text beside them."""

from __future__ import annotations

import pytest

from shoal.service.charts import (
    HEIGHT,
    WIDTH,
    Mark,
    Series,
    _nice_top,
    interval_bars,
    line_chart,
    number,
)


def points(path: str) -> list[tuple[float, float]]:
    """The corners of a path that has M and L alone."""
    numbers = [float(part.lstrip("ML")) for part in path.replace("Z", "").split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_points_stand_where_a_ruler_would_put_them() -> None:
    chart = line_chart("r", "Requests", [Series("all", "1", [0, 5, 10, 2.5])])
    assert chart.up[0] == (112, "0")  # 132 − 20
    assert chart.up[2] == (12, "10")
    width = (350 - 38) / 4  # of each of the four bins, between 38 and 360 − 10
    assert points(chart.lines[0].line) == [
        (pytest.approx(38 + width / 2, abs=0.05), 112),  # nothing: on the axis
        (pytest.approx(38 + 1.5 * width, abs=0.05), 62),  # the half
        (pytest.approx(38 + 2.5 * width, abs=0.05), 12),  # the top
        (pytest.approx(38 + 3.5 * width, abs=0.05), 87),
    ]
    assert chart.description == "all: at last 2.50, at least 0, at most 10."


def test_gaps_break_lines_and_areas_and_single_values_are_dots() -> None:
    values = [1.0, 2.0, None, 3.0, None, None, 1.0, 1.0, 1.0]
    drawn = line_chart("r", "Requests", [Series("all", "1", values, area=True)]).lines[0]
    assert drawn.line.count("M") == 2
    assert drawn.area.count("Z") == 2
    assert len(drawn.dots) == 1
    assert len(points(drawn.line)) == 5
    areas = points(drawn.area)
    assert len(areas) == 5 + 2 * 2
    assert sorted(y for _, y in areas)[-4:] == [112] * 4  # down to the axis


def test_gaps_and_marks_are_said_in_words() -> None:
    chart = line_chart(
        "r", "Latency", [Series("median", "1", [1.0, None, 12.345])],
        unit="ms", marks=[Mark(0.5, "version v2 began to answer")],
    )  # fmt: skip
    assert chart.description == (
        "median: at last 12.3 ms, at least 1, at most 12.3. Where the line is broken, nothing "
        "is known. version v2 began to answer."
    )
    assert chart.marks == [(194.0, "version v2 began to answer")]  # (38 + 350) / 2


def test_a_chart_of_nothing_is_empty_and_stays_inside() -> None:
    chart = line_chart("r", "Requests", [Series("all", "1", [None, None])])
    assert chart.empty
    assert chart.lines[0].line == chart.lines[0].area == ""
    assert chart.lines[0].latest == "–"
    full = line_chart("r", "x", [Series("all", "1", [7e9, -1.0, 1e-12, 3.0])])
    for x, y in points(full.lines[0].line):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (1, 1), (1.01, 2), (2.1, 2.5), (3, 5), (51, 100), (0.03, 0.05), (1e6, 1e6)],
)
def test_axes_end_at_round_numbers(value: float, top: float) -> None:
    assert _nice_top(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.128, "0.13"),
        (3, "3"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234567.8, "1,234,568"),
    ],
)
def test_numbers_have_few_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_intervals_share_an_axis() -> None:
    bars = interval_bars(
        [(0.1, 0.2, 0.3), (None, 0.5, None), (None, None, None)],
        ["a", "b", "c"],
        reference=0.0,
        width=112.0,
    )
    first, second, third = bars
    assert first is not None
    assert second is not None
    assert third is None
    # 0 … 0.5 on 6 … 106
    assert (first.low, first.value, first.high, first.reference) == (26, 46, 66, 6)
    assert (second.low, second.value, second.high) == (106, 106, 106)
    assert not second.has_interval


def test_an_axis_of_one_value_has_it_in_the_middle() -> None:
    (bar,) = interval_bars([(0.2, 0.2, 0.2)], ["a"], width=160)
    assert bar is not None
    assert bar.value == 80
