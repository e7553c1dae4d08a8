"""Policy files: a model and its hyper-parameters in YAML, in the form that Shaped's users know.

policy_configs:                 training:
  scoring_policy:                 models:
    policy_type: elsa               - name: mine
    factors: 512                      policy_type: elsa
                                      factors: 512

The left form may also name an ``embedding_policy``; either may stand below ``model:``. Other keys
of such a file (where data come from) are not read.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.models.registry import create
from shoal.web import printable

if TYPE_CHECKING:
    from pydantic import ValidationError

POLICIES = ("scoring_policy", "embedding_policy")
FORM = "write policy_configs: {scoring_policy: {policy_type: elsa, …}}"
_HINT = FORM[0].upper() + FORM[1:]
_LONGEST, _MOST_NODES, _DEEPEST = 1 << 18, 20_000, 30  # bytes, values and levels of a file
_MOST_OPEN = 100  # brackets, those in texts and comments with them


def read_policy(path: str | Path, settings: dict[str, Any] | None = None) -> Recommender:
    """Make the model that a policy file describes; it is not fitted.

    Parameters
    ----------
    path : str or Path
        A YAML file (JSON is YAML too).
    settings : dict, optional
        Hyper-parameters that replace those of the file.

    Returns
    -------
    Recommender

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, it holds no policy or several, the model or a
        hyper-parameter does not exist, or a range stands where a value should.
    """
    name, own_settings = policy_of(path)
    try:
        return create(name, own_settings | (settings or {}))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def policy_of(path: str | Path) -> tuple[str, dict[str, Any]]:
    """Read the model's name and the hyper-parameters from a policy file, as they stand there.

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, it holds no policy or several, or a range stands
        where a value should.
    """
    content = read_yaml(path, _HINT)
    policies = _policies(content)
    if len(policies) != 1:
        several = f"holds {len(policies)} policies ({printable(', '.join(policies))}): keep one"
        raise ModelError(f"{path}: {several if policies else FORM}")
    ((label, policy),) = policies.items()
    if not isinstance(policy, dict) or not isinstance(policy.get("policy_type"), str):
        raise ModelError(f"{path}: {label} names no policy_type (a model: elsa, ease, …)")
    settings = {str(n): v for n, v in policy.items() if n not in ("policy_type", "name")}
    for parameter, value in settings.items():
        if isinstance(value, int) and value.bit_length() > 64:
            raise ModelError(f"{path}: {printable(parameter, 60)} is a number of too many digits")
        if isinstance(value, dict | list):
            raise ModelError(
                f"{path}: {printable(parameter, 60)} is {_short(value)}, not one value: write "
                "a value, or leave it out and let `shoal tune --model "
                f"{printable(policy['policy_type'], 60)}` search"
            )
    return policy["policy_type"], settings


def read_yaml(path: str | Path, hint: str, *, unique_keys: bool = False) -> Any:
    """What a YAML file holds: mappings, lists, numbers, texts, true, false and null alone.

    Parameters
    ----------
    path : str or Path
    hint : str
        A sentence at the end of error messages, which says what should be in the file.
    unique_keys : bool
        Whether a key that stands twice in one mapping is refused; otherwise the last one counts.

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, it is too large, or a key stands twice.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_LONGEST + 1)
        if len(raw) > _LONGEST:
            raise ModelError(f"{path}: longer than {_LONGEST:,} bytes, which is too much. {hint}")
        text = raw.decode("utf-8-sig")
        _check_events(text, path, hint)
        loader = _UniqueLoader if unique_keys else _PlainLoader
        return yaml.load(text, loader)  # noqa: S506 - a SafeLoader with fewer types
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    except _RepeatedKeyError as error:
        raise ModelError(
            f"{path}, line {error.line}: the key {printable(error.key, 60)} stands here for the "
            "second time: remove one of the two, or give it another name"
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ModelError(f"{path}{where}: this is no YAML. {hint}") from None


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads dates as texts: no setting of a model is a date."""


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def wrong_keys_and_values(
    error: ValidationError, keys_at: Callable[[tuple[int | str, ...]], Sequence[str]], hint: str
) -> str:
    """What is wrong with the keys and values of a YAML file, in one line.

    Parameters
    ----------
    error : ValidationError
        What pydantic says of the content.
    keys_at : callable
        The keys that there are in a mapping, by its place: the keys and numbers that lead to it.
    hint : str
        A sentence at the end, as for `read_yaml`.
    """
    problems = []
    for part in error.errors():
        place = ".".join(map(str, part["loc"]))
        if part["type"] == "extra_forbidden":
            known = keys_at(part["loc"][:-1])
            near = did_you_mean(str(part["loc"][-1]), known)
            problems.append(f"there is no key {place:.80} (there are: {', '.join(known)}){near}")
        elif part["type"] == "missing":
            problems.append(f"{place} is missing: add it")
        else:
            told = part["msg"].removeprefix("Value error, ")
            is_shown = place and not isinstance(part["input"], dict)
            shown = f"{part['input']!r:.80}: " if is_shown else ""
            problems.append(f"{place}{': ' if place else ''}{shown}{told[:1].lower()}{told[1:]}")
    text = "; ".join(problems)
    return f"{text}{'' if text.endswith('?') else '.'} {hint}"


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of a message about a name that there is not: the nearest one, if one is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


class _RepeatedKeyError(ValueError):
    """A key that stands twice in one mapping."""

    def __init__(self, key: Any, line: int) -> None:
        super().__init__(key, line)
        self.key, self.line = key, line


class _UniqueLoader(_PlainLoader):
    """Refuses a mapping that has a key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            is_plain = isinstance(key_node, yaml.ScalarNode)
            key = (key_node.tag, key_node.value if is_plain else id(key_node))
            if key in seen:
                raise _RepeatedKeyError(key_node.value, key_node.start_mark.line + 1)
            seen.add(key)
        return super().construct_mapping(node, deep)


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


def _short(value: Any) -> str:
    """A list or mapping, as much of it as a message has room for."""
    return printable(reprlib.repr(value), 100)


def _policies(content: Any) -> dict[str, Any]:
    """All policies of a file, by the names that they have there."""
    if not isinstance(content, dict):
        return {}
    within = content.get("model")
    configs = content.get("policy_configs") or (
        within.get("policy_configs") if isinstance(within, dict) else None
    )
    policies: dict[str, Any] = {}
    if isinstance(configs, dict):
        policies |= {name: configs[name] for name in POLICIES if name in configs}
    training = content.get("training")
    listed = training.get("models") if isinstance(training, dict) else None
    for number, policy in enumerate(listed if isinstance(listed, list) else [], start=1):
        name = policy.get("name") if isinstance(policy, dict) else None
        policies[str(name or f"model {number}")] = policy
    return policies
