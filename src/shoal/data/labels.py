"""Entries that hold several labels: ``Action|Comedy``, ``Action, Comedy``, lists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import polars as pl

from shoal.errors import DataError

_WEAK = (",", ";")  # also stand within a single label, such as "Tolkien, J. R. R."
_TEXT = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
# a list as Python and JSON print it: ['Action', "Children's"]
_LIST = re.compile(rf"[\[({{]\s*(?:{_TEXT}\s*(?:,\s*{_TEXT}\s*)*,?\s*)?[\])}}]", re.DOTALL)
_IN_LIST = re.compile(_TEXT, re.DOTALL)


def separator_of(values: Iterable[str | None]) -> str:
    """What separates the labels of a column of texts; nothing if each text is one label.

    A ``|`` always separates. A comma or a semicolon does if the parts recur: some part stands in
    several different texts, and there are no more different parts than different texts. So
    "Action, Comedy" and "Action" are labels, and "Tolkien, J. R. R." is one name.
    """
    texts = {v for v in values if v and v.strip() and not _LIST.fullmatch(v.strip())}
    if any("|" in text for text in texts):
        return "|"
    for separator in _WEAK:
        if not any(separator in text for text in texts):
            continue
        texts_with = Counter(part for text in texts for part in set(_parts(text, separator)))
        if len(texts_with) <= len(texts) and max(texts_with.values()) > 1:
            return separator
    return ""


def _parts(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def labels(values: Sequence[str | None]) -> list[list[str]]:
    """The labels of each text of a column, in their order; an empty list for none."""
    separator = separator_of(values)

    def split(text: str) -> list[str]:
        text = text.strip()
        if _LIST.fullmatch(text):
            return [part[1:-1] for part in _IN_LIST.findall(text) if part[1:-1].strip()]
        return _parts(text, separator) if separator else [text] if text else []

    return [[] if text is None else split(text) for text in values]


def has_label(column: pl.Expr, dtype: pl.DataType, label: str) -> pl.Expr:
    """Whether a text is among the labels of each entry of a column of texts or lists.

    Here every ``|``, comma and semicolon separates, and a whole entry is a label too.

    Raises
    ------
    DataError
        The column holds neither text nor lists.
    """
    if isinstance(dtype, pl.List | pl.Array):
        entries = column.cast(pl.List(pl.String))
        return entries.list.contains(label)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        column, dtype = column.cast(pl.String), pl.String()
    if dtype != pl.String:
        raise DataError(f"a column of type {dtype} has no labels: compare it by =")
    text = column.str.strip_chars()
    parts = text.str.replace_all(r"\s*[|,;]\s*", "|")
    in_list = parts.str.replace_all(r"^\[\s*|\s*\]$", "")  # a list as Python prints it
    in_list = in_list.str.replace_all(r"""['"]?\|['"]?""", "|").str.replace_all(
        r"""^['"]|['"]$""", ""
    )
    fulfilled = (text == label) | parts.str.split("|").list.contains(label)
    return fulfilled | in_list.str.split("|").list.contains(label)
