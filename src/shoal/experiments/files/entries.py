"""The models that an experiment file names: values, ranges and policies → entrants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from shoal.base.ranges import Choices, Range, Space, declared
from shoal.base.recommender import Recommender
from shoal.errors import ModelError, ShoalError
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.files.parts import Part, Text, checked_name
from shoal.experiments.files.paths import expanded
from shoal.experiments.files.places import Place, Problem, unknown_key, wrong
from shoal.models.registry import by_name
from shoal.policy import policy_of
from shoal.web import printable

_RANGE_KEYS = ("min", "max", "scale")


class ModelPart(Part):
    """One model, or a policy file."""

    name: Text | None = Field(None, description="What tables call it; default: the model's name.")
    model: str | None = Field(None, description="A model: `shoal info` lists them.")
    policy: str | None = Field(None, description="A policy file, in place of model and set.")
    set: dict[str, Any] = Field(
        {},
        description="Hyper-parameters: a value, auto (the model's own range), "
        "{min: …, max: …, scale: log}, or a list of values to choose from.",
    )
    tune: bool = Field(True, description="Whether it is tuned where the file has tuning.")

    @field_validator("name")
    @classmethod
    def _name_is_one(cls, name: str | None) -> str | None:
        return None if name is None else checked_name(name)

    @model_validator(mode="after")
    def _model_or_policy(self) -> ModelPart:
        if self.model is not None and self.policy is not None:
            raise wrong("model and policy both say what is trained: keep one", "policy")
        if self.model is None and self.policy is None:
            raise wrong("name a model (model: ease) or a policy file (policy: elsa.yaml)")
        if self.policy is not None and self.set:
            raise wrong("the policy file says all values: leave it out", "set")
        return self


@dataclass(frozen=True)
class Entered:
    """What became of one entry of `models`."""

    entrants: tuple[Entrant, ...]
    problems: tuple[Problem, ...]


def enter(part: ModelPart, place: Place, folder: Path, *, tuned: bool) -> Entered:
    """Make the entrants of one entry; all that is wrong with it is told at once.

    Parameters
    ----------
    part : ModelPart
    place : tuple
        Where the entry stands in the file.
    folder : Path
        What the name of a policy file is relative to.
    tuned : bool
        Whether the experiment tunes.
    """
    if part.policy is not None:
        return _of_policy(part, place, folder)
    assert part.model is not None
    try:
        kind = by_name(part.model)
    except ModelError as error:
        return Entered((), (Problem((*place, "model"), str(error).rstrip(".")),))
    problems = [*_of_task(kind, (*place, "model"))]
    fixed, space = _values(kind, part.set, (*place, "set"), problems)
    if space and not (tuned and part.tune):
        name = next(iter(space))
        way = "leave out tune: false" if tuned else "add `tuning: {trials: 20}`"
        told = f"this is searched, and nothing is tuned here: give one value, or {way}"
        problems.append(Problem((*place, "set", name), told))
    if problems:
        return Entered((), tuple(problems))
    label = part.name or kind.name
    return Entered((Entrant(label, kind, fixed, space or None, part.tune),), ())


def _of_task(kind: type[Recommender], place: Place) -> list[Problem]:
    """Rating models are measured otherwise."""
    if kind.task == "ranking":
        return []
    told = f"{kind.name} predicts ratings, and experiments compare lists: see `shoal evaluate "
    return [Problem(place, f"{told}--model {kind.name}`")]


def _of_policy(part: ModelPart, place: Place, folder: Path) -> Entered:
    place = (*place, "policy")
    try:
        path = expanded(str(part.policy), folder)
        name, settings = policy_of(path)
        kind = by_name(name)
        kind(**settings)
    except ShoalError as error:
        return Entered((), (Problem(place, str(error).rstrip(".")),))
    problems = _of_task(kind, place)
    label = part.name or path.stem
    entrants = (Entrant(label, kind, settings, None, part.tune),)
    return Entered(() if problems else entrants, tuple(problems))


def _values(
    kind: type[Recommender], given: Mapping[str, Any], place: Place, problems: list[Problem]
) -> tuple[dict[str, Any], Space]:
    """Which hyper-parameters are fixed, and in what the others are searched."""
    fixed: dict[str, Any] = {}
    space: Space = {}
    own = declared(kind)
    for name, value in given.items():
        here = (*place, name)
        if name not in kind.model_fields and name != "preset":
            known = [*kind.model_fields, *(["preset"] if kind.presets else [])]
            problems.append(Problem(here, f"{kind.name}: {unknown_key(name, known)}"))
            continue
        try:
            if value == "auto" and not _accepts(kind, name, "auto"):
                if name not in own:
                    ranges = ", ".join(own) or "none"
                    raise ModelError(
                        f"{kind.name} declares no range of {name} (it does of: {ranges}): give a "
                        "value, {min: …, max: …} or a list"
                    )
                space[name] = own[name]
            elif isinstance(value, dict):
                space[name] = _range(kind, name, value, own.get(name))
            elif isinstance(value, list):
                space[name] = Choices(tuple(_value(kind, name, v) for v in value))
            else:
                fixed[name] = _value(kind, name, value)
        except ModelError as error:
            problems.append(Problem(here, str(error)))
    if not problems:
        try:
            kind(**fixed)
        except ModelError as error:
            problems.append(Problem(place, str(error)))
    return fixed, space


def _value(kind: type[Recommender], name: str, value: Any) -> Any:
    """One value of a hyper-parameter, in its type."""
    if isinstance(value, dict | list) or value is None:
        raise ModelError(f"{printable(repr(value), 60)} is no value of {name}")
    is_truth_value = isinstance(value, bool)
    if is_truth_value and name != "preset" and kind.model_fields[name].annotation is not bool:
        raise ModelError(f"{name}={value!r}: this is true or false, not a value of {kind.name}")
    made = kind(**{name: value})
    return value if name == "preset" else getattr(made, name)


def _accepts(kind: type[Recommender], name: str, value: Any) -> bool:
    """Whether a model has this value of a hyper-parameter: `device: auto` is one."""
    try:
        kind(**{name: value})
    except ModelError:
        return False
    return True


def _range(
    kind: type[Recommender], name: str, given: Mapping[str, Any], own: Range | None
) -> Range:
    """The range that a mapping stands for; both ends must be values of the model."""
    for key in given:
        if key not in _RANGE_KEYS:
            raise ModelError(f"{key}: {unknown_key(str(key), _RANGE_KEYS)}")
    for key in ("min", "max"):
        if key not in given:
            raise ModelError(f"the range has no {key}: write {{min: …, max: …, scale: log}}")
    if kind.model_fields[name].annotation not in (int, float):
        raise ModelError(f"{name} is no number, so it has no range: list its values: [a, b]")
    scale = given.get("scale", "linear" if own is None else own.scale)
    if scale not in ("linear", "log"):
        raise ModelError(f"scale {scale!r}: write linear or log")
    low, high = (_end(given, key) for key in ("min", "max"))
    found = Range(low, high, scale, whole=kind.model_fields[name].annotation is int)
    for end in (given["min"], given["max"]):
        _value(kind, name, end)
    return found


def _end(given: Mapping[str, Any], key: str) -> float:
    """One end of a range."""
    try:
        return float(given[key])
    except (TypeError, ValueError):
        raise ModelError(f"{key} {given[key]!r:.40} is no number") from None
