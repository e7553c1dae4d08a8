r"""sha256 of what an experiment is computed on; a hash does not depend on the order of rows.

The canonical form of interactions is, with sections one after the other:

* ``users 3\n``, then the id of each user as JSON and ``\n``, in ascending order;
* ``items 4\n``, then the ids of the items likewise;
* ``interactions 5\n``, then the users' extents (n + 1 times int64) and the item numbers (int32),
  by user and then by item;
* ``values float32\n`` and the values, or ``values none\n`` where each interaction counts 1;
* ``times int64\n`` (or float64) and the times, or ``times none\n``.

Numbers are little-endian. Only users and items that have an interaction are listed.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.datasets.download import file_hash
from shoal.errors import DataError
from shoal.splitting.held_out import HeldOut

_IDS_AT_ONCE = 10_000


def raw_hashes(files: Mapping[str, Path]) -> dict[str, str]:
    """sha256 of each file, by what it is: ``log``, ``train``, ``test``, ``items``, ``vectors``.

    The files of a pattern such as ``logs/*.parquet`` are called ``log/NAME``, and those of
    ``logs/*/part.csv`` are called ``log/FOLDER/part.csv``.

    Raises
    ------
    DataError
        A file is not there, or cannot be read.
    """
    hashes = {}
    for role, path in files.items():
        several = path.exists() or sorted(Path(name) for name in glob.glob(str(path)))  # noqa: PTH207
        for file in [path] if several is True else several or [path]:
            try:
                key = role if file == path else f"{role}/{_below_fixed_part(file, path)}"
                hashes[key] = file_hash(file)
            except OSError as error:
                raise DataError(f"{file} cannot be read: {error.strerror}") from None
    return hashes


def _below_fixed_part(file: Path, pattern: Path) -> str:
    """The path of a file below the folders of a pattern that have no wildcard."""
    folders = pattern.parts[:-1]
    fixed = next((n for n, name in enumerate(folders) if set("*?[") & set(name)), len(folders))
    return Path(*file.parts[fixed:]).as_posix()


def matrix_hash(*logs: Interactions) -> str:
    """sha256 of prepared interactions (for a given split: training and test part after it)."""
    digest = hashlib.sha256()
    for log in logs:
        _add(digest, log.without_unused())
    return digest.hexdigest()


def vectors_hash(*logs: Interactions) -> str | None:
    """sha256 of the item vectors, by the id of the item; None where no log has any."""
    digest, found = hashlib.sha256(), False
    for log in logs:
        if log.item_vectors is not None:
            found = True
            digest.update(f"vectors {log.item_vectors.shape}\n".encode())
            _add_ids(digest, log.items)
            digest.update(np.ascontiguousarray(log.item_vectors, "<f4").data)
    return digest.hexdigest() if found else None


def texts_hash(items: pl.Series, texts: Sequence[str]) -> str:
    """sha256 of the texts of items, by id; the vectors made of them differ by rounding."""
    lines = sorted(f"{json.dumps([str(i), t])}\n" for i, t in zip(items, texts, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def held_out_hash(test: HeldOut) -> str:
    """sha256 of the pairs that are to be found: users and items, without values and times."""
    return matrix_hash(replace(test.target, values=None, times=None))


def _add(digest: Any, log: Interactions) -> None:
    """Add the canonical form of interactions to a digest."""
    for name, ids in (("users", log.users), ("items", log.items)):
        digest.update(f"{name} {len(ids)}\n".encode())
        _add_ids(digest, ids)
    digest.update(f"interactions {len(log)}\n".encode())
    digest.update(np.ascontiguousarray(log.indptr, "<i8").data)
    digest.update(np.ascontiguousarray(log.indices, "<i4").data)
    for name, numbers in (("values", log.values), ("times", log.times)):
        if numbers is None:
            digest.update(f"{name} none\n".encode())
            continue
        digest.update(f"{name} {numbers.dtype.name}\n".encode())
        digest.update(np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("<")).data)


def _add_ids(digest: Any, ids: Ids) -> None:
    """Add a line of JSON for each id."""
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        part = ids.series.slice(begin, _IDS_AT_ONCE).to_list()
        digest.update("".join(f"{json.dumps(each)}\n" for each in part).encode())
