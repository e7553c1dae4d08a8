"""`read_experiment`: an experiment file, or what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from shoal.errors import DataError, ModelError
from shoal.experiments.files.experiment import Experiment
from shoal.policy import read_yaml_with_lines
from shoal.policy.places import Place, Problem, problems_of, told

HINT = "`shoal schema experiment` and docs/experiments.md say what an experiment file holds"


def read_experiment(path: str | Path, *, elsewhere: Mapping[str, Path] | None = None) -> Experiment:
    """Read an experiment file.

    Relative paths in it are relative to its folder; ``${NAME}`` is a variable of the environment.

    Parameters
    ----------
    path : str or Path
    elsewhere : dict of str to Path, optional
        Data sets, by name, that are somewhere else than the file says, so that their files are
        not looked for.

    Raises
    ------
    DataError
        There is no such file, it is no YAML, or a key, a value, a model or a file is none. The
        message names the file, and of each problem the line, the key and the way out.
    """
    path = Path(path)
    try:
        content, lines = read_yaml_with_lines(path, HINT, unique_keys=True)
    except ModelError as error:
        raise DataError(str(error)) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no keys and values. {HINT}")
    if {"policy_configs", "training"} & set(content) and "models" not in content:
        raise DataError(f"{path} is a policy file, which is run with data: --data LOG")
    listed = content
    if isinstance(content.get("data"), dict):
        listed = {**content, "data": [content["data"]]}
    problems: list[Problem] = []
    try:
        experiment = Experiment.model_validate(listed).within(path.parent)
        problems = experiment.check(elsewhere)
    except ValidationError as error:
        problems = problems_of(error, listed, Experiment)
    if problems:
        if listed is not content:  # the file has no list there
            problems = [replace(p, place=_without_number(p.place)) for p in problems]
        raise DataError(told(path, problems, lines, HINT))
    return experiment


def _without_number(place: Place) -> Place:
    """The place of a key of the only data set, where the file has it without a list."""
    return ("data", *place[2:]) if place[:1] == ("data",) else place
