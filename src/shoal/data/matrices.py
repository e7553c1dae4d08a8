"""Sparse matrices of users and items: scipy's ``.npz`` files and Matrix Market."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from shoal.data.delimited import DelimitedFiles
from shoal.data.dialect import BLANKS, Dialect
from shoal.data.limits import check_unpacked
from shoal.data.unpack import first_lines, whole_lines
from shoal.errors import DataError
from shoal.run import available_memory, human_bytes

_ARRAYS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
}


def matrix_rows(matrix: Any, name: str) -> pl.DataFrame:
    """The entries of a sparse matrix as rows with ``user``, ``item`` and ``value``.

    Raises
    ------
    DataError
        Its arrays do not describe a matrix of its shape.
    """
    if matrix.ndim != 2:
        raise DataError(f"{name} has {matrix.ndim} dimensions: give a row for each user")
    try:
        if matrix.format in ("csr", "csc", "bsr"):
            _check_compressed(matrix)
        elif matrix.format == "coo":
            _check_within(matrix.row, matrix.shape[0], "row")
            _check_within(matrix.col, matrix.shape[1], "col")
        coo = sp.coo_array(matrix)
    except ValueError as error:
        raise DataError(f"{name} is no valid {matrix.format} matrix: {error}") from error
    return pl.DataFrame({"user": coo.row, "item": coo.col, "value": coo.data})


def _check_compressed(matrix: Any) -> None:
    """Refuse extents that do not ascend, and indices beyond the shape, which would crash scipy."""
    extents, indices = matrix.indptr, matrix.indices
    for array, label in ((extents, "indptr"), (indices, "indices")):
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError(f"{label} is no list of whole numbers")
    height, width = matrix.shape
    if matrix.format == "bsr":
        height, width = height // matrix.blocksize[0], width // matrix.blocksize[1]
    n_rows, n_columns = (width, height) if matrix.format == "csc" else (height, width)
    if len(extents) != n_rows + 1:
        raise ValueError(f"indptr has {len(extents):,} entries in place of {n_rows + 1:,}")
    falls = np.flatnonzero(extents[1:] < extents[:-1])
    if extents[0] != 0 or len(falls):
        at = int(falls[0]) + 1 if len(falls) else 0
        raise ValueError(f"indptr does not ascend from 0 (entry {at} is {extents[at]})")
    if extents[-1] > min(len(indices), len(matrix.data)):
        raise ValueError(
            f"indptr ends with {extents[-1]:,}, and there are {len(indices):,} indices and "
            f"{len(matrix.data):,} values"
        )
    _check_within(indices[: extents[-1]], n_columns, "indices")


def _check_within(positions: NDArray[Any], size: int, label: str) -> None:
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise ValueError(f"{label} is no list of whole numbers")
    outside = np.flatnonzero((positions < 0) | (positions >= size))
    if len(outside):
        at = int(outside[0])
        raise ValueError(f"{label} holds {positions[at]} in entry {at}, and the size is {size}")


def read_npz(path: Path) -> pl.DataFrame:
    """Read a sparse matrix as `scipy.sparse.save_npz` writes it.

    Raises
    ------
    DataError
        The file holds something else, arrays that do not fit together, or more than the memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
            size = sum(m.file_size for m in members.values())
            check_unpacked(path, path.stat().st_size, size)
            if size > available_memory():
                raise DataError(
                    f"{path} unpacks to {human_bytes(size)}, more than the memory that is free"
                )
            kind = _text(_array(archive, members["format"]))
            if kind == "dia":
                wanted: tuple[str, ...] = ("data", "offsets")
            else:
                wanted = _ARRAYS[kind]
            arrays = {name: _array(archive, members[name]) for name in wanted}
            shape = tuple(int(n) for n in _array(archive, members["shape"]))
    except DataError:
        raise
    except Exception as error:  # a zip and its arrays can be wrong in many ways
        raise DataError(
            f"{path} holds no sparse matrix as scipy.sparse.save_npz writes it"
        ) from error
    return matrix_rows(_build(path, kind, arrays, shape), str(path))


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """An array of an archive; its own header may not claim more than the archive has of it."""
    with archive.open(member) as file:
        content = file.read()
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    n = int(np.prod([int(s) for s in shape], dtype=object)) if shape else 1
    if dtype.hasobject or n * dtype.itemsize > len(content):
        raise ValueError(f"{member.filename} is no array of numbers of its size")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def _text(array: NDArray[Any]) -> str:
    value = array.item()
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _build(path: Path, kind: str, arrays: dict[str, NDArray[Any]], shape: tuple[int, ...]) -> Any:
    """The matrix of arrays whose lengths agree; their content is not checked yet."""
    try:
        if len(shape) != 2 or min(shape) < 0:
            raise ValueError(f"its shape is {shape}")
        if kind == "dia":
            return sp.dia_array((arrays["data"], arrays["offsets"]), shape=shape)
        if kind == "coo":
            lengths = {len(array) for array in arrays.values()}
            if len(lengths) > 1:
                raise ValueError("data, row and col have different lengths")
            _check_within(arrays["row"], shape[0], "row")
            _check_within(arrays["col"], shape[1], "col")
            return sp.coo_array((arrays["data"], (arrays["row"], arrays["col"])), shape=shape)
        extents, indices, data = arrays["indptr"], arrays["indices"], arrays["data"]
        if extents.ndim != 1 or indices.ndim != 1 or data.ndim != (3 if kind == "bsr" else 1):
            raise ValueError("data, indices and indptr do not have the dimensions of a matrix")
        if {extents.dtype.kind, indices.dtype.kind} - {"i", "u"}:
            raise ValueError("indices or indptr are no whole numbers")
        if not len(extents) or not len(indices) == len(data) == extents[-1]:
            raise ValueError(
                f"{len(indices):,} indices, {len(data):,} values and an indptr that ends with "
                f"{extents[-1] if len(extents) else 'nothing'} do not belong together"
            )
        falls = np.flatnonzero(extents[1:] < extents[:-1])
        if extents[0] != 0 or len(falls):
            at = int(falls[0]) + 1 if len(falls) else 0
            raise ValueError(f"indptr does not ascend from 0 (entry {at} is {extents[at]})")
        make = {"csr": sp.csr_array, "csc": sp.csc_array, "bsr": sp.bsr_array}[kind]
        return make((data, indices, extents), shape=shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{path} is no valid {kind} matrix: {error}") from error


def is_npz(path: Path) -> bool:
    """Whether a zip archive holds the arrays of a sparse matrix."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "format.npy" in archive.namelist() and "shape.npy" in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def open_market(path: Path, name: str) -> DelimitedFiles:
    """Open a Matrix Market file with the entries of a sparse matrix; ids are its own numbers.

    Raises
    ------
    DataError
        It is dense, symmetric or complex, or no Matrix Market file.
    """
    lines = first_lines(path)
    kinds = lines[0].lower().split() if lines else []
    if len(kinds) != 5 or kinds[:2] != ["%%matrixmarket", "matrix"]:
        raise DataError(f"{name}: a Matrix Market file begins with '%%MatrixMarket matrix …'")
    if kinds[2] != "coordinate" or kinds[3] == "complex" or kinds[4] != "general":
        raise DataError(
            f"{name} holds a matrix that is {' '.join(kinds[2:])}, and a log is a sparse one of "
            "users and items ('coordinate real general'): save the sparse matrix with "
            "scipy.sparse.save_npz"
        )
    skip = _lines_before_entries(path)
    size = next((line for line in lines[1:] if not line.startswith("%")), "").split()
    if len(size) != 3 or not all(number.isdigit() for number in size):
        raise DataError(f"{name}: a line with rows, columns and entries is missing")
    names = ("user", "item") if kinds[3] == "pattern" else ("user", "item", "value")
    dialect = Dialect(BLANKS, names, (), True, False, "none", (), ("ids are counted from 1",))
    return DelimitedFiles((path,), name, dialect, skip, int(size[2]))


def _lines_before_entries(path: Path) -> int:
    """How many lines come before the entries: comments, blank lines, and the line of sizes."""
    n = 0
    for text, _, _ in whole_lines(path):
        for line in text.split(b"\n"):
            n += 1
            if line.strip() and not line.startswith(b"%"):
                return n
    return n
