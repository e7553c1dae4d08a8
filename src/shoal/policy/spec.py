"""One policy of a file: which model, with which values and ranges, and which keys do nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shoal.base.ranges import Space
from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.models.registry import by_name
from shoal.policy.absent import why_absent
from shoal.policy.keys import KEYS, OTHER_NAMES, STRATEGIES, why_not_used
from shoal.policy.ranges import checked_value, is_range, range_of, short
from shoal.policy.yaml_files import did_you_mean
from shoal.web import printable

Role = Literal["scoring", "embedding", "training"]
_ITS_OWN = ("policy_type", "name")
_USUAL_PATIENCE = 3  # of hosted forms, where early stopping is asked for and a model has none


@dataclass(frozen=True)
class PolicySpec:
    """A model as a policy file describes it.

    Parameters
    ----------
    label : str
        What it is called in tables: its `name` in the file or else the model's.
    name : str
        The name of a registered model.
    settings : dict
        Values of hyper-parameters.
    space : dict of str to Range or Choices
        Hyper-parameters that are to be searched, and in what.
    role : {"scoring", "embedding", "training"}
        Where it stood: ``scoring_policy``, ``embedding_policy`` or ``training.models``. Two stages
        together have the role "scoring".
    notes : tuple of str
        What a person should know: keys that do nothing, and why.
    events : tuple of str or numbers
        The events, or the values, whose rows count; empty where all do.
    """

    label: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    space: Space = field(default_factory=dict)
    role: Role = "training"
    notes: tuple[str, ...] = ()
    events: tuple[str | int | float, ...] = ()


def spec_of(policy: Any, place: str, role: Role, where: Mapping[str, str]) -> PolicySpec:
    """Read one policy.

    Parameters
    ----------
    policy : mapping
        As it stands in the file.
    place : str
        What messages call it, such as ``scoring_policy``.
    role : {"scoring", "embedding", "training"}
    where : mapping
        For each key, the file and the line, for messages; for "", those of the policy.

    Raises
    ------
    ModelError
        There is no such model or key, or a value or range cannot be used.
    """
    here = where[""]
    if not isinstance(policy, dict) or not isinstance(policy.get("policy_type"), str):
        raise ModelError(f"{here}: {place} names no policy_type (a model: elsa, ease, …)")
    kind = _kind_of(policy["policy_type"], where.get("policy_type", here))
    settings: dict[str, Any] = {}
    space: Space = {}
    notes: list[str] = []
    rest: dict[str, Any] = {}
    for key, value in policy.items():
        at = where.get(str(key), here)
        if not isinstance(key, str):
            raise ModelError(f"{at}: the key {short(key)} is no text")
        if key in _ITS_OWN or value is None:
            continue
        if key == "preset" and kind.presets:
            settings[key] = _preset(kind, value, at)
        elif key in ("event_values", "strategy") and key not in kind.model_fields:
            rest[key] = value
        elif key not in kind.model_fields:
            why = why_not_used(kind, key)
            if why is None:
                raise ModelError(f"{at}: {_no_key(kind, key)}")
            notes.append(f"{at}: {why}")
        else:
            _take(kind, key, value, at, settings, space)
    events = _events(rest.get("event_values"), where.get("event_values", here))
    if "strategy" in rest:
        at = where.get("strategy", here)
        notes += _apply_strategy(kind, rest["strategy"], at, settings, space)
    name = policy.get("name")
    label = printable(str(name), 60).strip() if isinstance(name, str | int) else ""
    return PolicySpec(label or kind.name, kind.name, settings, space, role, tuple(notes), events)


def _kind_of(policy_type: str, at: str) -> type[Recommender]:
    """The model of a name; messages name the file, and what to take for a hosted model."""
    try:
        return by_name(policy_type)
    except ModelError as error:
        raise ModelError(f"{at}: {why_absent(policy_type) or error}") from None


def _take(
    kind: type[Recommender],
    key: str,
    value: Any,
    at: str,
    settings: dict[str, Any],
    space: Space,
) -> None:
    """Put a hyper-parameter into `settings`, or into `space` if it is a range."""
    try:
        if is_range(value):
            space[key] = range_of(kind, key, value)
        else:
            checked_value(kind, key, value)
            settings[key] = value
    except ModelError as error:
        raise ModelError(f"{at}: {error}") from None


def _preset(kind: type[Recommender], value: Any, at: str) -> str:
    """The name of a set of hyper-parameters that the model has."""
    if not isinstance(value, str) or value not in kind.presets:
        known = ", ".join(kind.presets)
        raise ModelError(f"{at}: {kind.name}: no preset {short(value)!r} (it has: {known})")
    return value


def _no_key(kind: type[Recommender], key: str) -> str:
    """What is said of a key that nobody knows."""
    known = [*kind.model_fields, *(k.name for k in KEYS)]
    here = {name: own for name, own in OTHER_NAMES.items() if own in known}
    close = difflib.get_close_matches(key.lower(), [*known, *here], n=1)
    near = f"; did you mean {here.get(close[0], close[0])}?" if close else ""
    own = ", ".join(kind.model_fields) or "none"
    return f"{kind.name}: no hyper-parameter {short(key)!r} (it has: {own}){near}"


def _events(value: Any, at: str) -> tuple[str | int | float, ...]:
    """The events that count; a single one need not be a list."""
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ModelError(f"{at}: event_values is an empty list: name the events that count")
    for each in values:
        if isinstance(each, bool) or not isinstance(each, str | int | float):
            raise ModelError(
                f"{at}: event_values holds {short(each)}: name events or values, such as "
                "[purchase, cart]"
            )
    return tuple(dict.fromkeys(values))


def _apply_strategy(
    kind: type[Recommender],
    strategy: Any,
    at: str,
    settings: dict[str, Any],
    space: Space,
) -> list[str]:
    """Turn a strategy into `patience` for a model that has no strategy; gives notes."""
    if strategy not in STRATEGIES:
        raise ModelError(
            f"{at}: the strategy {short(strategy)} is none: write {' or '.join(STRATEGIES)}"
            f"{did_you_mean(str(strategy), STRATEGIES)}"
        )
    if "patience" not in kind.model_fields:
        return [f"{at}: {why_not_used(kind, 'strategy')}"]
    given = "patience" in settings or "patience" in space
    if strategy == "default":
        settings["patience"] = 0
        space.pop("patience", None)
        return (
            [f"{at}: strategy is default, so no epoch is left out: patience is not used"]
            if given
            else []
        )
    if not given and kind.model_fields["patience"].default == 0:
        settings["patience"] = _USUAL_PATIENCE
    return []


def common_events(policies: Iterable[PolicySpec]) -> tuple[str | int | float, ...]:
    """The events that count in a log from which several models learn; empty where all do.

    Raises
    ------
    ModelError
        Two models name different events.
    """
    first: PolicySpec | None = None
    for policy in policies:
        first = first or policy
        if set(policy.events) != set(first.events):
            raise ModelError(
                f"{first.label} and {policy.label} have different event_values: models that are "
                "compared learn from the same rows, so give all of them the same"
            )
    return first.events if first else ()
