"""Model folders: written whole or not at all, checked when read, without pickle.

manifest.json        format version, model, hyper-parameters, data fingerprint, metrics,
                     sha256 and size of every other file
arrays.safetensors   fitted arrays
items.parquet        ids and attributes, in the order of the arrays
users.parquet        ids of the training users, for models that know them (those that rate)
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from shoal._version import __version__
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.errors import ArtifactError, ModelError
from shoal.kernels.arrays import State
from shoal.models.registry import by_name
from shoal.run import Run, human_bytes

FORMAT = 1
MANIFEST, ARRAYS, ITEMS = "manifest.json", "arrays.safetensors", "items.parquet"
USERS = "users.parquet"


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
        Fitted.
    path : str or Path
        The folder; an existing model folder is replaced, anything else is not.
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
        `path` exists and is no model folder, or the disk refuses (full, read-only).
    NotFittedError
    """
    items = model.items
    path = check_target(path, overwrite=overwrite)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        prefix = f".{path.name}.{os.getpid()}."
        temporary = Path(tempfile.mkdtemp(prefix=prefix, suffix=".new", dir=path.parent))
        temporary.chmod(0o755)
        _write_arrays(model.state(), temporary / ARRAYS)
        model.item_table.write_parquet(temporary / ITEMS)
        files, data = [ARRAYS, ITEMS], {"items": len(items), "ids": items.kind}
        if model.users is not None:
            pl.DataFrame({"user": model.users.series}).write_parquet(temporary / USERS)
            files, data = [*files, USERS], data | {"user_ids": model.users.kind}
        manifest = {
            "format": FORMAT,
            "shoal": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": model.name,
            "parameters": model.model_dump(mode="json"),
            "data": {"fingerprint": model.fingerprint, **data, "preparation": model.preparation},
            "facts": model.facts,
            "metrics": metrics or {},
            "files": {n: _describe(temporary / n) for n in files},
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n")
        for file in temporary.iterdir():
            file.chmod(0o644)
            _flush(file)
        _flush(temporary)
        _put_in_place(temporary, path)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise ArtifactError(
            f"{path} could not be written ({error}); what was there before is as it was"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return path


def check_target(path: str | Path, *, overwrite: bool = True) -> Path:
    """Say before a long fit whether `save` would refuse this place.

    Raises
    ------
    ArtifactError
        `path` exists and is no model folder, or may not be overwritten.
    """
    path = Path(path).resolve()
    if path.exists():
        if not (path / MANIFEST).is_file() and not _is_empty_folder(path):
            raise ArtifactError(f"{path} exists and is no model folder: name another one")
        if not overwrite:
            raise ArtifactError(f"{path} exists: name another folder, or allow to overwrite it")
    return path


def load(path: str | Path, run: Run | None = None) -> Recommender:
    """Read a model folder; training data are not needed.

    Raises
    ------
    ArtifactError
        No such folder; a file is missing, truncated or altered; another format version; a model
        that this installation does not have. The message says which.
    """
    path = Path(path)
    folder = _recovered(path)
    manifest = verify(folder)
    size = sum(d["bytes"] for d in manifest["files"].values())
    budget = (run or Run()).memory_budget
    if size > budget:
        raise ArtifactError(
            f"{path} holds {human_bytes(size)}, the memory budget is {human_bytes(budget)}"
        )
    try:
        model = by_name(manifest["model"])(**manifest["parameters"])
        arrays = load_file(folder / ARRAYS)
        table = pl.read_parquet(folder / ITEMS)
        data = manifest["data"]
        items, users = Ids(table["item"], data["ids"]), None
        if USERS in manifest["files"]:
            users = Ids(pl.read_parquet(folder / USERS)["user"], data["user_ids"])
    except ModelError as error:
        raise ArtifactError(f"{path}: {error}") from error
    except (SafetensorError, pl.exceptions.PolarsError, OSError, KeyError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    model.restore(arrays)
    kept = data["fingerprint"], manifest["facts"], data.get("preparation", {})
    model.restore_catalogue(items, table, *kept, users)
    return model


def verify(path: str | Path) -> dict[str, Any]:
    """The manifest of a model folder whose files are all there and unaltered.

    Raises
    ------
    ArtifactError
    """
    manifest = read_manifest(path)
    for name, described in manifest["files"].items():
        _check_file(Path(path) / name, described)
    return manifest


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest of a model folder, its shape and version checked.

    Raises
    ------
    ArtifactError
    """
    path = Path(path)
    if not path.is_dir():
        raise ArtifactError(f"{path} is no model folder (no such folder)")
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except FileNotFoundError:
        raise ArtifactError(f"{path} is no model folder: it has no {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path / MANIFEST} is damaged: {error}") from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise ArtifactError(
            f"{path} has format version {version!r}, this shoal ({__version__}) reads {FORMAT}: "
            "train the model again, or install the version that wrote it"
        )
    missing = {"model", "parameters", "data", "facts", "files"} - set(manifest)
    if missing or set(manifest["files"]) - {USERS} != {ARRAYS, ITEMS}:
        raise ArtifactError(f"{path / MANIFEST} is damaged: entries are missing")
    return dict(manifest)


def _write_arrays(arrays: State, path: Path) -> None:
    save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, path)


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}


def _check_file(path: Path, described: dict[str, Any]) -> None:
    if not path.is_file():
        raise ArtifactError(f"{path} is missing: copy the whole folder again")
    size = path.stat().st_size
    if size != described["bytes"]:
        raise ArtifactError(
            f"{path} is truncated or altered: {size:,} bytes, the manifest says "
            f"{described['bytes']:,}"
        )
    if _describe(path)["sha256"] != described["sha256"]:
        raise ArtifactError(f"{path} was altered: its sha256 is not the one in the manifest")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(new: Path, path: Path) -> None:
    """Move the folder `new` to `path`; an existing folder there is exchanged in one step."""
    if not path.exists():
        new.rename(path)
    elif _exchange(new, path):
        shutil.rmtree(new)  # now the old model
    else:
        backup = _backup(path)
        shutil.rmtree(backup, ignore_errors=True)
        path.rename(backup)  # between these two, `load` finds the backup
        new.rename(path)
        shutil.rmtree(backup)
    _flush(path.parent)


def _exchange(a: Path, b: Path) -> bool:
    """Exchange two folders atomically, where the system can (Linux: renameat2)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0)


def _sweep(path: Path) -> None:
    """Remove what saves of processes that are gone (killed, power cut) left unfinished."""
    for left in path.parent.glob(f".{path.name}.*.new"):
        pid = left.name.removeprefix(f".{path.name}.").partition(".")[0]
        if pid.isdigit() and int(pid) != os.getpid() and not _alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _backup(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _recovered(path: Path) -> Path:
    """`path`, or the backup that a kill in the middle of replacing it left behind."""
    path = Path(path).resolve()
    return _backup(path) if not path.exists() and _backup(path).is_dir() else path
