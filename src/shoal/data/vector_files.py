"""Read item vectors from Parquet and ``.npy`` files of any origin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shoal.data.columns import usual_names
from shoal.data.items import item_table
from shoal.data.sources import UNREADABLE, open_source
from shoal.errors import DataError, first_line
from shoal.web import printable

ENDINGS = (".parquet", ".pq", ".npy")
_USUAL = ("vector", "vectors", "embedding", "embeddings")  # usual names of a column of vectors

PREFIX = "shoal.vectors."  # shoal's entries in the metadata of a Parquet file begin with this
VERSION = "1"  # format of the Parquet files that `Vectors.write` writes


@dataclass(frozen=True)
class VectorRows:
    """The rows of a file of vectors, in the file's order; `Vectors.read` sorts and checks them.

    Parameters
    ----------
    items : (n,) Series
        Item ids.
    matrix : (n, d) of numbers
    where : str
        Name of the file that holds the ids, for error messages.
    embedder, template : str
        Name of what made the vectors, and template of the texts that it made them of.
    notes : tuple of str
        What a person should know about the vectors.
    id_kind : str
        ``"uuid"`` where the ids are UUIDs, which Parquet keeps as text.
    sha256 : str
        Fingerprint of the vectors that the file names; "" where it names none.
    space : str
        What vectors that may be compared have in common (`Vectors.space`).
    """

    items: pl.Series
    matrix: NDArray[Any]
    where: str
    embedder: str
    template: str = ""
    notes: tuple[str, ...] = ()
    id_kind: str = ""
    sha256: str = ""
    space: str = ""


def read_about(path: Path) -> dict[str, str]:
    """Read what a Parquet file says of its vectors: ``embedder``, ``template``, ``space``, ….

    Control characters are taken out, since people and terminals get to see this.

    Raises
    ------
    DataError
        The file cannot be read, or a later version of shoal wrote it.
    """
    try:
        meta = pl.read_parquet_metadata(path)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read as Parquet: {first_line(error)}") from error
    about = {n.removeprefix(PREFIX): v for n, v in meta.items() if n.startswith(PREFIX)}
    if about.get("version", VERSION) != VERSION:
        raise DataError(f"{path} was written by a later version of shoal: update, or embed again")
    about |= {name: printable(about[name], 2000) for name in ("embedder", "space") if name in about}
    made_by = about.get("embedder", "")
    if "space" not in about and not made_by.startswith(("tfidf(", "file ")):
        about["space"] = made_by  # an earlier version wrote it; TF-IDF alone is fitted to texts
    return about


def read_rows(path: Path, ids: Any = None) -> VectorRows:
    """Read the rows of a file of vectors; parameters and errors are those of `Vectors.read`."""
    if path.suffix.lower() == ".npy":
        return _from_npy(path, ids)
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"{path}: vectors are read from files that end in {', '.join(ENDINGS)}")
    if ids is not None:
        raise DataError(f"{path} brings its own ids: leave the other ones out")
    return _from_parquet(path)


def _from_npy(path: Path, ids: Any) -> VectorRows:
    try:
        matrix = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as .npy: {first_line(error)}") from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise DataError(f"{path} holds no matrix of numbers with a row for each item")
    if ids is None:
        raise DataError(
            f"{path} holds no ids: give the table of items that is in its order (--ids, --items)"
        )
    if isinstance(ids, str | Path) and Path(ids).suffix.lower() == ".txt":
        items, where = _lines(Path(ids)), str(ids)
    else:
        table, where = item_table(ids)
        items = table["item"]
    if len(items) != len(matrix):
        raise DataError(
            f"{path} has {len(matrix):,} rows and {where} has {len(items):,} ids: they must be the "
            "same items in the same order"
        )
    return VectorRows(items, matrix, where, f"file {path.name}")


def _lines(path: Path) -> pl.Series:
    """The lines of a text file as ids; null for a blank line."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {first_line(error)}") from error
    return pl.Series("item", [line or None for line in lines], dtype=pl.String)


def _from_parquet(path: Path) -> VectorRows:
    source = open_source(path)  # its errors name the file
    try:
        frame = source.frame.collect()
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read as Parquet: {first_line(error)}") from error
    about = read_about(path)
    names = frame.columns
    candidates = ["item"] if "item" in names else usual_names("item", names)
    if not candidates:
        raise DataError(
            f"{path}: no column could be recognised as the item's id; its columns are "
            f"{printable(', '.join(names))}. Name it 'item'"
        )
    items = frame[candidates[0]]
    frame = frame.drop(candidates[0])
    used, matrix = _matrix_of(frame, items, path)
    unused = [column for column in frame.columns if column not in used]
    notes = [f"{path.name}: not used: {printable(', '.join(unused))}"] if unused else []
    return VectorRows(
        items,
        matrix,
        str(path),
        about.get("embedder", f"file {path.name}"),
        about.get("template", ""),
        tuple(notes),
        about.get("ids", ""),
        about.get("sha256", ""),
        about.get("space", ""),
    )


def _matrix_of(frame: pl.DataFrame, items: pl.Series, path: Path) -> tuple[list[str], NDArray[Any]]:
    """The columns that hold the vectors, and the vectors."""
    lists = [c for c in frame.columns if isinstance(frame[c].dtype, pl.List | pl.Array)]
    floats = [c for c in frame.columns if frame[c].dtype.is_float()]
    if lists:
        usual = [c for c in lists if c.lower() in _USUAL] or lists
        if len(usual) > 1:
            raise DataError(
                f"{path} has several columns of lists ({printable(', '.join(usual))}): keep one"
            )
        return usual, _rows_of(frame[usual[0]], items, path)
    if floats:
        return floats, _columns_of(frame.select(floats))
    raise DataError(f"{path} has neither a column of lists nor columns of floats")


def _rows_of(column: pl.Series, items: pl.Series, path: Path) -> NDArray[Any]:
    """A column of lists as a matrix; null is a vector of zeros."""
    inner = column.dtype.inner  # type: ignore[attr-defined]
    if not inner.is_numeric():
        raise DataError(f"{path}: column {column.name!r} holds {column.dtype}, not numbers")
    lists = column.cast(pl.List(pl.Float64)) if column.dtype != pl.List else column
    lengths = lists.list.len()
    usual = lengths.drop_nulls().mode()
    if not len(usual) or usual.max() == 0:
        raise DataError(f"{path}: the lists of column {column.name!r} are empty")
    d = int(usual.max())  # type: ignore[arg-type]
    odd = (lengths != d).fill_null(False).arg_true()
    if len(odd):
        raise DataError(
            f"{path}: vectors of different lengths: {len(odd):,} do not have {d} numbers, the "
            f"first is that of item {items[int(odd[0])]!r} with {lengths[int(odd[0])]}"
        )
    known = lists.is_not_null()
    matrix = np.zeros((len(lists), d), np.float64 if inner == pl.Float64 else np.float32)
    flat = lists.drop_nulls().explode(empty_as_null=False).fill_null(float("nan"))
    matrix[known.to_numpy()] = flat.to_numpy().reshape(-1, d)
    return matrix


def _columns_of(frame: pl.DataFrame) -> NDArray[Any]:
    """Columns of floats as a matrix; a row of nulls is a vector of zeros."""
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
    matrix = frame.fill_null(float("nan")).to_numpy(order="c")
    matrix = matrix.copy() if not matrix.flags.writeable else matrix
    matrix[empty] = 0
    return matrix
