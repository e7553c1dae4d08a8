"""Which model a command is asked for: by ``--model`` and ``--set``, or by a policy file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli.options import settings
from shoal.errors import ModelError

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
    from shoal.policy import policy_of, read_policy

    read_policy(policy, settings(given))  # whose errors name the file
    name, known = policy_of(policy)
    return name, known | settings(given)
