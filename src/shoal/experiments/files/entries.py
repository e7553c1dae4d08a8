"""The models that an experiment file names: values, ranges and policies → entrants."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from shoal.base.ranges import Choices, Range, Space, declared
from shoal.base.recommender import Recommender
from shoal.data.counted import Event
from shoal.errors import ModelError, ShoalError
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.files.parts import Part, Text, checked_name
from shoal.experiments.files.paths import expanded
from shoal.models.registry import by_name
from shoal.policy import policies_of
from shoal.policy.places import Problem, listed, wrong
from shoal.policy.ranges import is_range, range_of
from shoal.policy.yaml_files import Place
from shoal.web import printable


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
    defaults: tuple[str, ...] = Field(
        (),
        description="Names in set that nobody chose a value for: they are written out, as in the "
        "file of a run, and mean what leaving them out means. A value that is changed counts.",
    )

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
    """What became of one entry of `models`.

    Parameters
    ----------
    entrants : tuple of Entrant
    problems : tuple of Problem
        What is wrong; there are no entrants then.
    notes : tuple of str
        Keys of policies that do nothing.
    events : tuple of tuples
        For each entrant of a policy file, the events whose rows count; () where all do.
    """

    entrants: tuple[Entrant, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    events: tuple[tuple[Event, ...], ...] = ((),)


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
        return _of_policy(part, place, folder, tuned=tuned)
    assert part.model is not None
    try:
        kind = by_name(part.model)
    except ModelError as error:
        return Entered(problems=(Problem((*place, "model"), str(error).rstrip(".")),))
    problems = [*_of_task(kind, (*place, "model"))]
    fixed, space = _values(kind, part.set, (*place, "set"), problems)
    if space and not (tuned and part.tune):
        name = next(iter(space))
        problems.append(_not_searched((*place, "set", name), name, tuned=tuned))
    if problems:
        return Entered(problems=tuple(problems))
    fixed = _chosen(kind, fixed, part.defaults)
    label = part.name or kind.name
    return Entered((Entrant(label, kind, fixed, _given(kind, fixed, space), part.tune),))


def _given(kind: type[Recommender], fixed: Mapping[str, Any], space: Space) -> Space | None:
    """The space, or None where nothing but the model's own ranges was written out."""
    own = {name: values for name, values in declared(kind).items() if name not in fixed}
    return None if space == own else space or None


def _chosen(
    kind: type[Recommender], fixed: Mapping[str, Any], defaults: Collection[str]
) -> dict[str, Any]:
    """The values that somebody chose: all but the defaults that are only written out.

    A model may treat a value that was chosen otherwise: more factors than items are refused.
    """
    chosen = {name: value for name, value in fixed.items() if name not in defaults}
    plain = kind(**chosen).model_dump()
    return {n: v for n, v in fixed.items() if n in chosen or n not in plain or v != plain[n]}


def _of_task(kind: type[Recommender], place: Place) -> list[Problem]:
    """Rating models are measured otherwise."""
    if kind.task == "ranking":
        return []
    told = f"{kind.name} predicts ratings, and experiments compare lists: see `shoal evaluate "
    return [Problem(place, f"{told}--model {kind.name}`")]


def _of_policy(part: ModelPart, place: Place, folder: Path, *, tuned: bool) -> Entered:
    """The models of a policy file."""
    place = (*place, "policy")
    try:
        path = expanded(str(part.policy), folder)
        specs = policies_of(path)
    except ShoalError as error:
        return Entered(problems=(Problem(place, str(error).rstrip(".")),))
    entrants, problems = [], []
    for spec in specs:
        kind = by_name(spec.name)
        problems += _of_task(kind, place)
        if spec.space and not (tuned and part.tune):
            problems.append(_not_searched(place, spec.label, tuned=tuned))
        label = part.name or spec.label
        if part.name and len(specs) > 1:
            label = f"{part.name}-{spec.label}"
        try:
            checked_name(label)
        except ValueError as error:
            problems.append(Problem(place, f"{label!r:.60}: {error}"))
        space = _given(kind, spec.settings, dict(spec.space))
        entrants.append(Entrant(label, kind, dict(spec.settings), space, part.tune))
    notes = tuple(note for spec in specs for note in spec.notes)
    events = tuple(spec.events for spec in specs)
    return Entered(() if problems else tuple(entrants), tuple(problems), notes, events)


def _not_searched(place: Place, name: str, *, tuned: bool) -> Problem:
    """A range where nothing is tuned."""
    way = "leave out tune: false" if tuned else "add `tuning: {trials: 20}`"
    return Problem(place, f"{name} is searched, and not tuned here: give one value, or {way}")


def _values(
    kind: type[Recommender], given: Mapping[str, Any], place: Place, problems: list[Problem]
) -> tuple[dict[str, Any], Space]:
    """Which hyper-parameters are fixed, and in what the others are searched."""
    fixed: dict[str, Any] = {}
    space: Space = {}
    for name, value in given.items():
        here = (*place, name)
        if "." in name and _accepts(kind, name, value):  # of one stage of a model of two stages
            fixed[name] = value
            continue
        if name not in kind.model_fields and name != "preset":
            known = [*kind.model_fields, *(["preset"] if kind.presets else [])]
            told = f"{kind.name} has no hyper-parameter {name}{listed(name, known)}"
            problems.append(Problem(here, told))
            continue
        try:
            if is_range(value) and not _accepts(kind, name, value):
                space[name] = _in_its_type(kind, name, range_of(kind, name, _with_numbers(value)))
            else:
                fixed[name] = _value(kind, name, value, _words(given))
        except ModelError as error:
            problems.append(Problem(here, str(error)))
    if not problems:
        try:
            kind(**fixed)
        except ModelError as error:
            problems.append(Problem(place, str(error)))
    return fixed, space


def _words(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are words: they may decide which other values are allowed."""
    return {name: value for name, value in given.items() if isinstance(value, str)}


def _value(
    kind: type[Recommender], name: str, value: Any, beside: Mapping[str, Any] | None = None
) -> Any:
    """One value of a hyper-parameter, in its type; alone, or else beside others."""
    if isinstance(value, dict | list) or value is None:
        raise ModelError(f"{printable(repr(value), 60)} is no value of {name}")
    field = kind.model_fields.get(name)
    if isinstance(value, bool) and field is not None and field.annotation is not bool:
        raise ModelError(f"{name}={value!r}: this is true or false, not a value of {kind.name}")
    try:
        made = kind(**{name: value})
    except ModelError:
        if not beside:
            raise
        try:
            made = kind(**{**beside, name: value})
        except ModelError:
            made = kind(**{name: value})  # this error names one value alone
    return value if field is None else getattr(made, name)


def _accepts(kind: type[Recommender], name: str, value: Any) -> bool:
    """Whether a model has this value of a hyper-parameter: `device: auto` is one."""
    try:
        _value(kind, name, value)
    except ModelError:
        return False
    return True


def _with_numbers(value: Any) -> Any:
    """A range whose ends are numbers: YAML reads `1e-4`, without a point, as a text."""
    if not isinstance(value, dict):
        return value
    ends: dict[Any, Any] = dict(value)
    for end in ("min", "max"):
        if isinstance(ends.get(end), str):
            with contextlib.suppress(ValueError):
                ends[end] = float(ends[end])
    return ends


def _in_its_type(kind: type[Recommender], name: str, found: Range | Choices) -> Range | Choices:
    """Values to choose from as the model has them: the text `1e-4` as a number."""
    if isinstance(found, Choices):
        return Choices(tuple(_value(kind, name, value) for value in found.values))
    return found
