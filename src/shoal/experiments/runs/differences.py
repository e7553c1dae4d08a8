"""What differs between two trees of plain data, key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ABSENT, PRESENT = "absent", "present"
_NAMES = ("name", "label", "model", "policy")  # by which the parts of a list are told apart
_LONGEST = 60  # characters of a value in a sentence


@dataclass(frozen=True)
class Difference:
    """One place in which two trees differ; the value of a tree that lacks it is ``"absent"``.

    What one of the trees lacks altogether, such as a model with all its settings, is one place.
    """

    place: str
    before: Any
    after: Any

    def __str__(self) -> str:
        before, after = _short(self.before), _short(self.after)
        if self.before == ABSENT and _parts(self.after):
            after = PRESENT
        if self.after == ABSENT and _parts(self.before):
            before = PRESENT
        return f"{self.place}: {before} → {after}"

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
    return list(_differences(before, after, ""))


def _differences(before: Any, after: Any, place: str) -> Iterator[Difference]:
    old, new = _parts(before), _parts(after)
    if old is None or new is None:
        if before != after:
            yield Difference(place, before, after)
        return
    for name in dict.fromkeys([*old, *new]):
        within = f"{place}.{name}" if place else name
        yield from _differences(old.get(name, ABSENT), new.get(name, ABSENT), within)


def in_words(found: Sequence[Difference], most: int = 5) -> str:
    """The first differences in one line, and how many there are besides."""
    told = "; ".join(str(one) for one in found[:most])
    return told + (f"; and {len(found) - most} more" if len(found) > most else "")


def _parts(tree: Any) -> dict[str, Any] | None:
    """The parts of a mapping or a list by name; None for what has no parts."""
    if isinstance(tree, Mapping):
        return {str(key): value for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return dict(zip(_names(tree), tree, strict=True))
    return None


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
