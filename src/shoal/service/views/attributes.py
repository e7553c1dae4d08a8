"""The attributes of an item as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoal.data.titles import TITLES

_LONG = 120  # letters from which a value is a text of its own
_MOST_LABELS = 40
_HEADING = 90  # letters of a title that a heading surely shows


def facts_of(attributes: Mapping[str, Any], title: str) -> list[dict[str, Any]]:
    """Names and values; several labels in one value are told apart, and long texts are marked.

    The title is left out unless it is too long for a heading.
    """
    facts = []
    for name, value in attributes.items():
        is_title = name in TITLES and str(value) == title
        if value is None or value == "" or (is_title and len(title) <= _HEADING):
            continue
        labels = [] if is_title else _labels(value)
        text = "" if labels else _text(value)
        facts.append({"name": name, "labels": labels, "text": text, "long": len(text) > _LONG})
    return sorted(facts, key=lambda fact: fact["long"])


def _labels(value: Any) -> list[str]:
    if isinstance(value, str) and "|" in value:
        value = [part.strip() for part in value.split("|")]
    if not isinstance(value, list | tuple):
        return []
    return [_text(part) for part in value if part not in (None, "")][:_MOST_LABELS]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
