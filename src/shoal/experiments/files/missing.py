"""Files that an experiment names and that are not there."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

from shoal.errors import DataError
from shoal.experiments.files.parts import PATHS, DataPart
from shoal.experiments.files.paths import expanded
from shoal.policy.places import Problem, listed


def missing_files(
    data: Sequence[DataPart], folder: Path, elsewhere: Mapping[str, Path]
) -> list[Problem]:
    """A problem for each file that is not there; sets that are elsewhere are not looked for.

    Raises
    ------
    DataError
        `elsewhere` names a data set that there is not.
    """
    labels = [part.label for part in data]
    for name in elsewhere:
        if name not in labels:
            raise DataError(f"--data {name}=…: no data set is called so{listed(name, labels)}")
    problems = []
    for number, part in enumerate(data):
        names = ("items", "vectors") if part.label in elsewhere else PATHS
        for name in names:
            text = getattr(part, name)
            if text is None:
                continue
            place = ("data", number, name)
            try:
                path = expanded(text, folder)
            except DataError as error:
                problems.append(Problem(place, str(error)))
                continue
            if not is_there(path):
                way = f"name another, or give it by --data {part.label}=PATH"
                problems.append(Problem(place, f"there is no file {path}: {way}"))
    return problems


def is_there(path: Path) -> bool:
    """Whether there is a file, or one that a pattern such as ``logs/*.parquet`` stands for."""
    return path.exists() or bool(glob.glob(str(path)))  # noqa: PTH207 - the pattern is absolute
