"""Texts of the command line as values: pairs, lists of ids, numbers of bytes, choices."""

from __future__ import annotations

import re
from typing import TypeVar

from shoal.errors import DataError, ModelError

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


def parse_bytes(text: str) -> int:
    """``8GB``, ``512 MB``, ``1e9`` as a number of bytes."""
    units = {"": 1, "B": 1, "K": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9}
    units |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "T": 1e12, "TB": 1e12, "TIB": 2**40}
    plain = text.strip().upper()
    number = plain.rstrip("KMGTIB ")
    try:
        value = float(number) * units[plain[len(number) :].strip()]
    except (ValueError, KeyError):
        raise ModelError(f"--memory {text!r}: write a size such as 8GB or 512MB") from None
    if not 1 <= value < 1e18:
        raise ModelError(f"--memory {text!r}: that is no amount of memory")
    return int(value)


def id_list(text: str | None) -> list[str]:
    """``1193,661`` as a list of ids; an id with a comma stands in quotes, as in CSV."""
    import csv
    import io

    lines = csv.reader(io.StringIO(text or "", newline=""), skipinitialspace=True)
    return [cell.strip() for line in lines for cell in line if cell.strip()]
