"""Any file or frame as a polars LazyFrame, streamed where the format allows it."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import polars as pl
import scipy.sparse as sp

from shoal.errors import DataError

FORMATS = "CSV, TSV, JSON lines, Parquet, Arrow/Feather, .npz (scipy CSR), MovieLens .dat"

_TEXT = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": None, ".data": "\t", ".dat": None}
_JSON = {".jsonl", ".ndjson", ".json"}
_ARROW = {".arrow", ".feather", ".ipc"}
_PARQUET = {".parquet", ".pq"}

# a panic of polars is neither a PolarsError nor an Exception
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)


@dataclass(frozen=True)
class Source:
    """A log before its columns have roles.

    Parameters
    ----------
    frame : LazyFrame
    name : str
        Name for error messages: the file's path, or "the frame".
    typed : bool
        False for text formats, whose ids are read as text and turned into numbers later.
    has_header : bool
        False where the columns have no names of their own (``column_1``, ...).
    files : tuple of Path
        The files that it is read from, if there are any.
    separator : str
        What separates the values in a line of a text file.
    """

    frame: pl.LazyFrame
    name: str
    typed: bool = True
    has_header: bool = True
    files: tuple[Path, ...] = ()
    separator: str = ""


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
    if module == "pandas" and hasattr(log, "columns"):
        return Source(_from_pandas(log).lazy(), "the frame")
    if module == "pyarrow" and hasattr(log, "schema"):
        _refuse_duplicates(list(log.schema.names), "the table")
        try:
            frame = pl.DataFrame(pl.from_arrow(log))
        except (TypeError, *UNREADABLE) as error:
            raise DataError(f"the table cannot be read: {first_line(error)}") from error
        return Source(frame.lazy(), "the table")
    raise DataError(
        f"cannot read a log from {type(log).__name__}: give a path ({FORMATS}), a polars or "
        "pandas frame, an Arrow table or a scipy sparse matrix"
    )


def _from_pandas(frame: Any) -> pl.DataFrame:
    names = [str(c) for c in frame.columns]
    _refuse_duplicates(names, "the frame")
    return pl.DataFrame([_series(name, frame.iloc[:, i]) for i, name in enumerate(names)])


def _series(name: str, column: Any) -> pl.Series:
    if column.dtype != object:
        try:
            return pl.Series(name, pl.from_pandas(column))
        except Exception:  # noqa: S110 - of a type that polars lacks, perhaps in a column not asked for
            pass
    # kept as Python objects: a column of mixed types must be seen to be refused
    values = [None if lacks else v for v, lacks in zip(column, column.isna(), strict=True)]
    text = all(v is None or isinstance(v, str) for v in values)
    return pl.Series(name, values, dtype=pl.String if text else pl.Object)


def _from_matrix(matrix: Any, name: str) -> Source:
    coo = sp.coo_array(matrix)
    frame = pl.DataFrame({"user": coo.row, "item": coo.col, "value": coo.data})
    return Source(frame.lazy(), name)


def _refuse_duplicates(names: list[str], where: str) -> None:
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        which = f"named {twice[0]!r}" if twice[0] else "without a name"
        raise DataError(f"{where} has more than one column {which}: rename all but one")


def _files(path: Path) -> list[Path]:
    """The files that a path or a pattern stands for; an empty one is refused."""
    name = str(path)
    try:
        if path.is_dir():
            raise DataError(
                f"{name} is a folder: name a file, or a pattern such as {name}/*.parquet"
            )
        files = [path] if path.exists() else []
        if not files and set("*?[") & set(name):
            root = Path(path.anchor)
            files = sorted(f for f in root.glob(str(path.relative_to(root))) if f.is_file())
            if not files:
                raise DataError(f"{name} matches no file")
        empty = [f for f in files if f.stat().st_size == 0]
    except (OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name[:100]!r} is no path that can be read: {error!s:.100}") from error
    if not files:
        raise DataError(f"{name}: no such file")
    if empty:
        raise DataError(f"{empty[0]} is empty")
    return files


def _suffix(path: Path) -> str:
    ends = [s.lower() for s in path.suffixes[-2:]]
    return ends[0] if len(ends) == 2 and ends[1] == ".gz" else "".join(ends[-1:])


def _open_path(path: Path) -> Source:
    name, files = str(path), _files(path)
    suffix = _suffix(files[0])
    other = [f for f in files if _suffix(f) != suffix]
    if other:
        raise DataError(f"{name} matches files of several formats: {files[0]} and {other[0]}")
    if suffix in _TEXT:
        return _open_text(name, files, _TEXT[suffix])
    try:
        if suffix in _PARQUET:
            frame = pl.scan_parquet(files, glob=False)
        elif suffix in _ARROW:
            frame = pl.scan_ipc(files, glob=False)
        elif suffix in _JSON:
            frame = pl.scan_ndjson([escape(str(f)) for f in files], infer_schema_length=10_000)
        elif suffix == ".npz":
            return _open_npz(name, files)
        else:
            raise DataError(f"{name}: the ending {suffix!r} is none that shoal reads ({FORMATS})")
        frame.collect_schema()
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        hint = " (one JSON object per line is expected)" if suffix in _JSON else ""
        raise DataError(f"{name} cannot be read as {suffix}{hint}: {first_line(error)}") from error
    return Source(frame, name, files=tuple(files))


def _open_npz(name: str, files: list[Path]) -> Source:
    if len(files) > 1:
        raise DataError(f"{name} matches {len(files)} matrices: give one")
    try:
        with files[0].open("rb") as file:
            return _from_matrix(sp.load_npz(file), name)
    except Exception as error:  # a zip and its arrays can be wrong in many ways
        raise DataError(
            f"{name} holds no sparse matrix as scipy.sparse.save_npz writes it"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of what an error of another library says."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _opened(path: Path, mode: str, **options: Any) -> Any:
    return (gzip.open if path.suffix.lower() == ".gz" else open)(path, mode, **options)


def _head(path: Path) -> list[str]:
    """The first two lines of a text file."""
    try:
        with _opened(path, "rb") as file:
            raw = [file.readline(65_536), file.readline(65_536)]
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if b"\0" in b"".join(raw):
        raise DataError(f"{path} is not UTF-8 text (it holds zero bytes): save it as UTF-8")
    return [line.decode("utf-8-sig", "replace").rstrip("\r\n") for line in raw if line]


def _open_text(name: str, files: list[Path], separator: str | None) -> Source:
    head = _head(files[0])
    if not head or not head[0].strip():
        raise DataError(f"{files[0]} has an empty first line; expected column names or a first row")
    if "::" in head[0]:
        return _open_double_colon(name, files, head[0])
    if separator is None or separator not in head[0]:
        separator = _guess_separator(name, head[0])
    cells = _cells(files[0], head, separator)
    has_header = not _looks_like_data(cells)
    if has_header:
        _refuse_duplicates(cells, name)
        if len(head) == 1 and len(files) == 1:
            raise DataError(f"{name} has a header and no row")
    _refuse_other_columns(files, cells, separator, has_header=has_header)
    schema: dict[str, Any] = {
        (cell if has_header else f"column_{i + 1}"): pl.String for i, cell in enumerate(cells)
    }
    # every column as text: only the columns in use are parsed further, and ids stay as written
    frame = pl.scan_csv(
        files, separator=separator, has_header=has_header, schema=schema, glob=False
    )
    return Source(frame, name, False, has_header, tuple(files), separator)


def _guess_separator(name: str, line: str) -> str:
    """The separator that a first line has most of."""
    separator = max(",\t;|", key=line.count)
    if separator not in line:
        raise DataError(
            f"{name}: one column only ({line[:60]!r}); expected values separated by a "
            "comma, tab, semicolon, | or ::"
        )
    return separator


def _refuse_other_columns(
    files: list[Path], cells: list[str], separator: str, *, has_header: bool
) -> None:
    """Refuse files that do not have the columns of the first one, whose first line is `cells`."""
    for path in files[1:]:
        others = _cells(path, _head(path), separator)
        if (others != cells) if has_header else (len(others) != len(cells)):
            raise DataError(
                f"{path} does not start like {files[0]}: {', '.join(others)[:100]!r} in place of "
                f"{', '.join(cells)[:100]!r}; files read together need the same columns"
            )


def _cells(path: Path, head: list[str], separator: str) -> list[str]:
    """The values of a first line."""
    try:
        return next(csv.reader(io.StringIO("".join(head[:1])), delimiter=separator), [])
    except csv.Error as error:
        raise DataError(f"the first line of {path} cannot be parsed: {error}") from error


def _open_double_colon(name: str, files: list[Path], head: str) -> Source:
    n_columns = head.count("::") + 1
    fields = pl.col("line").str.strip_prefix("\ufeff").str.split("::")
    columns = [
        fields.list.get(i, null_on_oob=True).alias(f"column_{i + 1}") for i in range(n_columns)
    ]
    frame = pl.scan_lines(files, glob=False).select(columns)
    return Source(frame, name, typed=False, has_header=False, files=tuple(files))


def explain(source: Source, error: BaseException) -> DataError:
    """Turn an error of another library into a DataError that names the line, where it can."""
    reason = _wrong_line(source) if source.separator else ""
    return DataError(f"{source.name} cannot be parsed: {reason or first_line(error)}")


def _wrong_line(source: Source) -> str:
    """The first line of a CSV file with more values than its first line."""
    for path in source.files:
        where = f"{path.name}, " if len(source.files) > 1 else ""
        try:
            with _opened(path, "rt", encoding="utf-8-sig", newline="") as file:
                lines, width = csv.reader(file, delimiter=source.separator), 0
                for cells in lines:
                    width = width or len(cells)
                    if len(cells) > width:
                        return (
                            f"{where}line {lines.line_num} has {len(cells)} values, the first "
                            f"line {width}; quote values that hold a {source.separator!r}"
                        )
        except UnicodeDecodeError:
            return f"{where}it is not UTF-8 text: save it as UTF-8"
        except (OSError, EOFError, zlib.error, csv.Error):
            return ""
    return ""


def _looks_like_data(cells: list[str]) -> bool:
    """Whether a first line is already a row: there is a number among its cells."""

    def number(cell: str) -> bool:
        try:
            float(cell)
        except ValueError:
            return False
        return True

    return any(number(c) for c in cells)


def first_rows(frame: pl.LazyFrame, condition: pl.Expr, n: int = 3) -> list[int]:
    """Row numbers, counted from 1, of the first rows where a condition holds."""
    first = frame.filter(condition).select("row").head(n).collect()
    return [int(row) + 1 for row in first["row"]]
