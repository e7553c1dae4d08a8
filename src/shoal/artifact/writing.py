"""Saving model folders: written under a temporary name, then put in place in one step."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import save_file

from shoal._version import __version__
from shoal.artifact.manifest import (
    ARRAYS,
    FORMAT,
    FORMAT_OF_BLOCKS,
    ITEMS,
    MANIFEST,
    USERS,
    array_files,
    block_file,
)
from shoal.artifact.opening import backup_of
from shoal.artifact.pointer import is_store
from shoal.base.blocked import is_block, is_distant
from shoal.base.declared import check_shapes, check_values, headers_of
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.errors import ArtifactError
from shoal.forks import uses_polars
from shoal.kernels.arrays import State
from shoal.unfinished import exchange, flush, folder_beside, remove_leftovers

PLACING_ATTEMPTS = 50  # where several processes replace the same model at once


def save(
    model: Recommender,
    path: str | Path,
    *,
    metrics: dict[str, Any] | None = None,
    overwrite: bool = True,
) -> Path:
    """Write a model folder.

    The folder is written beside its place under a temporary name, flushed to disk, and then
    moved there in one step: whatever happens on the way, `path` holds the old model or the new.

    Parameters
    ----------
    model : Recommender
        A fitted model.
    path : str or Path
        The folder to write. An existing model folder is replaced; anything else is refused.
    metrics : dict, optional
        Evaluation results to keep in the manifest.
    overwrite : bool
        Whether an existing model may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    ArtifactError
        `path` exists and is no model folder, the disk refuses (full, read-only), or the model
        holds a number that is NaN or infinite, or arrays that it does not declare.
    NotFittedError
        The model is not fitted.
    """
    uses_polars("saving a model")
    state = checked_state(model)
    path = check_target(path, overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        old_backup = _inode(backup_of(path))
        with folder_beside(path) as unfinished:
            write_into(unfinished, model, state, metrics or {})
            _put_in_place(unfinished, path)
        _remove_old_backup(path, old_backup)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise ArtifactError(
            f"{path} could not be written ({error}); what was there before is as it was"
        ) from error
    return path


def checked_state(model: Recommender) -> State:
    """The arrays of a model, which `load` will take: as it declares them, and finite.

    Raises
    ------
    NotFittedError
        The model is not fitted.
    ArtifactError
        A number is NaN or infinite, or an array is not declared.
    """
    model.items  # noqa: B018 - refuses a model that is not fitted
    state = {name: _ready(array) for name, array in model.state().items()}
    spec = model.state_spec(frozenset(state), model.n_items)
    if spec:
        sizes = {"n_items": model.n_items}
        here: State = {name: a for name, a in state.items() if not is_distant(a)}
        try:
            check_values(spec, here, check_shapes(spec, headers_of(state), sizes))
        except ArtifactError as error:
            raise ArtifactError(f"{model.name} cannot be saved: {error}") from None
    return state


def _ready(array: Any) -> Any:
    """An array as it is written, if this process writes it."""
    return array if is_distant(array) else np.ascontiguousarray(array)


def write_into(
    folder: Path, model: Recommender, state: State, metrics: dict[str, Any]
) -> dict[str, Any]:
    """Write all files of a model into an empty folder, flush them, and give the manifest.

    Parameters
    ----------
    folder : Path
    model : Recommender
    state : dict of arrays
        Those of `checked_state`.
    metrics : dict
    """
    files = _write_data(model, state, folder)
    manifest = _manifest(model, model.items, metrics, files)
    write_manifest(folder, manifest)
    for file in folder.iterdir():
        if file.name not in (*files, MANIFEST):  # of a worker that was killed while it wrote
            file.unlink()
            continue
        file.chmod(0o644)
        flush(file)
    flush(folder)
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a folder; it is not flushed."""
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n")


def _write_data(model: Recommender, state: State, folder: Path) -> dict[str, dict[str, Any]]:
    """Write all files but the manifest, and describe them as it does.

    Each block of an array that is in blocks has a file of its own; other machines write those that
    they hold, all at once.
    """
    blocks = {name: array for name, array in state.items() if is_block(name)}
    save_file({n: a for n, a in state.items() if n not in blocks}, folder / ARRAYS)
    model.catalogue_table().write_parquet(folder / ITEMS)
    own = [ARRAYS, ITEMS]
    if model.users is not None:
        pl.DataFrame({"user": model.users.series}).write_parquet(folder / USERS)
        own.append(USERS)
    distant: dict[str, Callable[[], dict[str, Any]]] = {}
    for number, (name, array) in enumerate(sorted(blocks.items())):
        path = folder / block_file(number)
        if is_distant(array):
            distant[path.name] = array.begin_writing(path, name)
        else:
            save_file({name: array}, path)
            own.append(path.name)
    files = _once_written(distant)
    return {name: _describe(folder / name) for name in own} | files


def _once_written(distant: dict[str, Callable[[], dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """What the manifest says of files that other machines write.

    An error is raised when none of them writes to the folder any more, so that it can be removed.
    """
    files, errors = {}, []
    for name, written in distant.items():
        try:
            files[name] = written()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return files


def _manifest(
    model: Recommender, ids: Ids, metrics: dict[str, Any], files: dict[str, Any]
) -> dict[str, Any]:
    """What the manifest says of a model and of the files beside it."""
    data: dict[str, Any] = {"fingerprint": model.fingerprint, "items": len(ids), "ids": ids.kind}
    if model.users is not None:
        data["user_ids"] = model.users.kind
    return {
        "format": FORMAT if array_files(files) == [ARRAYS] else FORMAT_OF_BLOCKS,
        "shoal": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model.name,
        "parameters": model.model_dump(mode="json"),
        "data": {**data, "preparation": model.preparation},
        "facts": model.facts,
        "metrics": metrics,
        "files": files,
    }


def check_target(path: str | Path, *, overwrite: bool = True) -> Path:
    """Check before a long fit whether `save` would refuse a place.

    Raises
    ------
    ArtifactError
        `path` exists and is no model folder, or may not be overwritten.
    """
    path = Path(path).resolve()
    if is_store(path) or is_store(path.parent):
        store = path if is_store(path) else path.parent
        raise ArtifactError(
            f"{store} is a store of versions: write the model elsewhere, and shoal publish it there"
        )
    if path.exists():
        if not (path / MANIFEST).is_file() and not _is_empty_folder(path):
            raise ArtifactError(f"{path} exists and is no model folder: name another one")
        if not overwrite:
            raise ArtifactError(f"{path} exists: name another folder, or allow to overwrite it")
    return path


def _describe(path: Path) -> dict[str, Any]:
    """Hash and size of a file, as the manifest holds them."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _put_in_place(new: Path, path: Path) -> None:
    """Move the folder `new` to `path`; an existing folder there is exchanged in one step."""
    for _ in range(PLACING_ATTEMPTS):
        if not path.exists():
            try:
                new.rename(path)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                    continue  # another process put its model there first
                raise
            break
        if exchange(new, path):
            break  # `new` holds the old model now, and is removed
        if path.exists() and _replace_in_two_steps(new, path):
            break
    else:
        raise OSError(errno.EBUSY, "other processes replace this model all the time")
    flush(path.parent)


def _replace_in_two_steps(new: Path, path: Path) -> bool:
    """Move `path` away, then `new` to it; False if other processes do the same meanwhile."""
    backup = backup_of(path)
    if _is_model_folder(backup):
        _remove_backup(path)
    try:
        path.rename(backup)  # between these two, `load` finds the backup
        new.rename(path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT):
            return False
        raise
    _remove_backup(path)
    return True


def _remove_backup(path: Path) -> None:
    """Remove the backup of `path`, which others may be opening.

    It is moved away first: who misses a file then sees that the folder was replaced.
    """
    with folder_beside(path) as scratch, contextlib.suppress(OSError):
        backup_of(path).rename(scratch / "old")


def _inode(path: Path) -> int | None:
    """The number of a model folder in its file system; None if it is none."""
    return os.lstat(path).st_ino if _is_model_folder(path) else None


def _is_model_folder(path: Path) -> bool:
    return (path / MANIFEST).is_file() and not path.is_symlink()


def _remove_old_backup(path: Path, inode: int | None) -> None:
    """Remove the backup that a process left that was killed after the second of its two steps.

    Only the one that was there when this process began: a newer one may be needed by another.
    """
    if inode is not None and path.exists() and _inode(backup_of(path)) == inode:
        _remove_backup(path)
