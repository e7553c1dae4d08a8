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
    return _with_query("/", {"history": written(items), **query})


def address_of_steering(**query: str) -> str:
    """The address of the page that steers a list; empty values of the query are left out."""
    return _with_query("/steer", query)


def written(ids: Sequence[Any]) -> str:
    """Ids with commas between them, those with commas in quotes; an empty text for none."""
    if not ids:
        return ""
    text = io.StringIO()
    csv.writer(text).writerow(ids)
    return text.getvalue().removesuffix("\r\n")


def _address(page: str, name: str, query: dict[str, str]) -> str:
    if name in _FOLDERS:
        return _with_query(page, {"id": name, **query})
    return _with_query(f"{page}/{quote(name, safe='')}", query)


def _with_query(page: str, query: dict[str, str]) -> str:
    given = {name: value for name, value in query.items() if value}
    return page + (f"?{urlencode(given)}" if given else "")
