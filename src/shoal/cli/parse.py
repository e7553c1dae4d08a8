"""Texts of the command line as values: pairs, lists of ids, numbers of bytes, choices."""

from __future__ import annotations

import re
from typing import TypeVar

from shoal.errors import DataError
from shoal.run import parse_bytes

__all__ = ("id_list", "one_of", "pairs", "parse_bytes", "unquoted")

_PART = r'(?:"(?:[^"]|"")*"|[^,])+'  # up to a comma that is not between quotes
Choice = TypeVar("Choice", bound=str)


def one_of(value: str, choices: tuple[Choice, ...], option: str) -> Choice:
    """The choice that a text names; others are refused."""
    for choice in choices:
        if value == choice:
            return choice
    raise DataError(f"{option} {value}: write one of {', '.join(choices)}")


def pairs(text: str, option: str) -> dict[str, str]:
    """``a=1,b=2`` as a mapping; a name or a value with a comma stands in double quotes."""
    out: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in re.findall(_PART, text))):
        name, equals, value = part.partition("=")
        name, value = unquoted(name), unquoted(value)
        if not equals or not name or not value:
            raise DataError(f"{option} {part!r}: write name=value, several with commas")
        if out.setdefault(name, value) != value:
            raise DataError(f"{option} gives {name} twice: {text}")
    return out


def unquoted(text: str) -> str:
    """A text without outer spaces, and without the double quotes around it, if there are any."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"')
    return text


def id_list(text: str | None) -> list[str]:
    """``1193,661`` as a list of ids; an id with a comma stands in quotes, as in CSV."""
    import csv
    import io

    lines = csv.reader(io.StringIO(text or "", newline=""), skipinitialspace=True)
    return [cell.strip() for line in lines for cell in line if cell.strip()]
