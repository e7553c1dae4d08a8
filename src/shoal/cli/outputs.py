"""Where commands write: never over what they read, nor over what shoal did not make."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.unused import changed, refuse
from shoal.errors import ArtifactError

OUTPUT = "Writing"


@dataclass
class OutputOptions:
    """What may be replaced."""

    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace what is there, also if shoal did not make it.",
            rich_help_panel=OUTPUT,
        ),
    ] = False

    def check(self, out: Path | None, *inputs: Path | None) -> None:
        """Refuse a file to write that is an input, or that is there and was not made by shoal.

        Parameters
        ----------
        out : Path or None
            None checks nothing.
        *inputs : Path or None
            Files and folders that the command reads.

        Raises
        ------
        ArtifactError
            The message names --overwrite or another place.
        """
        if out is None:
            refuse(
                changed(self, ("overwrite",)), "without --out FILE: leave it out, or name the file"
            )
            return
        from shoal.files import made_by_shoal

        written = [out]
        if out.suffix == ".npy":  # the ids go to a table beside it
            written.append(out.with_suffix(".parquet"))
        for path in written:
            refuse_an_input(path, inputs)
            _refuse_a_model_folder(path)
            if path.exists() and not path.is_file():
                raise ArtifactError(f"{path} is no regular file: name another place to write")
        if self.overwrite:
            return
        for path in written:
            if path.is_file() and not made_by_shoal(path):
                raise ArtifactError(
                    f"{path} exists, and shoal did not make it: name another file, or replace it "
                    "with --overwrite"
                )

    def check_folder(self, out: Path, *inputs: Path | None) -> None:
        """Refuse a model folder to write that holds an input, or files that are none of a model's.

        Raises
        ------
        ArtifactError
            The message names --overwrite or another place.
        """
        from shoal.artifact import check_target

        check_target(out)
        refuse_an_input(out, inputs)
        if self.overwrite or not out.is_dir():
            return
        if strangers := _strangers(out):
            raise ArtifactError(
                f"{out} is replaced as a whole, and {strangers[0]} in it was not made by shoal: "
                "name another folder, move that file, or replace all with --overwrite"
            )

    def check_parts(self, out: Path, *inputs: Path | None) -> None:
        """Refuse a folder for lists in parts that is or holds an input, or lies in a model folder.

        Raises
        ------
        ArtifactError
            The message names another place.
        """
        refuse_an_input(out, inputs)
        _refuse_a_model_folder(out / "part")

    def check_targets(self, out: Path | None, store: Path | None, *inputs: Path | None) -> None:
        """Refuse, before a long fit, a place to which the model could not be written.

        Parameters
        ----------
        out : Path or None
            Model folder to write.
        store : Path or None
            Store in which the model is to be published.
        *inputs : Path or None
            Files and folders that the command reads.

        Raises
        ------
        ArtifactError
            Neither is given, or one of them is refused.
        """
        from shoal.artifact import check_new_store

        if out is None and store is None:
            raise ArtifactError(
                "say where the model is to go: --out FOLDER, or --publish STORE for a new live "
                "version"
            )
        if store is not None:
            check_new_store(store)
        if out is not None:
            self.check_folder(out, *inputs)
        else:
            refuse(changed(self), "without --out FOLDER: a store keeps what is there")


@dataclass
class TableOptions(OutputOptions):
    """What may be replaced, and how tables are written."""

    guard_formulas: Annotated[
        bool,
        typer.Option(
            "--guard-formulas",
            help="In CSV, put ' before texts that a spreadsheet would take for a formula.",
            rich_help_panel=OUTPUT,
        ),
    ] = False


def check_training_log(path: Path | None, *inputs: Path | None) -> None:
    """Refuse a training log that would be appended to a file which is none.

    Raises
    ------
    ArtifactError
        The file is an input, or its first line is no JSON object with an epoch.
    """
    if path is None:
        return
    refuse_an_input(path, inputs)
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        first = file.readline(100_000)
    try:
        is_log = "epoch" in json.loads(first)
    except (ValueError, TypeError, RecursionError):
        is_log = False
    if not is_log:
        raise ArtifactError(
            f"--training-log {path} exists and is no training log: name another file"
        )


def refuse_an_input(out: Path, inputs: tuple[Path | None, ...]) -> None:
    """Refuse a place to write that is, or holds, something that the command reads."""
    place = Path(os.path.realpath(out))
    for given in inputs:
        if given is None or not given.exists():
            continue
        source = Path(os.path.realpath(given))
        same = out.exists() and out.samefile(given)
        if same or source == place or place in source.parents:
            what = "is" if same or source == place else f"holds {given}, which is"
            raise ArtifactError(f"{out} {what} read by this command: name another place to write")


def _refuse_a_model_folder(out: Path) -> None:
    """A model folder holds the files of its model alone, and is replaced as a whole."""
    from shoal.artifact.manifest import MANIFEST

    for folder in Path(os.path.realpath(out)).parents:
        if (folder / MANIFEST).is_file():
            raise ArtifactError(f"{out} lies in the model folder {folder}: name another place")


def _strangers(folder: Path) -> list[str]:
    """Names in a model folder that are neither the model's files nor its index."""
    from shoal.artifact.manifest import MANIFEST
    from shoal.inference.index_files import ABOUT, FILE

    try:
        known = set(json.loads((folder / MANIFEST).read_text())["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []  # a damaged model folder, as `check_target` has seen
    known |= {MANIFEST, ABOUT, FILE}
    return sorted(p.name for p in folder.iterdir() if p.name not in known and p.name[0] != ".")
