"""Places in a file (the keys and numbers that lead to a value), and messages that name them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from shoal.policy import did_you_mean
from shoal.run import DEVICE
from shoal.web import printable

Place = tuple[int | str, ...]
SHA256 = r"^[0-9a-f]{64}$"
_PATTERNS = {
    DEVICE: "write cpu, cuda, cuda:0, mps or auto",
    SHA256: "write sha256 as 64 digits and letters a to f",
}


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file, and the keys and numbers that lead to it."""

    place: Place
    message: str


def wrong(message: str, *place: int | str) -> PydanticCustomError:
    """An error for a validator to raise: `place` leads on from what is being validated."""
    return PydanticCustomError("wrong", "{told}", {"told": message, "place": place})


def line_of(place: Place, lines: Mapping[Place, int]) -> int:
    """The line of the key or list entry at a place, or of the nearest one that leads there."""
    for length in range(len(place), 0, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return 1


def problems_of(
    error: ValidationError, content: Any, keys_at: Callable[[Place], Sequence[str]]
) -> list[Problem]:
    """What pydantic says of a file's content, each with its place; one problem for each place.

    Parameters
    ----------
    error : ValidationError
    content
        What the file holds.
    keys_at : callable
        The keys that there are in the mapping at a place.
    """
    problems: dict[Place, Problem] = {}
    kinds: dict[Place, str] = {}
    for part in error.errors():
        context: dict[str, Any] = part.get("ctx") or {}
        place = (*_within(content, part["loc"], part["type"]), *context.get("place", ()))
        if part["type"] == "extra_forbidden":
            told = unknown_key(str(place[-1]), keys_at(place[:-1]))
        else:
            told = _told(part["type"], part["msg"], part["input"], context)
        if place in problems and part["type"] != "wrong":  # what else it might have been
            problems[place] = Problem(place, f"{problems[place].message}, or: {told}")
        problems.setdefault(place, Problem(place, told))
        kinds.setdefault(place, part["type"])
    for place in [place for place, kind in kinds.items() if kind == "too_short"]:
        if any(other[: len(place)] == place for other in problems if other != place):
            del problems[place]  # nothing is left of a list whose parts are wrong
    return list(problems.values())


def _told(kind: str, message: str, value: Any, context: Mapping[str, Any]) -> str:
    """What is wrong with a value, and what to write instead."""
    if kind == "missing":
        return "is missing: add it"
    told = message.removeprefix("Value error, ")
    told = told[:1].lower() + told[1:]
    if kind == "wrong":
        return told
    if kind == "too_short":
        return "name one at least"
    if kind == "string_pattern_mismatch":
        told = _PATTERNS.get(context.get("pattern", ""), told)
    elif kind == "literal_error":
        told += did_you_mean(str(value), re.findall(r"'([^']*)'", context.get("expected", "")))
    return told if isinstance(value, dict) else f"{printable(repr(value), 60)}: {told}"


def _within(content: Any, location: Place, kind: str) -> Place:
    """The part of pydantic's location that is in the file: it adds names of types to it."""
    place: Place = ()
    for number, step in enumerate(location):
        is_in_list = isinstance(content, list) and isinstance(step, int)
        if is_in_list or (isinstance(content, dict) and step in content):
            content = content[cast(Any, step)]
        elif kind != "missing" or number < len(location) - 1:
            return place
        place = (*place, step)
    return place


def unknown_key(name: str, known: Sequence[str]) -> str:
    """The message about a key that there is not."""
    listed = ", ".join(known) or "none"
    return f"there is no such key (there are: {listed}){did_you_mean(name, known)}"


def told(
    path: str | Path, problems: Sequence[Problem], lines: Mapping[Place, int], hint: str
) -> str:
    """All problems of a file in one line, each with the line and the key where it stands."""
    parts = []
    for line, problem in sorted(
        ((line_of(problem.place, lines), problem) for problem in problems),
        key=lambda pair: pair[0],
    ):
        key = printable(".".join(map(str, problem.place)), 80)
        parts.append(f"line {line}{': ' + key if key else ''}: {problem.message}")
    text = "; ".join(parts)
    return f"{path}, {text}{'' if text.endswith('?') else '.'} {hint}"
