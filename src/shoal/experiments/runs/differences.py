"""What differs between two trees of plain data, key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ABSENT = "absent"
_NAMES = ("name", "label", "model", "policy")  # by which the parts of a list are told apart
_LONGEST = 60  # characters of a value in a sentence


@dataclass(frozen=True)
class Difference:
    """One place in which two trees differ; the value of a tree that lacks it is ``"absent"``."""

    place: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.place}: {_short(self.before)} → {_short(self.after)}"

    def to_dict(self) -> dict[str, Any]:
        """The difference for JSON."""
        return {"place": self.place, "before": self.before, "after": self.after}


def differences(before: Any, after: Any) -> list[Difference]:
    """Compare two trees of mappings, lists and plain values.

    Parts of a list that have names are compared by name, whatever their order; others by position.
    Two numbers that are equal do not differ, also where one of them is whole.

    Returns
    -------
    list of Difference
        In the order of the places.
    """
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    # an empty list or mapping is no value of its own where the other tree has something in it
    for own, other in ((old, new), (new, old)):
        for place in [p for p, value in own.items() if value in ([], {}) and p not in other]:
            if any(there.startswith(f"{place}." if place else "") for there in other):
                del own[place]
    return [
        Difference(place, old.get(place, ABSENT), new.get(place, ABSENT))
        for place in dict.fromkeys([*old, *new])
        if place not in old or place not in new or old[place] != new[place]
    ]


def in_words(found: Sequence[Difference], most: int = 5) -> str:
    """The first differences in one line, and how many there are besides."""
    told = "; ".join(str(one) for one in found[:most])
    return told + (f"; and {len(found) - most} more" if len(found) > most else "")


def _leaves(tree: Any, place: str) -> list[tuple[str, Any]]:
    """Places and values of all that is no mapping and no list; an empty one is a value itself."""
    if isinstance(tree, Mapping):
        parts = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list | tuple):
        parts = list(zip(_names(tree), tree, strict=True))
    else:
        return [(place, tree)]
    if not parts:
        return [(place, [] if isinstance(tree, list | tuple) else {})]
    found = []
    for name, value in parts:
        found += _leaves(value, f"{place}.{name}" if place else name)
    return found


def _names(parts: Sequence[Any]) -> list[str]:
    """Names of the parts of a list, where all have one and no two the same; else their numbers."""
    for key in _NAMES:
        names = [str(p[key]) for p in parts if isinstance(p, Mapping) and p.get(key) is not None]
        if len(names) == len(parts) == len(set(names)):
            return names
    return [str(number) for number in range(1, len(parts) + 1)]


def _short(value: Any) -> str:
    if value == ABSENT:
        return ABSENT
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
