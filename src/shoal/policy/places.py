"""Places in a file (the keys and numbers that lead to a value), and messages that name them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from shoal.errors import FileError
from shoal.policy.yaml_files import Place, did_you_mean, repeated_keys
from shoal.run import DEVICE
from shoal.web import printable

SHA256 = r"^[0-9a-f]{64}$"
_PATTERNS = {
    DEVICE: "write cpu, cuda, cuda:0, mps or auto",
    SHA256: "write sha256 as 64 digits and letters a to f",
}

# what pydantic calls by the names of Python, in those of YAML
_KINDS = {
    "tuple_type": "write a list, such as [a, b]",
    "list_type": "write a list, such as [a, b]",
    "dict_type": "write keys and values, such as {key: value}",
    "model_type": "write keys and values, such as {key: value}",
    "string_type": "write a text, in quotes if it looks like something else",
    "invalid_key": "keys are texts: put it in quotes",
}


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file, and the keys and numbers that lead to it.

    Parameters
    ----------
    place : tuple
    message : str
    names_it : bool
        Whether the message names the key itself, as ``{key}``; otherwise it follows the key.
    """

    place: Place
    message: str
    names_it: bool = False


def wrong(message: str, *place: int | str) -> PydanticCustomError:
    """An error for a validator to raise: `place` leads on from what is being validated."""
    return PydanticCustomError("wrong", "{told}", {"told": message, "place": place})


def line_of(place: Place, lines: Mapping[Place, int]) -> int | None:
    """The line of the value at a place, or of the nearest one that leads there; None of the file's.

    Parameters
    ----------
    place : tuple
    lines : dict
        As `read_yaml_with_lines` gives them.
    """
    for length in range(len(place), 0, -1):
        *outer, last = place[:length]
        for known in ((*outer, last), (*outer, str(last))):  # a key may look like a number
            if known in lines:
                return lines[known]
    return None


def problems_of(error: ValidationError, content: Any, model: type[BaseModel]) -> list[Problem]:
    """What pydantic says of a file's content, each with its place; one problem for each place.

    Parameters
    ----------
    error : ValidationError
    content
        What the file holds.
    model : class of a pydantic model
        What the content should be.
    """
    problems: dict[Place, Problem] = {}
    kinds: dict[Place, str] = {}
    for part in error.errors():
        context: dict[str, Any] = part.get("ctx") or {}
        kind = part["type"]
        place = (*_within(content, part["loc"], kind), *context.get("place", ()))
        if kind == "extra_forbidden":
            told = "there is no key {key}" + listed(str(place[-1]), keys_at(place[:-1], model))
        elif kind == "missing":
            told = "{key} is missing: add it"
        else:
            told = _told(kind, part["msg"], part["input"], context)
        if place in problems and kind != "wrong":  # what else it might have been
            told = f"{problems[place].message}, or: {told}"
        problems[place] = Problem(place, told, names_it=kind in ("extra_forbidden", "missing"))
        kinds.setdefault(place, kind)
    for place in [place for place, kind in kinds.items() if kind == "too_short"]:
        if any(other[: len(place)] == place for other in problems if other != place):
            del problems[place]  # nothing is left of a list whose parts are wrong
    return list(problems.values())


def _told(kind: str, message: str, value: Any, context: Mapping[str, Any]) -> str:
    """What is wrong with a value, and what to write instead."""
    told = message.removeprefix("Value error, ")
    told = told[:1].lower() + told[1:]
    if kind == "wrong":
        return told
    if kind == "too_short":
        return "name one at least"
    if kind in _KINDS:
        told = _KINDS[kind]
    elif kind == "string_pattern_mismatch":
        told = _PATTERNS.get(context.get("pattern", ""), told)
    elif kind == "literal_error":
        told += did_you_mean(str(value), re.findall(r"'([^']*)'", context.get("expected", "")))
    if isinstance(value, dict):
        return told
    written = (
        {None: "null", True: "true", False: "false"}.get(value)
        if (value is None or isinstance(value, bool))
        else repr(value)
    )
    return f"{printable(written, 60)}: {told}"


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


def listed(name: str, known: Sequence[str]) -> str:
    """The end of a message about a name that there is not: those that there are, the nearest."""
    return f" (there are: {', '.join(known) or 'none'}){did_you_mean(name, known)}"


def keys_at(place: Place, model: type[BaseModel]) -> list[str]:
    """The keys that there are in the mapping at a place of what a model describes."""
    kinds: list[Any] = [model]
    for step in place:
        kinds = [inside for kind in kinds for inside in _inside(kind, step)]
    return [name for kind in kinds if _is_model(kind) for name in kind.model_fields]


def _inside(kind: Any, step: int | str) -> Iterator[Any]:
    """The types that may stand at a key of a mapping, or in a list."""
    if _is_model(kind):
        if step in kind.model_fields:
            yield from _options(kind.model_fields[step].annotation)
    elif get_origin(kind) in (tuple, list, dict):
        yield from _options([each for each in get_args(kind) if each is not ...][-1])


def _options(annotation: Any) -> Iterator[Any]:
    """The types of an annotation such as ``Part | None``."""
    if _is_model(annotation) or get_origin(annotation) in (tuple, list, dict):
        yield annotation
    else:
        for option in get_args(annotation):
            yield from _options(option)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def file_error(
    path: str | Path, problems: Sequence[Problem], lines: Mapping[Place, int], hint: str
) -> FileError:
    """An error with all problems of a file, each with the line and the key where it stands.

    What has no line, since it is missing, comes last: a key that is misspelt explains it.
    """
    found = [(line_of(problem.place, lines), problem) for problem in problems]
    told = []
    for line, problem in sorted(found, key=lambda pair: (pair[0] is None, pair[0] or 0)):
        key = printable(".".join(map(str, problem.place)), 80)
        if problem.names_it:
            message = problem.message.replace("{key}", key)
        else:
            message = f"{key}{': ' if key else ''}{problem.message}"
        told.append((line, message))
    return FileError(path, told, hint)


def repeated(path: str | Path) -> list[Problem]:
    """A problem for each key that stands twice in one mapping of a YAML file."""
    told = "stands here for the second time: remove one of the two, or give it another name"
    return [
        Problem(place, f"the key {printable(str(place[-1]), 60)} {told}", names_it=True)
        for place in repeated_keys(path)
    ]
