"""Any file or frame as a polars LazyFrame, streamed where the format allows it."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from shoal.errors import DataError

FORMATS = "CSV, TSV, JSON lines, Parquet, Arrow/Feather, .npz (scipy CSR), MovieLens .dat"

_TEXT = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": None, ".data": "\t", ".dat": None}
_JSON = {".jsonl", ".ndjson", ".json"}
_ARROW = {".arrow", ".feather", ".ipc"}
_PARQUET = {".parquet", ".pq"}


@dataclass(frozen=True)
class Source:
    """A log before its columns have roles.

    Parameters
    ----------
    frame : LazyFrame
    name : str
        For messages: the file's path, or "the frame".
    typed : bool
        False for text formats, whose ids are read as text and turned into numbers later.
    has_header : bool
        False where the columns have no names of their own (``column_1``, ...).
    """

    frame: pl.LazyFrame
    name: str
    typed: bool = True
    has_header: bool = True


def open_source(log: Any) -> Source:
    """Open a path, a polars or pandas frame, an Arrow table, or a scipy sparse matrix.

    Raises
    ------
    DataError
        No such file, an unknown format, an empty file, or one that cannot be parsed.
    """
    if isinstance(log, str | Path):
        return _open_path(Path(log))
    if isinstance(log, pl.DataFrame | pl.LazyFrame):
        return Source(log.lazy(), "the frame")
    if sp.issparse(log):
        return _from_matrix(log, "the matrix")
    module = type(log).__module__.partition(".")[0]
    if module == "pandas":
        return Source(_from_pandas(log).lazy(), "the frame")
    if module == "pyarrow":
        frame = pl.from_arrow(log)
        if isinstance(frame, pl.DataFrame):
            return Source(frame.lazy(), "the table")
    raise DataError(
        f"cannot read a log from {type(log).__name__}: give a path ({FORMATS}), a polars or "
        "pandas frame, an Arrow table or a scipy sparse matrix"
    )


def _from_pandas(frame: Any) -> pl.DataFrame:
    names = [str(c) for c in frame.columns]
    _refuse_duplicates(names, "the frame")
    columns = []
    for at, name in enumerate(names):
        column = frame.iloc[:, at]
        if column.dtype == object:
            # kept as Python objects: a column of mixed types must be seen to be refused
            values = [None if v is None or v != v else v for v in column]
            text = all(v is None or isinstance(v, str) for v in values)
            columns.append(pl.Series(name, values, dtype=pl.String if text else pl.Object))
        else:
            columns.append(pl.Series(name, pl.from_pandas(column)))
    return pl.DataFrame(columns)


def _from_matrix(matrix: Any, name: str) -> Source:
    coo = sp.coo_array(matrix)
    frame = pl.DataFrame({"user": coo.row, "item": coo.col, "value": coo.data})
    return Source(frame.lazy(), name)


def _refuse_duplicates(names: list[str], where: str) -> None:
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{where} has more than one column named {twice[0]!r}: rename one of them")


def _open_path(path: Path) -> Source:
    name = str(path)
    if "*" not in name and not path.exists():
        raise DataError(f"{name}: no such file")
    if path.is_dir():
        raise DataError(f"{name} is a folder: name a file, or a pattern such as {name}/*.parquet")
    if "*" not in name and path.stat().st_size == 0:
        raise DataError(f"{name} is empty")
    suffix = path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix
    try:
        if suffix in _PARQUET:
            frame = pl.scan_parquet(name)
            _refuse_duplicates(frame.collect_schema().names(), name)
            return Source(frame, name)
        if suffix in _ARROW:
            frame = pl.scan_ipc(name)
            _refuse_duplicates(frame.collect_schema().names(), name)
            return Source(frame, name)
        if suffix in _JSON:
            frame = pl.scan_ndjson(name, infer_schema_length=10_000)
            frame.collect_schema()
            return Source(frame, name)
        if suffix == ".npz":
            return _from_matrix(sp.load_npz(name), name)
    except DataError:
        raise
    except (pl.exceptions.PolarsError, OSError, ValueError, KeyError) as error:
        raise DataError(f"{name} cannot be read as {suffix}: {_first_line(error)}") from error
    if suffix in _TEXT:
        return _open_text(path, _TEXT[suffix])
    raise DataError(f"{name}: the ending {suffix!r} is none that shoal reads ({FORMATS})")


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _head(path: Path) -> list[str]:
    """The first two lines."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            raw = [file.readline(65_536), file.readline(65_536)]
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return [line.decode("utf-8-sig", "replace").rstrip("\r\n") for line in raw if line]


def _open_text(path: Path, separator: str | None) -> Source:
    name = str(path)
    if "*" in name:
        files = sorted(path.parent.glob(path.name))
        if not files:
            raise DataError(f"{name} matches no file")
        head = _head(files[0])
    else:
        head = _head(path)
    if not head or not head[0].strip():
        raise DataError(f"{name} has an empty first line; expected column names or a first row")
    if "::" in head[0]:
        return _open_double_colon(name, head[0])
    if separator is None or separator not in head[0]:
        separator = max(",\t;|", key=head[0].count)
        if separator not in head[0]:
            raise DataError(
                f"{name}: one column only ({head[0][:60]!r}); expected values separated by a "
                "comma, tab, semicolon, | or ::"
            )
    cells = next(csv.reader(io.StringIO(head[0]), delimiter=separator))
    has_header = not _looks_like_data(cells)
    if has_header:
        _refuse_duplicates(cells, name)
        if len(head) == 1:
            raise DataError(f"{name} has a header and no row")
    schema: dict[str, Any] = {
        (c if has_header else f"column_{i + 1}"): pl.String for i, c in enumerate(cells)
    }
    # every column as text: only the columns in use are parsed further, and ids stay as written
    frame = pl.scan_csv(
        name, separator=separator, has_header=has_header, schema=schema, raise_if_empty=True
    )
    return Source(frame, name, typed=False, has_header=has_header)


def _open_double_colon(name: str, head: str) -> Source:
    n_columns = head.count("::") + 1
    fields = pl.col("line").str.split("::")
    columns = [
        fields.list.get(i, null_on_oob=True).alias(f"column_{i + 1}") for i in range(n_columns)
    ]
    return Source(pl.scan_lines(name).select(columns), name, typed=False, has_header=False)


def _looks_like_data(cells: list[str]) -> bool:
    """Whether a first line is already a row: no name in it, and a number among its cells."""

    def number(cell: str) -> bool:
        try:
            float(cell)
        except ValueError:
            return False
        return True

    return any(number(c) for c in cells)


def first_rows(frame: pl.LazyFrame, condition: pl.Expr, n: int = 3) -> list[int]:
    """Row numbers, counted from 1, of the first rows where a condition holds."""
    found = frame.with_row_index("_row").filter(condition).select("_row").head(n).collect()
    return (found["_row"].to_numpy().astype(np.int64) + 1).tolist()
