"""What the folder of a run says besides its results: its file, environment, data and trials.

A report can be written from results alone; whatever of these files is there makes it fuller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shoal.errors import ArtifactError


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds besides ``results.json``; empty where a file is missing.

    Parameters
    ----------
    experiment : str
        The experiment file with all that it leaves open filled in, as YAML.
    run : mapping
        When it ran, for how long, and how it ended.
    environment : mapping
        Versions, processor, threads, commit.
    data : mapping
        Of each data set by name, its ``hashes`` among others.
    trials : list of dict
        Every setting that a search has tried: ``data``, ``model``, ``settings``, ``score``,
        ``seconds``, ``state``, ``source``.
    """

    experiment: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    trials: list[dict[str, Any]] = field(default_factory=list)


def read_run_files(folder: Path) -> RunFiles:
    """Read what there is of a run.

    Raises
    ------
    ArtifactError
        A file is there and cannot be read.
    """
    return RunFiles(
        experiment=_text(folder / "experiment.yaml") or "",
        run=_object(folder / "run.json"),
        environment=_object(folder / "environment.json"),
        data=_object(folder / "data.json"),
        trials=_rows(folder / "trials.jsonl"),
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error


def _object(path: Path) -> Mapping[str, Any]:
    text = _text(path)
    found = {} if text is None else _parsed(text, str(path))
    if not isinstance(found, dict):
        raise ArtifactError(f"{path} holds no JSON object")
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file with an object in each line; a last line that was cut off is left out."""
    *lines, rest = (_text(path) or "").split("\n")
    rows = [
        _parsed(line, f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    try:
        return [*rows, json.loads(rest)] if rest.strip() else rows
    except ValueError:
        return rows


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ArtifactError(f"{place} is no JSON: {error}") from error
