"""`read_experiment`: an experiment file, or what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shoal.errors import DataError, ModelError
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.sound import sound_parts
from shoal.policy import read_yaml_with_lines
from shoal.policy.places import Problem, file_error, problems_of, repeated
from shoal.policy.yaml_files import Place

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
        There is no such file, or it is no YAML.
    FileError
        A key, a value, a model or a file is none: of each problem the line, the key and the way
        out.
    """
    path = Path(path)
    try:
        content, lines = read_yaml_with_lines(path, HINT)
    except ModelError as error:
        raise DataError(str(error)) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no keys and values. {HINT}")
    if {"policy_configs", "training"} & set(content) and "models" not in content:
        raise DataError(f"{path} is a policy file, which is run with data: --data LOG")
    listed = content
    if isinstance(content.get("data"), dict):
        listed = {**content, "data": [content["data"]]}
    problems = repeated(path)
    try:
        experiment = Experiment.model_validate(listed).within(path.parent)
        problems += experiment.check(elsewhere)
    except ValidationError as error:
        of_keys = problems_of(error, listed, Experiment)
        problems += [*of_keys, *_of_the_rest(listed, of_keys, path.parent, elsewhere)]
    if problems:
        if listed is not content:  # the file has no list there
            problems = [replace(p, place=_without_number(p.place)) for p in problems]
        raise file_error(path, problems, lines, HINT)
    return experiment


def _of_the_rest(
    content: dict[str, Any],
    wrong: list[Problem],
    folder: Path,
    elsewhere: Mapping[str, Path] | None,
) -> list[Problem]:
    """What `Experiment.check` says of a file without the parts whose keys or values are wrong."""
    sound = sound_parts(content, [problem.place for problem in wrong])
    try:
        found = Experiment.model_validate(sound.content).within(folder).check(elsewhere)
    except ValidationError:
        return []
    return [
        replace(problem, place=place)
        for problem in found
        if (place := sound.place_in_file(problem.place)) is not None
    ]


def _without_number(place: Place) -> Place:
    """The place of a key of the only data set, where the file has it without a list."""
    return ("data", *place[2:]) if place[:1] == ("data",) else place
