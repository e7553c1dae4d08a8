"""The addresses of pages about one thing, whatever its id looks like."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

_FOLDERS = (".", "..")  # which browsers resolve, however they are written


def address_of_item(item: Any, **query: str) -> str:
    """The address of an item's page; empty values of the query are left out."""
    return _address("/item", str(item), query)


def address_of_person(person: Any, **query: str) -> str:
    """The address of a person's page; empty values of the query are left out."""
    return _address("/person", str(person), query)


def address_of_history(items: list[Any], **query: str) -> str:
    """The address of the first page with these items in the history."""
    return "/?" + urlencode({"history": written(items), **_given(query)})


def address_of_steering(items: Sequence[Any], **query: str) -> str:
    """The address of the page that steers the list for these items."""
    return "/steer?" + urlencode({"history": written(items), **_given(query)})


def written(ids: Sequence[Any]) -> str:
    """Ids with commas between them, those with commas in quotes; an empty text for none."""
    if not ids:
        return ""
    text = io.StringIO()
    csv.writer(text).writerow(ids)
    return text.getvalue().removesuffix("\r\n")


def _address(page: str, name: str, query: dict[str, str]) -> str:
    query = _given(query)
    if name in _FOLDERS:
        return f"{page}?{urlencode({'id': name, **query})}"
    return f"{page}/{quote(name, safe='')}" + (f"?{urlencode(query)}" if query else "")


def _given(query: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}
