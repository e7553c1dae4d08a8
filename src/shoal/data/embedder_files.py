"""Fitted embedders in files beside the vectors that they made, so that new texts get vectors too.

``films.parquet`` holds vectors; ``films.embedder.safetensors`` holds the arrays of the embedder
that was fitted to their texts. Its metadata say that shoal wrote it, and the embedder's name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from shoal.errors import DataError
from shoal.files import replacing
from shoal.kernels.arrays import State

ENDING = ".embedder.safetensors"
_NAME = "shoal.embedder"  # entry of the metadata: the embedder's name


def beside(path: Path) -> Path:
    """Name the file for the embedder that made the vectors in `path`."""
    return path.with_name(path.stem + ENDING)


def check_beside(path: Path) -> None:
    """Refuse to replace a file beside `path` that shoal did not write.

    Raises
    ------
    DataError
        There is such a file.
    """
    target = beside(path)
    if not target.exists():
        return
    try:
        with safe_open(target, "numpy") as file:
            ours = _NAME in (file.metadata() or {})
    except (SafetensorError, OSError):
        ours = False
    if not ours:
        raise DataError(
            f"{target} exists and holds no embedder of shoal's: it would be replaced by the "
            f"embedder of {path.name}; name another file"
        )


def write_embedder(path: Path, name: str, arrays: State) -> None:
    """Write the arrays of the embedder that made the vectors in `path`, whole or not at all."""
    check_beside(path)
    with replacing(beside(path)) as unfinished:
        contiguous = {n: np.ascontiguousarray(a) for n, a in arrays.items()}
        save_file(contiguous, unfinished, {_NAME: name})


def read_embedder(path: Path) -> State:
    """Read the arrays of the embedder that made the vectors in `path`.

    Raises
    ------
    DataError
        The file is not there, or it is damaged.
    """
    source = beside(path)
    if not source.is_file():
        raise DataError(
            f"{path} has no embedder beside it: {source} is not there. Copy it from where {path} "
            "was made, or embed all items anew and train the model again with the new vectors"
        )
    try:
        with safe_open(source, "numpy") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise DataError(f"{source} cannot be read: {str(error).splitlines()[0]}") from error
