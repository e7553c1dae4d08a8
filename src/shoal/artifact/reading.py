"""Loading and verifying model folders: every file is checked before anything uses it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from shoal.artifact.manifest import (
    ARRAYS,
    ITEMS,
    LARGEST_MANIFEST,
    MANIFEST,
    USERS,
    array_files,
    parsed,
)  # fmt: skip
from shoal.artifact.opening import opened, whole
from shoal.artifact.pointer import of_live
from shoal.artifact.tables import first_ids, read_table
from shoal.artifact.tensors import ArraysFile, altered
from shoal.base.declared import Header, check_shapes, check_values
from shoal.base.recommender import Recommender
from shoal.errors import ArtifactError, ModelError
from shoal.folders import OpenFolder, read_into, read_whole
from shoal.forks import uses_polars
from shoal.kernels.arrays import State
from shoal.models.registry import by_name
from shoal.run import Run, human_bytes

_AT_ONCE = 2**24  # bytes that are hashed at a time
_READ_AT_ONCE = 2**25  # bytes of a table of items that are read in a fraction of a second

# what a model may raise that was made for other arrays or hyper-parameters
_UNFIT = (
    ModelError, KeyError, IndexError, ValueError, TypeError, RuntimeError, AttributeError,
    AssertionError, ArithmeticError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class ModelFiles:
    """The open files of one model folder, which all belong to its manifest.

    Parameters
    ----------
    path : Path
        The folder, for error messages.
    manifest : dict
    files : dict
        The file and its number of bytes, by name, as the manifest describes it.
    """

    path: Path
    manifest: dict[str, Any]
    files: dict[str, tuple[FileIO, int]]

    def sha256(self, name: str) -> str:
        """The hash of a file that the manifest says."""
        return str(self.manifest["files"][name]["sha256"])

    def content(self, name: str) -> bytes:
        """All bytes of a file."""
        return read_whole(*self.files[name], self.path / name)

    def blocks(self, name: str) -> Iterator[bytearray]:
        """The bytes of a file in blocks; at its end their hash is compared with the manifest's.

        Raises
        ------
        ArtifactError
            The file cannot be read to its end, or was altered.
        """
        file, size = self.files[name]
        digest, place = hashlib.sha256(), self.path / name
        for begin in range(0, size, _AT_ONCE):
            block = bytearray(min(_AT_ONCE, size - begin))
            try:
                read_into(file, memoryview(block))
            except (EOFError, OSError) as error:
                raise ArtifactError(f"{place} cannot be read to its end: {error}") from None
            digest.update(block)
            yield block
        if digest.hexdigest() != self.sha256(name):
            raise altered(place)

    def check_hashes(self) -> None:
        """Read all files to their ends; raises an ArtifactError if one was altered."""
        for name in self.files:
            for _ in self.blocks(name):
                pass

    def close(self) -> None:
        """Close all files."""
        for file, _ in self.files.values():
            file.close()


def load(path: str | Path, run: Run | None = None, *, mapped: bool = False) -> Recommender:
    """Read a model folder, or the live version of a store; training data are not needed.

    The folder may be replaced by another one meanwhile: the model is then the old or the new one.

    Parameters
    ----------
    path : str or Path
        The folder.
    run : Run, optional
        Memory budget.
    mapped : bool
        Map the arrays into memory in place of reading them. Processes that map the same model share
        one copy, and the memory budget is for the ids and attributes alone. The files must not be
        changed in place meanwhile, which shoal never does.

    Returns
    -------
    Recommender
        The fitted model.

    Raises
    ------
    ArtifactError
        There is no such folder; a file is missing, truncated or altered; the files do not fit
        together; the folder has another format version; this installation does not have the model,
        or it is larger than the memory budget. The message says which.
    MissingExtraError
        The model needs torch, which is not installed.
    """
    uses_polars("loading a model")
    path = Path(path)
    with opened_files(path) as files:
        on_disk = array_files(files.files) if mapped else []
        size = sum(n for name, (_, n) in files.files.items() if name not in on_disk)
        budget = (run or Run()).memory_budget
        if size > budget:
            holds = f"{files.path} holds {human_bytes(size)}"
            raise ArtifactError(f"{holds}, the memory budget is {human_bytes(budget)}")
        return _model(files, mapped)


def verify(path: str | Path) -> dict[str, Any]:
    """Read the manifest of a model folder, and check that its files are there and unaltered.

    Raises
    ------
    ArtifactError
        They are not, or the manifest is no manifest of this format version.
    """
    with opened_files(Path(path)) as files:
        files.check_hashes()
        return files.manifest


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read the manifest of a model folder (or of the live version of a store), and check it.

    Raises
    ------
    ArtifactError
        There is no such folder or manifest, it is damaged, or it has another version.
    """

    def read(place: Path) -> dict[str, Any]:
        with opened(place) as folder:
            return parsed(folder.read(MANIFEST, LARGEST_MANIFEST), place)

    return of_live(Path(path), read)


def content_of(path: str | Path) -> tuple[str, str]:
    """Twelve digits that stand for the exact content of a model folder, and when it was made.

    The digits change with any bit of the model's arrays, items, users and hyper-parameters.

    Raises
    ------
    ArtifactError
        As of `read_manifest`.
    """
    manifest = read_manifest(path)
    parts = {name: manifest[name] for name in ("model", "parameters", "data", "files")}
    text = json.dumps(parts, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return digest[:12], str(manifest.get("created", ""))


def first_items(path: str | Path, n: int) -> list[int | str]:
    """Read a few ids of a model folder (or of the live version of a store), for examples.

    Parameters
    ----------
    path : str or Path
    n : int
        Number of ids. There are none where the table of items is too large to be read quickly.

    Raises
    ------
    ArtifactError
        There is no such folder, or it is damaged.
    ForkError
        This process was forked from one that had used polars.
    """
    uses_polars("reading the items of a model")
    with opened_files(Path(path)) as files:
        if ITEMS not in files.files or files.files[ITEMS][1] > _READ_AT_ONCE:
            return []
        place = files.path / ITEMS
        return first_ids(files.content(ITEMS), files.sha256(ITEMS), "item", n, place)


@contextlib.contextmanager
def opened_files(path: Path) -> Iterator[ModelFiles]:
    """Open all files of a model folder, or of the live version of a store, at once.

    Raises
    ------
    ArtifactError
        There is no such folder, the manifest is damaged, or a file is missing or of another size.
    """
    files = of_live(path, lambda place: whole(place, lambda folder: _open_files(folder, place)))
    try:
        yield files
    finally:
        files.close()


def _open_files(folder: OpenFolder, path: Path) -> ModelFiles:
    """Open all files that the manifest of a folder names, and check their sizes."""
    manifest = parsed(folder.read(MANIFEST, LARGEST_MANIFEST), path)
    files = ModelFiles(path, manifest, {})
    try:
        for name, described in manifest["files"].items():
            opened = folder.open(name)
            if opened is None:
                raise ArtifactError(f"{path / name} is missing: copy the whole folder again")
            files.files[name] = opened
            if opened[1] != described["bytes"]:
                raise ArtifactError(
                    f"{path / name} is truncated or altered: {opened[1]:,} bytes, the manifest "
                    f"says {described['bytes']:,}"
                )
    except BaseException:
        files.close()
        raise
    return files


def _model(files: ModelFiles, mapped: bool) -> Recommender:
    """The model in the files of a folder, whose arrays are mapped or read."""
    path, manifest = files.path, files.manifest
    data, n_items = manifest["data"], manifest["data"]["items"]
    names = array_files(files.files)
    arrays_path = path / ARRAYS
    opened = {name: ArraysFile.open(*files.files[name], path / name) for name in names}
    if n_items > sum(files.files[name][1] for name in names):
        raise ArtifactError(f"{path / MANIFEST} says {n_items:,} items, which the arrays have not")
    headers: dict[str, Header] = {}
    for name, file in opened.items():
        if twice := sorted(headers.keys() & file.headers):
            raise ArtifactError(f"{path / name}: array {twice[0]!r} is in another file as well")
        headers |= file.headers
    try:
        model = by_name(manifest["model"])(**manifest["parameters"])
        spec = model.state_spec(frozenset(headers), n_items)
    except _UNFIT as error:
        raise ArtifactError(f"{path}: {_reason(error)}") from None
    try:
        sizes = {"n_items": n_items}
        if spec:
            sizes = check_shapes(spec, headers, sizes)
        arrays: State = {}
        for name, file in opened.items():
            sha256 = files.sha256(name)
            arrays |= file.mapped(sha256) if mapped else file.read(sha256)
        if spec:
            check_values(spec, arrays, sizes)
    except ArtifactError as error:
        text = str(error)
        raise ArtifactError(
            text if text.startswith(str(path)) else f"{arrays_path}: {text}"
        ) from None
    items_path, kind = path / ITEMS, data["ids"]
    table, items = read_table(
        files.content(ITEMS), files.sha256(ITEMS), "item", kind, n_items, items_path
    )
    users = None
    if "n_users" in sizes and USERS not in files.files:
        raise ArtifactError(f"{path} has no {USERS}, which a {model.name} needs")
    if USERS in files.files:
        content, kind = files.content(USERS), data["user_ids"]
        n_users = sizes.get("n_users")
        _, users = read_table(content, files.sha256(USERS), "user", kind, n_users, path / USERS)
    try:
        model.restore(arrays)
        facts, preparation = manifest["facts"], data.get("preparation", {})
        model.restore_catalogue(items, table, data["fingerprint"], facts, preparation, users)
    except _UNFIT as error:
        raise ArtifactError(f"{arrays_path} is none of a {model.name}: {_reason(error)}") from None
    return model


def _reason(error: BaseException) -> str:
    """What an error says, in one line."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return " ".join(str(error).split())[:300] or type(error).__name__
