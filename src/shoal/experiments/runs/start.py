"""Where a run happens: in a new folder, or in that of a run of the same file that ended early."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shoal.errors import ArtifactError, DataError
from shoal.experiments.files.resolved import resolved
from shoal.experiments.runs.differences import differences, in_words
from shoal.experiments.runs.environment import environment
from shoal.experiments.runs.folder import (
    COMPLETE,
    DATA,
    ENVIRONMENT,
    FILE,
    REFUSED,
    RUNNING,
    RunFolder,
    default_path,
    is_free,
    is_run,
    make_folder,
    now,
    open_run,
    runs_below,
)
from shoal.experiments.runs.order import Order, fingerprint

PARENT = Path("runs")


def choose_folder(
    order: Order,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    new: bool = False,
    parent: Path = PARENT,
) -> Path:
    """Choose the folder in which an order is carried out.

    Parameters
    ----------
    order : Order
    out : Path, optional
        The folder to write; one that holds a run of the same file, which is not complete, goes on.
    resume : Path, optional
        The folder of a run that is to go on.
    new : bool
        Whether a new run is begun also where one of the same file can go on.
    parent : Path
        Where folders that nobody named are.

    Returns
    -------
    Path
        It may not be there yet.

    Raises
    ------
    ArtifactError
        The folder holds a run of another file, a complete one, or something else.
    """
    if resume is not None:
        if new or out is not None:
            raise DataError("--resume says where to go on: leave out --new and --out")
        _check_same(open_run(resume), order)
        return resume
    if out is not None:
        if is_run(out):
            if new:
                raise ArtifactError(f"{out} holds a run already: name another folder by --out")
            _check_same(open_run(out), order)
        elif not is_free(out):
            raise ArtifactError(f"{out} is there already, and holds no run: name another folder")
        return out
    if not new:
        mark = fingerprint(order.asked)
        for folder in runs_below(parent):
            about = folder.about
            if about.get("fingerprint") == mark and about["status"] != COMPLETE:
                return folder.path
    return default_path(order.experiment.name, parent)


def begin(path: Path, order: Order) -> RunFolder:
    """Make the folder of a run, or open that of one that goes on."""
    if is_run(path):
        return open_run(path)
    asked = order.asked
    return make_folder(
        path,
        {
            "name": order.experiment.name,
            "status": RUNNING,
            "started": now(),
            "ended": None,
            "seconds": 0.0,
            "quick": order.quick,
            "cells": order.cells,
            "fingerprint": fingerprint(asked),
            "labels": [entrant.label for entrant in order.entrants],
            "asked": asked,
        },
    )


def mark_running(
    folder: RunFolder, order: Order, sha256: str | None, command: Sequence[str]
) -> None:
    """Write down what is run, on what, and from where; the caller holds the folder."""
    place = order.experiment.folder
    here = environment(order.run, place, command)
    if (folder.path / ENVIRONMENT).is_file():
        before = folder.read_json(ENVIRONMENT)
        if place.absolute() == folder.path.absolute():  # it goes on without its file
            here["commit"] = before.get("commit")
        changed = differences(before | {"command": None}, here | {"command": None})
        if changed:
            note = f"It was continued where the environment differs: {in_words(changed)}."
            folder.set(notes=list(dict.fromkeys([*folder.about.get("notes", []), note])))
    folder.write_json(ENVIRONMENT, here)
    # without its first line, which names a schema for editors
    folder.write_text(FILE, resolved(order.experiment, folder.path).partition("\n")[2])
    folder.set(
        status=RUNNING,
        ended=None,
        failure=None,
        file_sha256=sha256,
        elsewhere={
            name: os.path.relpath(path.absolute(), folder.path.absolute())
            for name, path in order.elsewhere.items()
        },
    )


def check_data(folder: RunFolder, name: str, hashes: dict[str, Any]) -> None:
    """Refuse to go on with data that are not those that the run has begun with.

    Raises
    ------
    DataError
        The prepared data differ.
    """
    known = folder.read_json_if_there(DATA).get(name, {}).get("hashes", {})
    changed = differences(known.get("matrix"), hashes.get("matrix"))
    for what in ("vectors", "texts"):  # a run of before has no hash of them
        if not changed and what in known and known[what] != hashes.get(what):
            raise DataError(
                f"the {what} of the items of {name} have changed since {folder.path} was begun: "
                "bring them back as they were, or start anew with --new"
            )
    if known and changed:
        raw = " (and so did its files)" if known.get("raw") != hashes.get("raw") else ""
        raise DataError(
            f"the data {name} have changed{raw} since {folder.path} was begun: bring back the data "
            "as they were, or start anew with --new"
        )


def check_held_out(folder: RunFolder, name: str, facts: dict[str, Any], held_out: str) -> None:
    """Refuse to go on with another split: that of a protocol may depend on the order of rows.

    Raises
    ------
    DataError
        Other pairs are held out.
    """
    if facts[name]["hashes"].get("held_out", held_out) != held_out:
        raise DataError(
            f"other pairs of the data {name} are held out than when {folder.path} was begun (the "
            "split of a protocol depends on the order of rows): bring back the data as they were, "
            "or start anew with --new"
        )


def _check_same(folder: RunFolder, order: Order) -> None:
    """Refuse the run of another file, and one that is complete."""
    about = folder.about
    changed = differences(about.get("asked"), order.asked)
    if changed:
        raise ArtifactError(
            f"{folder.path} is a run of another file: {in_words(changed)}. Name another folder, or "
            "start anew with --new"
        )
    refused = folder.read_json_if_there(REFUSED)
    if about["status"] == COMPLETE and not refused:  # what was refused may be tried again
        raise ArtifactError(
            f"{folder.path} is complete: `shoal runs show {folder.path}` shows it, and --new "
            "starts another run"
        )
