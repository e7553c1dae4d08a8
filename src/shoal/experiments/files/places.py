"""Where a key stands in a YAML file, and messages that say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from shoal.policy import did_you_mean
from shoal.web import printable

Place = tuple[int | str, ...]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file, and the keys and numbers that lead to it."""

    place: Place
    message: str


def wrong(message: str, *place: int | str) -> PydanticCustomError:
    """An error for a validator to raise: `place` leads on from what is being validated."""
    return PydanticCustomError("wrong", "{told}", {"told": message, "place": place})


class Lines:
    """The lines on which the keys and values of a YAML file stand.

    Parameters
    ----------
    text : str
        A document that `read_yaml` has accepted.
    """

    def __init__(self, text: str) -> None:
        self._root = yaml.compose(text, yaml.SafeLoader)

    @classmethod
    def of(cls, path: Path) -> Lines:
        """The lines of a file that `read_yaml` has read."""
        return cls(path.read_bytes().decode("utf-8-sig"))

    def line(self, place: Place) -> int:
        """The line of the key or list entry at a place, or of the nearest one that leads there."""
        node, line = self._root, 1
        for step in place:
            found = _child(node, step)
            if found is None:
                # `data: {…}` stands for a list of one: its number is not in the file
                if isinstance(step, int) and not isinstance(node, yaml.SequenceNode):
                    continue
                break
            line, node = found
        return line


def _child(node: Any, step: int | str) -> tuple[int, Any] | None:
    """The line and the node of a key, or of an entry of a list."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


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
    for part in error.errors():
        context: dict[str, Any] = part.get("ctx") or {}
        place = (*_within(content, part["loc"], part["type"]), *context.get("place", ()))
        if part["type"] == "extra_forbidden":
            told = unknown_key(str(place[-1]), keys_at(place[:-1]))
        elif part["type"] == "missing":
            told = "is missing: add it"
        else:
            told = part["msg"].removeprefix("Value error, ")
            told = told[:1].lower() + told[1:]
            value = part["input"]
            if part["type"] != "wrong" and not isinstance(value, dict):
                told = f"{printable(repr(value), 60)}: {told}"
        problems.setdefault(place, Problem(place, told))
    return list(problems.values())


def _within(content: Any, location: Place, kind: str) -> Place:
    """The part of pydantic's location that is in the file: it adds names of types to it."""
    place: Place = ()
    for number, step in enumerate(location):
        if isinstance(content, list):
            content = content[int(step)] if isinstance(step, int) else None
        elif isinstance(content, dict) and step in content:
            content = content[step]
        elif isinstance(content, dict) and step == 0:
            pass  # `data: {…}` stands for a list of one
        elif kind != "missing" or number < len(location) - 1:
            return place
        place = (*place, step)
    return place


def unknown_key(name: str, known: Sequence[str]) -> str:
    """The message about a key that there is not."""
    listed = ", ".join(known) or "none"
    return f"there is no such key (there are: {listed}){did_you_mean(name, known)}"


def told(path: str | Path, problems: Sequence[Problem], lines: Lines, hint: str) -> str:
    """All problems of a file in one line, each with the line and the key where it stands."""
    parts = []
    for problem in sorted(problems, key=lambda problem: lines.line(problem.place)):
        key = printable(".".join(map(str, problem.place)), 80)
        where = f"line {lines.line(problem.place)}"
        parts.append(f"{where}{': ' + key if key else ''}: {problem.message}")
    text = "; ".join(parts)
    return f"{path}, {text}{'' if text.endswith('?') else '.'} {hint}"
