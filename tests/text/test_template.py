"""One text per item: what a person would write by hand."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from shoal.errors import DataError
from shoal.text.template import render


def one(template: str, **cells: object) -> str:
    """The text of a single item; None is a null in a column of text."""
    columns = {
        name: pl.Series([cell], dtype=pl.String) if cell is None else [cell]
        for name, cell in cells.items()
    }
    return render(pl.DataFrame(columns), template)[0]


FULL = {"title": "Alien", "genres": "Horror|Sci-Fi", "about": "A ship answers a call."}


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ((), "Alien. Horror, Sci-Fi. A ship answers a call."),
        (("genres",), "Alien. A ship answers a call."),
        (("about",), "Alien. Horror, Sci-Fi."),
        (("title",), "Horror, Sci-Fi. A ship answers a call."),
        (("title", "genres"), "A ship answers a call."),
        (("genres", "about"), "Alien."),
        (("title", "genres", "about"), ""),
    ],
)
@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_what_is_missing_leaves_its_part_out(
    missing: tuple[str, ...], expected: str, nothing: str | None
) -> None:
    cells = FULL | dict.fromkeys(missing, nothing)
    assert one("{title}. {genres}. {about}", **cells) == expected


@pytest.mark.parametrize(
    ("template", "cells", "expected"),
    [
        ("Title: {a}. Genres: {b}. {c}", ("X", None, "Z"), "Title: X. Z"),
        ("{a} ({b}). By {c}", ("X", "1979", None), "X (1979)."),
        ("{a} ({b}). By {c}", ("X", None, "Z"), "X By Z"),
        ("{a} ({b}). By {c}", (None, "1979", "Z"), "(1979). By Z"),
        ("{a} - {b} - {c}", ("X", None, "Z"), "X - Z"),
        ("{a} - {b} - {c}", (None, "Y", "Z"), "Y - Z"),
        ("{a}, {b}, {c}", ("X", "Y", None), "X, Y"),
        ("{a}\n{b}\n{c}", ("X", None, "Z"), "X\nZ"),
        ("{a}/{b}{c}", ("X", "Y", "Z"), "X/YZ"),
        ("{{{a}}} {b} {c} end", ("X", "Y", "Z"), "{X} Y Z end"),
        ("{a} {b} {c}", ("-5", "Y", "AC/"), "-5 Y AC/"),
    ],
)
def test_words_around_a_column_come_and_go_with_it(
    template: str, cells: tuple[str | None, ...], expected: str
) -> None:
    assert one(template, **dict(zip("abc", cells, strict=True))) == expected


def test_cells_of_every_type_are_written_as_people_write_them() -> None:
    table = pl.DataFrame(
        {
            "list": [["a", None, " b "], [], None],
            "array": pl.Series([["x", "y"]] * 3, dtype=pl.Array(pl.String, 2)),
            "whole": [1995.0, None, float("nan")],
            "single": pl.Series([4.1, 0.5, 2.0], dtype=pl.Float32),
            "count": [1, 2, None],
            "day": [date(1999, 3, 31), None, None],
            "kind": pl.Series(["k", "l", None], dtype=pl.Categorical),
            "title": ["None", "A | B|", "nan"],
        }
    )
    names = ["list", "array", "whole", "single", "count", "day", "kind", "title"]
    template = " / ".join(f"{{{name}}}" for name in names)
    assert render(table, template) == [
        "a, b / x, y / 1995 / 4.1 / 1 / 1999-03-31 / k / None",
        "x, y / 0.5 / 2 / l / A, B",
        "x, y / 2 / nan",  # a title that reads nan is a title, a number that is none is missing
    ]


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{titel}", r"'titel' \(did you mean 'title'\?\); films.csv has: title, blob"),
        ("no column", "names no column"),
        ("{title", "write it like"),
        ("{title:>9}", "braces hold a column's name"),
        ("{title!r}", "braces hold a column's name"),
        ("{}", "braces hold a column's name"),
        ("{blob}", "which is no text"),
    ],
)
def test_a_template_that_cannot_be_filled_is_one_line(template: str, complaint: str) -> None:
    table = pl.DataFrame({"title": ["X"], "blob": [{"a": 1}]})
    with pytest.raises(DataError, match=complaint) as error:
        render(table, template, "films.csv")
    assert "\n" not in str(error.value)
