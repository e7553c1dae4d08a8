"""Which models a command is asked for: by names and ``--set``, or by a policy file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli.parse import id_list, pairs
from shoal.errors import DataError, ModelError

Model = Annotated[
    str | None,
    typer.Option(help="Name of a model; `shoal info` lists them.", show_default="ease"),
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


def model_and_settings(
    model: str | None, set_: list[str] | None, policy: Path | None
) -> tuple[str, dict[str, Any]]:
    """The model's name and its settings; --set goes before what stands in the policy file.

    Raises
    ------
    ModelError
        Both --model and --policy; or the file is no policy.
    """
    if policy is None:
        return model or "ease", parse_settings(set_)
    if model is not None:
        raise ModelError("--model and --policy both name a model: give one of them")
    from shoal.policy import read_policy

    unfitted = read_policy(policy, parse_settings(set_))
    return unfitted.name, unfitted.model_dump(exclude_unset=True)


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
