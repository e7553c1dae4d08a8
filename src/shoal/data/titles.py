"""What an item is called for people: the text of its title, where a table has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TITLES = ("title", "name")  # columns that may hold it, the first one that there is


def title_of(attributes: Mapping[str, Any]) -> Any:
    """The title of an item, or nothing (None or an empty text)."""
    return attributes.get("title") or attributes.get("name")
