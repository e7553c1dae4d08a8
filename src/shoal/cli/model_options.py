"""Which models a command is asked for: by names and ``--set``, or by a policy file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli.options import id_list, pairs
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


def asked_for(
    model: str | None, given: list[str] | None, policy: Path | None
) -> tuple[str, dict[str, Any]]:
    """The model's name and its settings; --set goes before what stands in the file.

    Raises
    ------
    ModelError
        Both --model and --policy; or the file is no policy.
    """
    if policy is None:
        return model or "ease", settings(given)
    if model is not None:
        raise ModelError("--model and --policy both name a model: give one of them")
    from shoal.policy import read_policy

    found = read_policy(policy, settings(given))
    return found.name, found.model_dump(exclude_unset=True)


def model_names(text: str, *, only: str | None = None) -> list[str]:
    """Names with commas, or all, fast or deep; `only` is a task that these three keep to."""
    from shoal.models.registry import by_name, models

    known = [m for m in models().values() if only is None or m.task == only]
    groups = {
        "all": known,
        "fast": [m for m in known if not m.trained],
        "deep": [m for m in known if m.trained],
    }
    asked = [m.name for word in id_list(text) for m in groups.get(word.lower()) or [by_name(word)]]
    if not asked:
        raise DataError("--models names none")
    return list(dict.fromkeys(asked))


def settings_by_model(given: list[str] | None, names: list[str]) -> dict[str, dict[str, str]]:
    """``--set ease.l2=300`` by model; bad names and settings are refused."""
    from shoal.models.registry import by_name

    chosen: dict[str, dict[str, str]] = {}
    for key, value in settings(given).items():
        owner, dot, parameter = key.partition(".")
        if not dot or by_name(owner).name not in names:
            raise DataError(f"--set {key}={value}: write MODEL.parameter=value for one of --models")
        chosen.setdefault(by_name(owner).name, {})[parameter] = value
    for name in names:
        by_name(name)(**chosen.get(name, {}))
    return chosen


def settings(given: list[str] | None) -> dict[str, str]:
    """``--set l2=300 --set xi=.2`` as a mapping."""
    out: dict[str, str] = {}
    for one in given or []:
        out |= pairs(one, "--set")
    return out
