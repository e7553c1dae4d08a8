"""Where the tables of a data set are: named files, public sets, or what stands in for them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from shoal.errors import DataError
from shoal.experiments.files.parts import DataPart
from shoal.experiments.files.paths import expanded
from shoal.policy.places import listed

VARIABLE = "SHOAL_DATA"  # names a folder of public data sets, each in a folder of its own
ENDINGS = (
    *(".parquet", ".pq", ".csv", ".tsv", ".txt", ".dat", ".jsonl", ".ndjson", ".json", ".inter"),
    *(".arrow", ".feather", ".ipc", ".npz", ".mtx"),
)
_PACKED = ("", ".gz", ".bz2", ".xz", ".zst", ".zip")
_TABLES = ("interactions", "train", "test", "items")


def tables_of(part: DataPart, folder: Path, elsewhere: Path | None = None) -> dict[str, Path]:
    """The files of a data set: ``log``, or ``train`` and ``test``; ``items``, ``vectors``.

    Parameters
    ----------
    part : DataPart
    folder : Path
        What paths in `part` are relative to.
    elsewhere : Path, optional
        A log, or a folder with tables, in place of what `part` names.

    Raises
    ------
    DataError
        There is no such file, folder or public data set here; the message says how to get it.
    """
    if elsewhere is not None:
        files = _given(elsewhere, part.label)
    elif part.public is not None:
        files = _public(part, folder)
    elif part.file is not None:
        files = _given(expanded(part.file, folder), part.label)
    else:
        named = {"train": part.train, "test": part.test}
        files = {role: expanded(text, folder) for role, text in named.items() if text is not None}
    for role in ("items", "vectors"):
        text = getattr(part, role)
        if text is not None:
            files[role] = expanded(text, folder)
    if part.texts and "items" not in files:
        raise DataError(
            f"data set {part.label}: texts are those of an item table, and there is none: name it "
            "(items: FILE)"
        )
    return files


def public_folders(name: str, folder: Path) -> list[Path]:
    """Where a public data set is looked for, in this order."""
    own = name.replace(":", "-")
    root = os.environ.get(VARIABLE)
    roots = [*([Path(root)] if root else []), Path("data"), folder / "data"]
    return list(dict.fromkeys((root / own).absolute() for root in roots))


def is_here(part: DataPart, folder: Path) -> bool:
    """Whether the tables of a data set can be found without another command."""
    try:
        tables_of(part, folder)
    except DataError:
        return False
    return True


def elsewhere_of(texts: Sequence[str], labels: Sequence[str]) -> dict[str, Path]:
    """Data sets that the command line says where to find: ``NAME=PATH``, or a path if there is one.

    Parameters
    ----------
    texts : sequence of str
        Values of ``--data``.
    labels : sequence of str
        Names of the data sets of the experiment.

    Raises
    ------
    DataError
        There is no such data set, one is given twice, or a path is not there.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or (name not in labels and Path(text).exists()):
            if len(labels) > 1:
                raise DataError(f"--data {text}: say of which data set: {labels[0]}={text}")
            name, path = labels[0], text
        if name not in labels:
            raise DataError(f"--data {text}: no data set is called {name}{listed(name, labels)}")
        if name in found:
            raise DataError(f"--data gives {name} twice: {found[name]} and {path}")
        found[name] = Path(path).expanduser().absolute()
        if not found[name].exists():
            raise DataError(f"--data {text}: there is no file or folder {found[name]}")
    return found


def _given(path: Path, label: str) -> dict[str, Path]:
    """A log, or the tables of a folder."""
    if not path.is_dir():
        return {"log": path}
    files = _tables_in(path)
    if not files:
        raise DataError(
            f"{path}, given for the data set {label}, holds no tables: it needs interactions.* or "
            "train.* and test.*, and may have items.*"
        )
    return files


def _public(part: DataPart, folder: Path) -> dict[str, Path]:
    """The tables of a public data set, where `shoal data fetch` has put them."""
    assert part.public is not None
    folders = public_folders(part.public, folder)
    for place in folders:
        if place.is_dir() and (files := _tables_in(place)):
            return files
    looked = ", ".join(map(str, folders))
    raise DataError(
        f"the public data set {part.public} is not here (looked in: {looked}): get it with `shoal "
        f"data fetch {part.public}`, or say where it is: --data {part.label}=PATH, or {VARIABLE}="
        "the folder that holds it"
    )


def _tables_in(folder: Path) -> dict[str, Path]:
    """The tables in a folder by what they are; none if there is no log among them."""
    found: dict[str, Path] = {}
    known = {f"{name}{ending}{packed}" for name in _TABLES for ending in ENDINGS
             for packed in _PACKED}  # fmt: skip
    for file in sorted(folder.iterdir()):
        if file.name.lower() not in known or not file.is_file():
            continue
        name = file.name.lower().partition(".")[0]
        role = "log" if name == "interactions" else name
        if role in found:
            raise DataError(
                f"{folder} holds both {found[role].name} and {file.name}: keep one of them"
            )
        found[role] = file
    is_split = "train" in found and "test" in found
    if "log" in found and is_split:
        raise DataError(
            f"{folder} holds {found['log'].name}, {found['train'].name} and {found['test'].name}: "
            "keep the one log, or the two files of a given split"
        )
    if ("train" in found) != ("test" in found) and "log" not in found:
        there, missing = ("train", "test") if "train" in found else ("test", "train")
        raise DataError(f"{folder} holds {found[there].name} and no {missing}.*: add it")
    return found if "log" in found or is_split else {}
