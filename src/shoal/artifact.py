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
        `path` exists and is no model folder, or the disk refuses (full, read-only).
    NotFittedError
        The model is not fitted.
    """
    ids = model.items  # refuses a model that is not fitted before anything is written
    path = check_target(path, overwrite=overwrite)
    unfinished = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        prefix = f".{path.name}.{os.getpid()}."
        unfinished = Path(tempfile.mkdtemp(prefix=prefix, suffix=".new", dir=path.parent))
        unfinished.chmod(0o755)
        files = _write_data(model, unfinished)
        manifest = _manifest(
            model, ids, metrics or {}, {n: _describe(unfinished / n) for n in files}
        )
        (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n")
        for file in unfinished.iterdir():
            file.chmod(0o644)
            _flush(file)
        _flush(unfinished)
        _put_in_place(unfinished, path)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise ArtifactError(
            f"{path} could not be written ({error}); what was there before is as it was"
        ) from error
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
    return path


def _write_data(model: Recommender, folder: Path) -> list[str]:
    """Write all files but the manifest, and give their names."""
    save_file({n: np.ascontiguousarray(a) for n, a in model.state().items()}, folder / ARRAYS)
    model.catalogue_table().write_parquet(folder / ITEMS)
    if model.users is None:
        return [ARRAYS, ITEMS]
    pl.DataFrame({"user": model.users.series}).write_parquet(folder / USERS)
    return [ARRAYS, ITEMS, USERS]


def _manifest(
    model: Recommender, ids: Ids, metrics: dict[str, Any], files: dict[str, Any]
) -> dict[str, Any]:
    """What the manifest says of a model and of the files beside it."""
    data: dict[str, Any] = {"fingerprint": model.fingerprint, "items": len(ids), "ids": ids.kind}
    if model.users is not None:
        data["user_ids"] = model.users.kind
    return {
        "format": FORMAT,
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
    if path.exists():
        if not (path / MANIFEST).is_file() and not _is_empty_folder(path):
            raise ArtifactError(f"{path} exists and is no model folder: name another one")
        if not overwrite:
            raise ArtifactError(f"{path} exists: name another folder, or allow to overwrite it")
    return path


def load(path: str | Path, run: Run | None = None) -> Recommender:
    """Read a model folder; training data are not needed.

    Parameters
    ----------
    path : str or Path
        The folder.
    run : Run, optional
        Memory budget.

    Returns
    -------
    Recommender
        The fitted model.

    Raises
    ------
    ArtifactError
        There is no such folder; a file is missing, truncated or altered; the folder has another
        format version; this installation does not have the model, or it is larger than the memory
        budget. The message says which.
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
    model.restore_catalogue(
        items,
        table,
        data["fingerprint"],
        manifest["facts"],
        data.get("preparation", {}),
        users,
    )
    return model


def verify(path: str | Path) -> dict[str, Any]:
    """Read the manifest of a model folder, and check that its files are there and unaltered.

    Raises
    ------
    ArtifactError
        They are not, or the manifest is no manifest of this format version.
    """
    manifest = read_manifest(path)
    for name, described in manifest["files"].items():
        _check_file(Path(path) / name, described)
    return manifest


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read the manifest of a model folder, and check its entries and its format version.

    Raises
    ------
    ArtifactError
        There is no such folder or manifest, it is damaged, or it has another version.
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


def _describe(path: Path) -> dict[str, Any]:
    """Hash and size of a file, as the manifest holds them."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}


def _check_file(path: Path, described: dict[str, Any]) -> None:
    """Refuse a file that is not as the manifest describes it."""
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
    """Wait until a file or folder is on the disk."""
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
        shutil.rmtree(new)  # it holds the old model now
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


def _remove_leftovers(path: Path) -> None:
    """Remove unfinished folders of processes that were killed while they saved."""
    for folder in path.parent.glob(f".{path.name}.*.new"):
        pid = folder.name.removeprefix(f".{path.name}.").partition(".")[0]
        if pid.isdigit() and int(pid) != os.getpid() and not _is_running(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _backup(path: Path) -> Path:
    """Where the old model is while a new one takes its place in two steps."""
    return path.with_name(f".{path.name}.old")


def _recovered(path: Path) -> Path:
    """`path`, or its backup, if a process was killed between the two steps of replacing it."""
    path = Path(path).resolve()
    return _backup(path) if not path.exists() and _backup(path).is_dir() else path
