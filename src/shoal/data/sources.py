"""Any file or frame as a polars LazyFrame, streamed where the format allows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import polars as pl
import scipy.sparse as sp

from shoal.data.buckets import Buckets, find_buckets, is_bucketed, look, scan_files
from shoal.data.delimited import DelimitedFiles
from shoal.data.dialect import TextRules, cells_of, find_dialect
from shoal.data.json_text import open_json
from shoal.data.matrices import is_npz, matrix_rows, open_market, read_npz
from shoal.data.remote import as_url
from shoal.data.unpack import (
    PACKED,
    first_lines,
    is_stream,
    member_name,
    packing,
    spool,
    stream_name,
)
from shoal.errors import DataError, ShoalError, first_line

FORMATS = (
    "CSV, TSV, JSON, Parquet, Arrow/Feather, .npz (scipy), .mtx, .inter (RecBole), MovieLens .dat; "
    "text also as .gz, .bz2, .xz, .zst, .zip"
)

_TEXT = {
    **{".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": None, ".data": "\t", ".dat": None},
    **{".inter": "\t", ".item": "\t"},  # RecBole's atomic files
}
_JSON = {".jsonl", ".ndjson", ".json"}
_ARROW = {".arrow", ".feather", ".ipc"}
_PARQUET = {".parquet", ".pq"}
_MARKET = ".mtx"

# a panic of polars is neither a PolarsError nor an Exception
OF_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
UNREADABLE = (*OF_POLARS, OSError, ValueError)


Answer = TypeVar("Answer")


class Elsewhere(Protocol):
    """The parts of a log that other machines read, where questions about all rows are answered."""

    def ask(self, question: Callable[[Source], Answer]) -> list[Answer]:
        """The answers of all parts, in their order."""

    def keep(self, question: Callable[[Source], tuple[Answer, Any]]) -> tuple[list[Answer], Any]:
        """The answers of all parts, and what is kept of the parts where they are."""


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
    decimal_commas : tuple of str
        Columns of text that hold numbers such as 3,5.
    notes : list of str
        What was guessed about a text file; more is added while it is read.
    held : object
        A temporary file that lives as long as the source.
    first_row : int
        The number of the first row, counted from 0, where this is a part of a log.
    elsewhere : Elsewhere or None
        Where other machines read the rows. `frame` has them all nevertheless, for a look at a few.
    """

    frame: pl.LazyFrame
    name: str
    typed: bool = True
    has_header: bool = True
    files: tuple[Path, ...] = ()
    separator: str = ""
    decimal_commas: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    held: Any = None
    first_row: int = 0
    elsewhere: Elsewhere | None = None

    def ask(self, question: Callable[[Source], Answer]) -> list[Answer]:
        """The answers to a question about all rows: one, or one for each part that is elsewhere.

        Parameters
        ----------
        question : callable
            A function of a module, or a `partial` of one, so that other machines find it.
        """
        return [question(self)] if self.elsewhere is None else self.elsewhere.ask(question)

    def keep(self, question: Callable[[Source], tuple[Answer, Any]]) -> tuple[list[Answer], Any]:
        """As `ask`, for questions whose answers have a second part that is not to be moved."""
        if self.elsewhere is not None:
            return self.elsewhere.keep(question)
        answer, kept = question(self)
        return [answer], kept


def open_source(log: Any, rules: TextRules | None = None) -> Source:
    """Open a path, a polars or pandas frame, an Arrow table, or a scipy sparse matrix.

    Parameters
    ----------
    log : path, frame or Source
        The path "-" is the standard input; what is open already stays as it is.
    rules : TextRules, optional
        What the caller knows of a text file.

    Raises
    ------
    DataError
        No such file, an unknown format, an empty file, or one that cannot be parsed.
    """
    if isinstance(log, Source):
        return log
    rules = rules or TextRules()
    if is_bucketed(log):
        buckets = find_buckets(log)
        facts = [look(file) for file in buckets.files]
        buckets.check(facts)
        return open_buckets(buckets, facts[0].columns)
    if isinstance(log, str | Path):
        return _open_path(Path(log), rules)
    if isinstance(log, pl.DataFrame | pl.LazyFrame):
        return Source(log.lazy(), "the frame")
    if sp.issparse(log):
        return Source(matrix_rows(log, "the matrix").lazy(), "the matrix")
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


def open_buckets(buckets: Buckets, columns: dict[str, pl.DataType], first_row: int = 0) -> Source:
    """Open Parquet files that were checked to have these columns.

    Parameters
    ----------
    buckets : Buckets
    columns : dict of name to type
    first_row : int
        The number of the first row, where the files are a part of a log.
    """
    manifest = buckets.manifest
    return Source(
        scan_files(buckets.files, columns),
        buckets.name,
        typed=manifest is None or not manifest.text,
        has_header=manifest is None or manifest.header,
        files=tuple(Path(file) for file in buckets.files if as_url(file) is None),
        decimal_commas=() if manifest is None else manifest.decimal_commas,
        notes=[] if manifest is None else list(manifest.notes),
        first_row=first_row,
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


def _refuse_duplicates(names: list[str], where: str) -> None:
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        which = f"named {twice[0]!r}" if twice[0] else "without a name"
        raise DataError(f"{where} has more than one column {which}: rename all but one")


def files_of(path: Path) -> list[Path]:
    """The files that a path or a pattern stands for; an empty one is refused."""
    name = str(path)
    try:
        if path.is_dir():
            raise DataError(
                f"{name} is a folder without Parquet files: name a file, or a pattern such as "
                f"{name}/*.csv"
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


def _ending(path: Path) -> str:
    """The ending that names the format, without that of a packed file."""
    ends = [s.lower() for s in path.suffixes[-2:]]
    if not ends:
        return ""
    if ends[-1] == ".zip":
        return _ending(Path(member_name(path)))
    return ends[0] if len(ends) == 2 and ends[1] in (*PACKED,) else ends[-1]


def _ending_by_content(path: Path) -> str:
    """The ending that a file from a pipe would have, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"PAR1"):
        return ".parquet"
    if head.startswith(b"ARROW1"):
        return ".arrow"
    if packing(path) == ".zip" and is_npz(path):
        return ".npz"
    text = "".join(first_lines(path)[:2]).lstrip()
    if text.startswith("%%MatrixMarket"):
        return _MARKET
    return ".json" if text[:1] in ("{", "[") else ".txt"


def _open_path(path: Path, rules: TextRules) -> Source:
    if is_stream(path):
        file = spool(path)
        copy = Path(file.name)
        source = _open_files(stream_name(path), [copy], _ending_by_content(copy), rules)
        return replace(source, held=file)
    name, files = str(path), files_of(path)
    ending = _ending(files[0])
    other = [f for f in files if _ending(f) != ending]
    if other:
        raise DataError(f"{name} matches files of several formats: {files[0]} and {other[0]}")
    return _open_files(name, files, ending, rules)


def _open_files(name: str, files: list[Path], ending: str, rules: TextRules) -> Source:
    if ending in _TEXT:
        return _open_text(name, files, _TEXT[ending], rules)
    if ending in (".npz", _MARKET) and len(files) > 1:
        raise DataError(f"{name} matches {len(files)} matrices: give one")
    if ending == ".npz":
        return Source(read_npz(files[0]).lazy(), name, files=tuple(files))
    if ending == _MARKET:
        return _from_delimited(open_market(files[0], name))
    if files[0].suffix.lower() in PACKED and ending in _PARQUET | _ARROW:
        raise DataError(f"{name}: Parquet and Arrow are read unpacked: unpack it")
    try:
        if ending in _PARQUET:
            frame = pl.scan_parquet(files, glob=False)
        elif ending in _ARROW:
            frame = pl.scan_ipc(files, glob=False)
        elif ending in _JSON:
            frame = open_json(name, tuple(files))
        else:
            raise DataError(f"{name}: the ending {ending!r} is none that shoal reads ({FORMATS})")
        frame.collect_schema()
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{name} cannot be read as {ending}: {first_line(error)}. If it was cut short, copy it "
            "again"
        ) from error
    return Source(frame, name, files=tuple(files))


def _open_text(name: str, files: list[Path], usual: str | None, rules: TextRules) -> Source:
    lines = first_lines(files[0])
    if not lines or not lines[0].strip():
        raise DataError(f"{files[0]} has an empty first line; expected column names or a first row")
    if "\r" in lines[0]:
        raise DataError(
            f"the first line of {files[0]} cannot be parsed: it holds line ends of old Macs "
            "(carriage returns): save the file with usual line ends"
        )
    dialect = find_dialect(name, lines, usual, rules)
    if dialect.has_header and len(lines) == 1 and len(files) == 1:
        raise DataError(f"{name} has a header and no row")
    if not dialect.basket:
        _refuse_other_columns(files, dialect.cells, dialect.separator, dialect.has_header)
    skip = 1 if dialect.has_header else 0
    header = lines[0] if dialect.has_header else ""
    return _from_delimited(DelimitedFiles(tuple(files), name, dialect, skip, header=header))


def _from_delimited(files: DelimitedFiles) -> Source:
    dialect = files.dialect
    files.notes.extend(dialect.notes)
    return Source(
        files.frame(),
        files.name,
        typed=False,
        has_header=dialect.has_header and not dialect.basket,
        files=files.files,
        separator=dialect.separator,
        decimal_commas=dialect.decimal_commas,
        notes=files.notes,
    )


def _refuse_other_columns(
    files: list[Path], cells: tuple[str, ...], separator: str, has_header: bool
) -> None:
    """Refuse files that do not have the columns of the first one, whose first line is `cells`."""
    for path in files[1:]:
        others = tuple(cells_of((first_lines(path, most=1) or [""])[0], separator))
        if (others != cells) if has_header else (len(others) != len(cells)):
            raise DataError(
                f"{path} does not start like {files[0]}: {', '.join(others)[:100]!r} in place of "
                f"{', '.join(cells)[:100]!r}; files read together need the same columns"
            )


@contextmanager
def explained(
    source: Source, errors: tuple[type[BaseException], ...] = UNREADABLE
) -> Iterator[None]:
    """Turn errors of another library, while a source is read, into a DataError."""
    try:
        yield
    except ShoalError:
        raise
    except errors as error:
        raise DataError(f"{source.name} cannot be parsed: {first_line(error)}") from error


def first_rows(frame: pl.LazyFrame, condition: pl.Expr, n: int = 3) -> list[int]:
    """Row numbers, counted from 1, of the first rows where a condition holds."""
    first = frame.filter(condition).select("row").head(n).collect()
    return [int(row) + 1 for row in first["row"]]
