"""Reading the tables of a model folder: the ids of items and users, and the items' attributes."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import cast

import polars as pl

from shoal.artifact.tensors import altered
from shoal.data.ids import CANONICAL_UUID, Ids, Kind
from shoal.errors import ArtifactError


def read_table(
    content: bytes, sha256: str, column: str, kind: str, n_rows: int | None, path: Path
) -> tuple[pl.DataFrame, Ids]:
    """Read a table of ids from the content of its Parquet file.

    Parameters
    ----------
    content : bytes
    sha256 : str
        The hash that the manifest says.
    column : str
        Name of the column of ids.
    kind : str
        Type of the ids, one of "int", "str" and "uuid".
    n_rows : int or None
        Number of ids that the arrays of the model are for, where they say it.
    path : Path
        For error messages.

    Returns
    -------
    table : DataFrame
    ids : Ids

    Raises
    ------
    ArtifactError
        The file is not the one in the manifest, or is damaged; it has another number of rows, no
        such column, or ids that are missing, not distinct, not in order, or of another type.
    """
    if hashlib.sha256(content).hexdigest() != sha256:
        raise altered(path)
    table = _parsed(content, n_rows, path)
    if column not in table.columns:
        raise ArtifactError(f"{path} has no column {column!r} of ids")
    ids = table[column]
    if ids.dtype != (pl.Int64 if kind == "int" else pl.String):
        raise ArtifactError(f"{path}: ids are of type {ids.dtype}, the manifest says {kind}")
    if ids.null_count():
        raise ArtifactError(f"{path}: row {int(ids.is_null().arg_max() or 0) + 1} has no id")
    wrong = ids[1:] <= ids[:-1]
    if wrong.any():
        row = int(wrong.arg_max() or 0) + 2
        before, after = ids[row - 2], ids[row - 1]
        raise ArtifactError(
            f"{path}: ids are not distinct and ascending (row {row}: {after!r:.60} after "
            f"{before!r:.60})"
        )
    if kind == "uuid" and not ids.str.contains(CANONICAL_UUID).all():
        odd = next(v for v in ids if not re.fullmatch(CANONICAL_UUID, v))
        raise ArtifactError(f"{path}: {odd!r:.60} is no UUID, which the manifest says ids are")
    return table, Ids(ids, cast("Kind", kind))


def first_ids(content: bytes, sha256: str, column: str, n: int, path: Path) -> list[int | str]:
    """The first ids of a table, from the content of its Parquet file.

    Parameters
    ----------
    content, sha256, column, path
        As for `read_table`.
    n : int
        Number of ids; there are fewer in a shorter table.

    Raises
    ------
    ArtifactError
        The file is not the one in the manifest, is damaged, or has no such column.
    """
    if hashlib.sha256(content).hexdigest() != sha256:
        raise altered(path)
    try:
        table = pl.read_parquet(io.BytesIO(content), columns=[column], n_rows=n)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise ArtifactError(f"{path} is damaged: {reason:.200}") from None
    return table[column].to_list()


def _parsed(content: bytes, n_rows: int | None, path: Path) -> pl.DataFrame:
    """The table in a Parquet file; its number of rows is checked before."""
    try:
        claimed = pl.scan_parquet(io.BytesIO(content)).select(pl.len()).collect().item()
        if n_rows is not None and claimed != n_rows:
            raise ArtifactError(f"{path} has {claimed:,} rows, the arrays are for {n_rows:,}")
        table = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise ArtifactError(f"{path} is damaged: {reason:.200}") from None
    if table.height != claimed:
        raise ArtifactError(f"{path} has {table.height:,} rows, its footer says {claimed:,}")
    return table
