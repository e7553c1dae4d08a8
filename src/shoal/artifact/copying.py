"""Copying a model folder, with every byte checked on the way."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from shoal.artifact.opening import opened
from shoal.artifact.reading import opened_files
from shoal.artifact.writing import write_manifest
from shoal.errors import ArtifactError
from shoal.unfinished import flush

INDEX = ("index.faiss", "index.json")  # what `shoal index` adds to a model folder
_LARGEST_INDEX = 2**40  # bytes


def copy_model(source: Path, target: Path, metrics: dict[str, Any] | None) -> dict[str, Any]:
    """Copy a model folder into an empty folder, flush it, and give the manifest.

    All files belong to one manifest, also if the folder is replaced meanwhile.

    Parameters
    ----------
    source, target : Path
    metrics : dict or None
        Evaluation results to put in place of those that the folder has.

    Raises
    ------
    ArtifactError
        A file is missing, truncated or altered.
    """
    with opened_files(source) as files:
        for name in files.files:
            with (target / name).open("wb") as copy:
                for block in files.blocks(name):
                    copy.write(block)
        manifest = files.manifest if metrics is None else {**files.manifest, "metrics": metrics}
    write_manifest(target, manifest)
    _copy_index(source, target, files.manifest)
    for file in target.iterdir():
        file.chmod(0o644)
        flush(file)
    flush(target)
    return manifest


def _copy_index(source: Path, target: Path, manifest: dict[str, Any]) -> None:
    """Copy the index of a model folder, if it has one and is still the same model's."""
    with contextlib.suppress(ArtifactError), opened(source) as folder:
        content = {name: folder.read(name, _LARGEST_INDEX) for name in INDEX}
        with opened_files(source) as files:
            same = files.manifest["files"] == manifest["files"] and folder.is_current()
        if same and all(data is not None for data in content.values()):
            for name, data in content.items():
                (target / name).write_bytes(data or b"")
