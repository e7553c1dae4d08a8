"""One text per item from the columns of its row: ``"{title}. {genres}. {description}"``."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from string import Formatter

import polars as pl

from shoal.errors import DataError

_EXAMPLE = '"{title}. {genres}"'
_EDGES = " \t\n,;:|/-–—·"  # separators that make no sense first or last, once a part is left out


@dataclass(frozen=True)
class Part:
    """A column with the words around it, which are left out where its cell is empty.

    Parameters
    ----------
    before, column, after : str
        Words before the column, name of the column, words after it: ``"Genres: "``, ``"genres"``,
        ``"."``.
    gap : str
        White space up to the next part.
    """

    before: str
    column: str
    after: str
    gap: str


def parse(template: str) -> list[Part]:
    """Cut a template into its parts.

    The text between two columns is cut at its first white space: what stands before it goes with
    the column on the left, what stands behind it with the column on the right. In
    ``"{title} ({year}). By {author}"`` the brackets and the full stop belong to the year and
    ``By`` to the author.

    Raises
    ------
    DataError
        Unbalanced braces, a format such as ``{year:>4}``, or no column at all.
    """
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise DataError(f"template {template!r}: {error}; write it like {_EXAMPLE}") from error
    columns: list[str] = []
    literals = [""]  # texts before, between and after the columns
    for literal, column, spec, conversion in pieces:
        literals[-1] += literal
        if column is None:  # an escaped brace, or the end
            continue
        if not column or spec or conversion:
            raise DataError(f"template {template!r}: braces hold a column's name, as in {_EXAMPLE}")
        columns.append(column)
        literals.append("")
    if not columns:
        raise DataError(f"template {template!r} names no column: write it like {_EXAMPLE}")
    before, parts = literals[0], []
    for number, column in enumerate(columns, 1):
        after, gap, behind = literals[number], "", ""
        if number < len(columns):
            after, gap, behind = re.fullmatch(r"(\S*)(\s*)(.*)", after, re.DOTALL).groups()  # type: ignore[union-attr]
        parts.append(Part(before, column, after, gap))
        before = behind
    return parts


def render(table: pl.DataFrame, template: str, where: str = "the item table") -> list[str]:
    """Fill a template for each row.

    A cell that is null, NaN or blank leaves its part out. Lists and ``A|B`` are written ``A, B``.

    Parameters
    ----------
    table : DataFrame
    template : str
    where : str
        Name of the table, for error messages.

    Returns
    -------
    list of str
        One text for each row; it is empty where every cell is.

    Raises
    ------
    DataError
        The template is malformed, or names a column that is not there or holds no text.
    """
    parts = parse(template)
    cells = [_texts(table, part.column, where) for part in parts]
    return [_join(parts, row) for row in zip(*cells, strict=True)]


def _join(parts: list[Part], row: tuple[str | None, ...]) -> str:
    """The text of one row, whose cells stand in the order of the parts."""
    pieces = [
        part.before + cell + part.after + part.gap
        for part, cell in zip(parts, row, strict=True)
        if cell is not None
    ]
    text = "".join(pieces)
    return text.strip() if len(pieces) == len(parts) else text.strip(_EDGES)


def _texts(table: pl.DataFrame, column: str, where: str) -> list[str | None]:
    """The cells of a column as people write them; None for those that are missing."""
    if column not in table.columns:
        close = difflib.get_close_matches(column, table.columns, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise DataError(
            f"the template names {column!r}{hint}; {where} has: {', '.join(table.columns)}"
        )
    series = table[column]
    dtype = series.dtype
    if isinstance(dtype, pl.List | pl.Array):
        return [None if cells is None else _listed(cells) for cells in series.to_list()]
    if dtype.is_float():
        digits = 7 if dtype == pl.Float32 else 15
        numbers = series.fill_nan(None).to_list()
        return [None if x is None else f"{x:.{digits}g}" for x in numbers]
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        raise DataError(f"column {column!r} of {where} has type {dtype}, which is no text")
    return [None if cell is None else _readable(cell) for cell in series.cast(pl.String).to_list()]


def _listed(cells: list[object]) -> str | None:
    """Several values as ``A, B``; None if none of them is filled."""
    return ", ".join(str(c).strip() for c in cells if c is not None and str(c).strip()) or None


def _readable(cell: str) -> str | None:
    """A cell without outer blanks, and ``A|B`` as ``A, B``; None if it is blank."""
    if "|" in cell:
        return _listed(list(cell.split("|")))
    return cell.strip() or None
