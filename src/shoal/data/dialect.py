"""How a text file is written: its separator, its header, and what a line of it is."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from shoal.errors import DataError

Format = Literal["auto", "rows", "basket"]
Quotes = Literal["auto", "csv", "none"]

BLANKS = " "  # any run of blanks and tabs
_SINGLE = ("\t", ";", "|", ",")
_AGREE = 0.9  # share of the lines that must have as many values as the first one
_RECBOLE = re.compile(r"(.+):(token|float|token_seq|float_seq)")
_MISSING = {"", "null", "none", "na", "nan", r"\n"}
_MOMENT = re.compile(r"[\d:./+TZ -]*\d[\d:./+TZ -]*")  # dates and times of day
_WHAT_A_LINE_IS = (
    ", or say what a line is: --format basket for a user with all items, --format rows for user, "
    "item, value and time in the first four columns; --header if the first line names the columns"
)


def _no_name(_: str) -> bool:
    return False


@dataclass(frozen=True)
class TextRules:
    """What a caller knows of a text file; what is left out is found out from its first lines.

    Parameters
    ----------
    format : {"auto", "rows", "basket"}
        Whether a line is an interaction, or a user with all items of the user.
    header : bool, optional
        Whether the first line names the columns.
    quotes : {"auto", "csv", "none"}
        Whether quotes enclose values, which may then hold separators and line ends, or are letters
        like others.
    separator : str, optional
    names : tuple of str
        Columns that the caller asked for.
    is_usual_name : function
        Whether a text is a usual name of a column.
    option : str
        The option of the command line that names columns, for messages.
    says_lines : bool
        Whether the command line has options that say what a line is, for messages.
    """

    format: Format = "auto"
    header: bool | None = None
    quotes: Quotes = "auto"
    separator: str | None = None
    names: tuple[str, ...] = ()
    is_usual_name: Callable[[str], bool] = _no_name
    option: str = "--columns"
    says_lines: bool = True


@dataclass(frozen=True)
class Dialect:
    """How a text file is written.

    Parameters
    ----------
    separator : str
        One character, ``::``, or `BLANKS`.
    names : tuple of str
        Names of the columns; ``column_1``, … without a header.
    cells : tuple of str
        Values of the first line.
    has_header : bool
    basket : bool
        Whether a line is a user and all items of the user.
    quotes : {"auto", "csv", "none"}
    decimal_commas : tuple of str
        Columns of numbers such as ``3,5``.
    notes : tuple of str
        What was guessed, in words for the user.
    """

    separator: str
    names: tuple[str, ...]
    cells: tuple[str, ...]
    has_header: bool
    basket: bool
    quotes: Quotes
    decimal_commas: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_dialect(name: str, lines: list[str], usual: str | None, rules: TextRules) -> Dialect:
    """Find out how a text file is written.

    Parameters
    ----------
    name : str
        The file, for error messages.
    lines : list of str
        Its first lines.
    usual : str or None
        The separator that files with its ending usually have.
    rules : TextRules

    Raises
    ------
    DataError
        There is no separator, names occur twice, or it cannot be told what the columns are.
    """
    separator = _given_separator(name, lines, rules) or _separator(name, lines, usual, rules)
    rows = [cells_of(line, separator, quoted=rules.quotes != "none") for line in lines]
    first = rows[0]
    has_header = rules.header if rules.header is not None else _has_header(rows, rules)
    notes = []
    if separator == BLANKS:
        notes.append("values are separated by blanks")
    basket = rules.format == "basket"
    if rules.format == "auto" and not has_header and separator != "::" and not rules.names:
        basket = _are_baskets(rows)
        if basket:
            notes.append(
                "a line is taken as a user and all items of the user (--format rows if it is not)"
            )
        elif len(first) > 4:
            raise DataError(
                f"{name} has {len(first)} columns and no header, so it cannot be told which ones "
                f"hold users and items. Name them ({rules.option} user=column_1,item=column_2)"
                + (_WHAT_A_LINE_IS if rules.says_lines else "")
            )
    if basket:
        names: tuple[str, ...] = ("column_1", "column_2")
        return Dialect(
            separator, names, tuple(first), has_header, True, rules.quotes, (), tuple(notes)
        )
    if has_header:
        names = _without_types(list(first))
        _refuse_duplicates(names, name)
    else:
        names = tuple(f"column_{i + 1}" for i in range(len(first)))
    commas = tuple(
        column
        for i, column in enumerate(names)
        if separator != "," and _has_decimal_commas([row[i] for row in rows[1:] if i < len(row)])
    )
    return Dialect(
        separator, names, tuple(first), has_header, False, rules.quotes, commas, tuple(notes)
    )


def cells_of(line: str, separator: str, *, quoted: bool = True) -> list[str]:
    """The values of one line, if no quoted value spans lines.

    Raises
    ------
    DataError
        The line cannot be parsed.
    """
    if separator == "::":
        return line.split("::")
    if separator == BLANKS:
        return line.split()
    mode: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    try:
        return next(csv.reader([line.replace("\r", " ")], delimiter=separator, quoting=mode), [])
    except csv.Error as error:
        raise DataError(f"it cannot be parsed: {error}") from error


def _given_separator(name: str, lines: list[str], rules: TextRules) -> str | None:
    """The separator that the caller names, which has to be there."""
    if rules.separator is None:
        return None
    separator = {"tab": "\t", r"\t": "\t", "blank": BLANKS, "blanks": BLANKS}.get(
        rules.separator.lower(), rules.separator
    )
    if separator != "::" and (len(separator) != 1 or separator in '"\r\n' or ord(separator) > 127):
        raise DataError(f"separator {separator!r}: give one character, '::', tab or blank")
    if rules.format != "basket" and not any(separator in line for line in lines):
        raise DataError(f"{name}: there is no separator {separator!r} in {lines[0][:60]!r}")
    return separator


def _separator(name: str, lines: list[str], usual: str | None, rules: TextRules) -> str:
    """The separator for which the lines agree in their number of values."""
    if "::" in lines[0]:
        return "::"
    rows = {s: [cells_of(line, s) for line in lines] for s in _SINGLE if s in lines[0]}
    rows = {s: cells for s, cells in rows.items() if len(cells[0]) > 1}
    if not rows:
        return _blanks(name, lines)
    share = {
        s: sum(len(row) == len(cells[0]) for row in cells) / len(cells) for s, cells in rows.items()
    }
    agree = [s for s in rows if share[s] >= _AGREE]
    if not agree:
        return usual if usual in rows else max(rows, key=lines[0].count)
    if len(agree) == 1:
        return agree[0]
    named = {s: sum(map(rules.is_usual_name, rows[s][0])) for s in agree}
    most = max(named.values())
    if most:
        agree = [s for s in agree if named[s] == most]

    # a value in the first column rarely holds a separator, one in the last column may
    def held(separator: str) -> int:
        return sum(sum(map(row[0].count, agree)) for row in rows[separator] if row)

    least = min(map(held, agree))
    agree = [s for s in agree if held(s) == least]
    return usual if usual in agree else agree[0]


def _blanks(name: str, lines: list[str]) -> str:
    """Blanks as the separator, where the lines agree or hold nothing but whole numbers."""
    rows = [line.split() for line in lines]
    width = len(rows[0])
    agree = sum(len(row) == width for row in rows) / len(rows) >= _AGREE
    numbers = all(cell.isdigit() for row in rows for cell in row)
    if width > 1 and (agree or numbers):
        return BLANKS
    raise DataError(
        f"{name}: one column only ({lines[0][:60]!r}); expected values separated by a "
        "comma, tab, semicolon, |, :: or blanks. Say which: --separator"
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip().lower() not in _MISSING


def _kind(cell: str) -> str:
    """Whether a value is a number, a moment, missing or text, and if it is text, its shape."""
    cell = cell.strip()
    if cell.lower() in _MISSING:
        return ""
    if _is_number(cell):
        return "number"
    if _MOMENT.fullmatch(cell):
        return "moment"
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", cell))


def _has_header(rows: list[list[str]], rules: TextRules) -> bool:
    """Whether the first row names the columns, by the kinds of values below it."""
    first, below = rows[0], rows[1:]
    if all(_RECBOLE.fullmatch(cell) for cell in first) or set(rules.names) & set(first):
        return True
    columns = [[row[i].strip() for row in below if i < len(row)] for i in range(len(first))]
    pairs = [(cell.strip(), column) for cell, column in zip(first, columns, strict=True)]
    recurs = [cell != "" and cell in column for cell, column in pairs]
    names = [rules.is_usual_name(cell) for cell, _ in pairs]
    if sum(names) > 1 and all(recurs) and first in below:
        return True  # files with headers, one after the other
    if any(name and not again for name, again in zip(names, recurs, strict=True)):
        return True
    kinds = [(_kind(cell), {_kind(c) for c in column} - {""}) for cell, column in pairs]
    plain = {"number", "moment"}
    if any(kind and kind not in plain and seen and seen <= plain for kind, seen in kinds):
        return True
    if any(kind in plain for kind, _ in kinds) or any(recurs):
        return False
    shaped = [(kind, seen) for kind, seen in kinds if len(seen) == 1 and "9" in next(iter(seen))]
    return not any(seen == {kind} for kind, seen in shaped)


def _are_baskets(rows: list[list[str]]) -> bool:
    """Whether each row is a user with all items: ragged or wide rows, a different user each."""
    rows = [[c.strip() for c in row if c.strip()] for row in rows]
    widths = [len(row) for row in rows]
    if len(rows) < 2 or max(widths) < 3 or (len(set(widths)) == 1 and widths[0] < 5):
        return False
    if len({row[0] for row in rows if row}) < len([row for row in rows if row]):
        return False
    if any(len(set(row[1:])) < len(row[1:]) for row in rows):
        return False
    if any(" " in cell or _kind(cell) == "moment" for row in rows for cell in row):
        return False
    # an item of one place must be met in another: columns of a table hold values of their own
    places: dict[str, set[int]] = {}
    for row in rows:
        for place, cell in enumerate(row[1:]):
            places.setdefault(cell, set()).add(place)
    shared = sum(len(p) > 1 for p in places.values())
    return shared > 0 and (len(set(widths)) > 1 or 2 * shared >= len(places))


def _without_types(cells: list[str]) -> tuple[str, ...]:
    """Names of columns, without the types that RecBole's files append (``user_id:token``)."""
    typed = [_RECBOLE.fullmatch(cell) for cell in cells]
    if all(typed):
        return tuple(match[1] for match in typed if match)
    return tuple(cells)


def _has_decimal_commas(cells: list[str]) -> bool:
    """Whether a column holds numbers such as 3,5, which are no thousands such as 1,234."""
    texts = [cell.strip() for cell in cells if cell.strip().lower() not in _MISSING]
    if not texts or not all(re.fullmatch(r"[+-]?\d+(,\d+)?", text) for text in texts):
        return False
    return any(len(text.partition(",")[2]) not in (0, 3) for text in texts)


def _refuse_duplicates(names: tuple[str, ...], where: str) -> None:
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        which = f"named {twice[0]!r}" if twice[0] else "without a name"
        raise DataError(f"{where} has more than one column {which}: rename all but one")
