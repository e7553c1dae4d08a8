"""Ranges in policy files: ``{type: tunable_int, min: 10, max: 200, scale: log}`` and lists."""

from __future__ import annotations

import math
import reprlib
from typing import Any

from shoal.base.ranges import Choices, Range, declared
from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.policy.yaml_files import did_you_mean
from shoal.web import printable

TYPES = ("tunable_int", "tunable_float", "tunable_categorical")
SCALES = ("linear", "log")
_ENDS = ("type", "min", "max", "scale")
_AUTO = "auto"
_MOST_VALUES = 1000


def is_range(value: Any) -> bool:
    """Whether a value of a policy stands for several: a mapping, a list, or ``auto``."""
    return isinstance(value, dict | list) or value == _AUTO


def range_of(kind: type[Recommender], name: str, value: Any) -> Range | Choices:
    """What a policy says a hyper-parameter is searched in.

    Parameters
    ----------
    kind : class of a model
    name : str
        One of its hyper-parameters.
    value : mapping, list or "auto"
        ``{type: tunable_int, min: 10, max: 200, scale: log}`` (`type` and `scale` may be left
        out), ``{type: tunable_categorical, values: [a, b]}``, a list of values, or ``auto`` for
        the range that the model declares.

    Raises
    ------
    ModelError
        It is no range, its ends are reversed, equal or missing, or out of the bounds of the
        hyper-parameter. The message does not name the file.
    """
    if value == _AUTO:
        own = declared(kind).get(name)
        if own is None:
            searched = ", ".join(declared(kind)) or "none"
            raise ModelError(
                f"{name} is auto, and {kind.name} declares no range for it (only for: {searched}): "
                "write a value, or a range {min: …, max: …}"
            )
        return own
    if isinstance(value, list):
        return _choices(kind, name, value)
    unit = value.get("type")
    if unit is not None and unit not in TYPES:
        raise ModelError(
            f"{name}: the type {short(unit)} is none: write one of {', '.join(TYPES)}"
            f"{did_you_mean(str(unit), TYPES)}"
        )
    if unit == "tunable_categorical" or "values" in value:
        others = sorted(set(map(str, value)) - {"type", "values"})
        if others or not isinstance(value.get("values"), list):
            raise ModelError(
                f"{name}: {short(value)} is no list of values: write "
                "{type: tunable_categorical, values: [a, b]}"
            )
        return _choices(kind, name, value["values"])
    return _numbers(kind, name, value)


def _choices(kind: type[Recommender], name: str, values: list[Any]) -> Choices:
    if any(isinstance(v, dict | list) for v in values) or len(values) > _MOST_VALUES:
        raise ModelError(
            f"{name} is {short(values)}, which is not one value and no list of values: write a "
            "value, a list such as [0.1, 0.3], or a range {min: …, max: …}"
        )
    taken: list[Any] = []
    for given in values:
        value = checked_value(kind, name, given)
        if value not in taken:
            taken.append(value)
    if not taken:
        raise ModelError(f"{name} is an empty list: name the values to choose from")
    return Choices(tuple(taken))


def _numbers(kind: type[Recommender], name: str, value: dict[Any, Any]) -> Range:
    for key in value:
        if key not in _ENDS:
            raise ModelError(
                f"{name}: a range has no key {short(key)} (it has: {', '.join(_ENDS)})"
                f"{did_you_mean(str(key), _ENDS)}"
            )
    missing = [end for end in ("min", "max") if value.get(end) is None]
    if missing:
        raise ModelError(
            f"{name}: {short(value)} has no {' and no '.join(missing)}: write both ends, "
            "{min: …, max: …}"
        )
    low, high = (_number(name, end, value[end]) for end in ("min", "max"))
    scale = value.get("scale", "linear")
    if scale not in SCALES:
        raise ModelError(
            f"{name}: the scale {short(scale)} is none: write linear or log"
            f"{did_you_mean(str(scale), SCALES)}"
        )
    if low > high:
        raise ModelError(
            f"{name}: the range {low:g} to {high:g} is reversed: write min: {high:g}, max: {low:g}"
        )
    if low == high:
        raise ModelError(
            f"{name}: a range from {low:g} to {high:g} is one value: write {name}: {low:g}"
        )
    whole = kind.model_fields[name].annotation is int
    if whole and value.get("type") == "tunable_float":
        raise ModelError(f"{name} takes whole numbers only: write type: tunable_int")
    whole = whole or value.get("type") == "tunable_int"
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        raise ModelError(f"{name}: the ends {low:g} and {high:g} must be whole numbers")
    if scale == "log" and low <= 0:
        raise ModelError(
            f"{name}: the range {low:g} to {high:g} cannot be searched on a logarithmic scale: "
            "begin above 0, or write scale: linear"
        )
    for end in (low, high):
        checked_value(kind, name, int(end) if whole else end)
    return Range(float(low), float(high), scale, whole=whole)


def _number(name: str, end: str, given: Any) -> float | int:
    """An end of a range; YAML takes 1e-4, without a point, for a text."""
    number = given
    if isinstance(given, str):
        try:
            number = float(given)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ModelError(f"{name}: {end} is {short(given)}, which is no number")
    if (isinstance(number, int) and number.bit_length() > 64) or not math.isfinite(number):
        raise ModelError(f"{name}: {end} is a number of too many digits, or infinite")
    return number


def checked_value(kind: type[Recommender], name: str, value: Any) -> Any:
    """A value as the model has it; one that the model refuses is refused before a fit."""
    if isinstance(value, int) and value.bit_length() > 64:
        raise ModelError(f"{name} is a number of too many digits")
    return getattr(kind(**{name: value}), name)


def short(value: Any) -> str:
    """A value as an error message shows it."""
    return printable(reprlib.repr(value) if isinstance(value, dict | list) else str(value), 60)
