"""YAML files that may come from anywhere: read in bounds, and errors that name the line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from shoal.errors import ModelError
from shoal.web import printable

_LONGEST, _MOST_NODES, _DEEPEST = 1 << 18, 20_000, 30  # bytes, values and levels of a file
_MOST_OPEN = 100  # brackets, those in texts and comments with them

Place = tuple[int | str, ...]  # the keys and numbers that lead to a value of a file


def read_yaml(path: str | Path, hint: str) -> Any:
    """What a YAML file holds: mappings, lists, numbers, texts, true, false and null alone.

    Of a key that stands twice in one mapping, the last one counts: see `repeated_keys`.

    Parameters
    ----------
    path : str or Path
    hint : str
        A sentence at the end of error messages, which says what should be in the file.

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, or it is too large.
    """
    return read_yaml_with_lines(path, hint)[0]


def read_yaml_with_lines(path: str | Path, hint: str) -> tuple[Any, dict[Place, int]]:
    """What a YAML file holds, and the line of each of its values.

    The line of a value of a mapping is that of its key. Parameters and errors are those of
    `read_yaml`.

    Returns
    -------
    content
    lines : dict of tuple to int
        By the keys and numbers that lead to a value, such as ``("training", "models", 0)``.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_LONGEST + 1)
        if len(raw) > _LONGEST:
            raise ModelError(f"{path}: longer than {_LONGEST:,} bytes, which is too much. {hint}")
        text = _decoded(raw, path, hint)
        _check_events(text, path, hint)
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        lines = {place: line for place, line, _ in _values(node, ())}
        return None if node is None else loader.construct_document(node), lines
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None)
        reason = f" ({printable(why, 80)})" if isinstance(why, str) else ""
        raise ModelError(f"{path}{where}: this is no YAML{reason}. {hint}") from None


def _decoded(raw: bytes, path: str | Path, hint: str) -> str:
    """The text of a file, which is in UTF-8."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ModelError(
            f"{path}, line {line}: this is no YAML in UTF-8: save it in this encoding. {hint}"
        ) from None


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads dates as texts: no setting of a model is a date."""


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of a message about a name that there is not: the nearest one, if one is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def repeated_keys(path: str | Path) -> list[Place]:
    """The places of keys that stand twice in one mapping of a file that `read_yaml` has read.

    Only the last one of them counts, and the lines of `read_yaml_with_lines` are those of it.
    """
    node = yaml.compose(Path(path).read_bytes().decode("utf-8-sig"), yaml.SafeLoader)
    return list(dict.fromkeys(place for place, _, again in _values(node, ()) if again))


def _values(node: yaml.Node | None, place: Place) -> Iterator[tuple[Place, int, bool]]:
    """Each value in a node: its place, its line, and whether its key stood there before."""
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                within, kind = (*place, key.value), (key.tag, key.value)
                yield within, key.start_mark.line + 1, kind in seen
                seen.add(kind)
                yield from _values(value, within)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*place, number), value.start_mark.line + 1, False
            yield from _values(value, (*place, number))


def _check_events(text: str, path: str | Path, hint: str) -> None:
    """Refuse a document that is deep, or large once its aliases are written out.

    The parser's events are counted one by one, before anything is built of them. An alias counts
    as much as what it stands for, and goes as deep.
    """
    depth = 0
    for bracket in re.findall(r"[][{}]", text):  # the parser takes very long over many open ones
        depth += 1 if bracket in "[{" else -1
        if depth > _MOST_OPEN:
            raise ModelError(f"{path}: nested too deeply, {depth} brackets are open. {hint}")
    anchored: dict[str, tuple[int, int]] = {}  # name → number of nodes, depth
    open_nodes: list[list[Any]] = [[None, 0, 0]]  # name, nodes and depth of what is inside so far
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, nodes, depth = open_nodes.pop()
            nodes, depth = nodes + 1, depth + 1
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchored:  # what is not there, or is still open: a circle
                raise ModelError(f"{path}, line {line}: *{printable(event.anchor)} is not known")
            anchor, (nodes, depth) = None, anchored[event.anchor]
        elif isinstance(event, yaml.NodeEvent):
            if event.tag is not None:
                tag = printable(event.tag, 60)
                raise ModelError(f"{path}, line {line}: leave out the type {tag!r}. {hint}")
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append([event.anchor, 0, 0])
                if len(open_nodes) > _DEEPEST:
                    raise ModelError(f"{path}, line {line}: nested too deeply. {hint}")
                continue
            anchor, nodes, depth = event.anchor, 1, 1
        else:  # the beginning or the end of the file or of a document
            continue
        if anchor is not None:
            anchored[anchor] = nodes, depth
        outer = open_nodes[-1]
        outer[1], outer[2] = outer[1] + nodes, max(outer[2], depth)
        if outer[1] > _MOST_NODES:
            raise ModelError(
                f"{path}, line {line}: too large once its aliases are written out. {hint}"
            )
        if len(open_nodes) + outer[2] > _DEEPEST:
            raise ModelError(f"{path}, line {line}: nested too deeply. {hint}")
