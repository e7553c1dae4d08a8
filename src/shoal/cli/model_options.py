"""Which models a command is asked for: by names and ``--set``, or by a policy file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.faults import to_stderr
from shoal.cli.parse import id_list, pairs
from shoal.errors import DataError, ModelError

if TYPE_CHECKING:
    from shoal.base.ranges import Choices, Range
    from shoal.data.counted import Event
    from shoal.policy import PolicyFile

Model = Annotated[
    str | None,
    typer.Option(
        help="Name of a model, with settings in parentheses or without: ease, ease(l2=300), "
        "blend(ease+gf-cf); `shoal info` lists them.",
        show_default="ease",
    ),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Hyper-parameter, such as l2=300; repeatable.")
]
Policy = Annotated[
    Path | None,
    typer.Option(help="Instead of --model: a YAML file that names model and hyper-parameters."),
]
Models = Annotated[
    str, typer.Option(help="Names with commas; or all, fast (no training by steps), deep.")
]


@dataclass(frozen=True)
class Chosen:
    """The model that a command is asked for.

    Parameters
    ----------
    name : str
    settings : dict
        Values of hyper-parameters; --set goes before what stands in a policy file.
    space : dict of str to Range or Choices
        What a policy file wants to be searched; empty but for a command that searches.
    events : tuple of str and numbers
        The events of the log that count; empty where all do.
    trials : int or None
        How many settings a policy file wants to be tried.
    set_ : dict of str to str
        What --set says.
    """

    name: str
    settings: dict[str, Any]
    space: dict[str, Range | Choices] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    trials: int | None = None
    set_: dict[str, str] = field(default_factory=dict)


def chosen_model(model: str | None, set_: list[str] | None, policy: Path | None) -> Chosen:
    """The model of --model and --set, or of a policy file, with one value for each parameter.

    Raises
    ------
    ModelError
        Both --model and --policy; or the file is no policy, holds several, or holds a range.
    """
    if policy is None:
        name, given = _with_settings(model or "ease", parse_settings(set_))
        return Chosen(name, given)
    from shoal.policy import read_policy

    file = _policy_file(model, policy)
    unfitted = read_policy(policy, parse_settings(set_))
    settings = unfitted.model_dump(exclude_unset=True)
    return Chosen(unfitted.name, settings, events=file.policies[0].events)


def model_to_search(model: str | None, set_: list[str] | None, policy: Path | None) -> Chosen:
    """The model of --model and --set, or of a policy file, in which ranges may stand.

    Raises
    ------
    ModelError
        Both --model and --policy; or the file is no policy, or holds several.
    """
    given = parse_settings(set_)
    if policy is None:
        name, given = _with_settings(model or "ease", given)
        return Chosen(name, given, set_=given)
    from shoal.policy import only_policy, tell

    file, spec = _policy_file(model, policy), only_policy(policy)
    tell(spec)
    space = {name: values for name, values in spec.space.items() if name not in given}
    return Chosen(spec.name, spec.settings | given, space, spec.events, file.trials, given)


def _with_settings(model: str, set_: dict[str, str]) -> tuple[str, dict[str, str]]:
    """A name and settings, of which some may stand behind the name: ``blend(ease+gf-cf)``."""
    if "(" not in model:
        return model, set_
    from shoal.base.model_text import single

    name, settings = single(model, "--model")
    return name, settings | set_


def _policy_file(model: str | None, policy: Path) -> PolicyFile:
    """A policy file, once a person has been told what is not read of it."""
    if model is not None:
        raise ModelError("--model and --policy both name a model: give one of them")
    from shoal.policy import policy_file

    file = policy_file(policy)
    for note in file.notes:
        to_stderr(f"note: {note}")
    return file


def model_names(text: str, *, only: str | None = None) -> list[str]:
    """The models that a text names: names with commas, or all, fast or deep.

    Parameters
    ----------
    text : str
    only : str, optional
        The task whose models all, fast and deep stand for; a model that is named may have another.
    """
    from shoal.models.registry import by_name, models

    known = [m for m in models().values() if only is None or m.task == only]
    groups = {
        "all": known,
        "fast": [m for m in known if not m.trained],
        "deep": [m for m in known if m.trained],
    }
    names = [m.name for word in id_list(text) for m in groups.get(word.lower()) or [by_name(word)]]
    if not names:
        raise DataError("--models names none")
    return list(dict.fromkeys(names))


def settings_by_model(set_: list[str] | None, names: list[str]) -> dict[str, dict[str, str]]:
    """``--set ease.l2=300`` by model; bad names and settings are refused."""
    from shoal.models.registry import by_name

    settings: dict[str, dict[str, str]] = {}
    for key, value in parse_settings(set_).items():
        model, dot, parameter = key.partition(".")
        if not dot or by_name(model).name not in names:
            raise DataError(f"--set {key}={value}: write MODEL.parameter=value for one of --models")
        of_model = settings.setdefault(by_name(model).name, {})
        if of_model.setdefault(parameter, value) != value:
            raise DataError(f"--set gives {parameter} of {by_name(model).name} twice")
    for name in names:  # making a model checks its settings
        by_name(name)(**settings.get(name, {}))
    return settings


def parse_settings(set_: list[str] | None) -> dict[str, str]:
    """``--set l2=300 --set xi=.2`` as a mapping."""
    settings: dict[str, str] = {}
    for text in set_ or []:
        for name, value in pairs(text, "--set").items():
            if settings.setdefault(name, value) != value:
                raise DataError(f"--set gives {name} twice: {settings[name]} and {value}")
    return settings
