"""Files that are written whole or not at all: tables, vectors, and others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from shoal._version import __version__
from shoal.errors import ArtifactError
from shoal.kernels.arrays import Float
from shoal.unfinished import file_beside, remove_leftovers

TABLES = (".parquet", ".csv")
LATEX_MARK = "% made by shoal"  # the first line of our LaTeX files
POLICY_MARK = "Written by shoal tune"  # in the first line of a policy file
MARK = "shoal"  # keys that begin so, in the metadata of a Parquet file, say who made it
# the columns by which a CSV file is known to be shoal's: lists, a map, events, a comparison; or
# values per user
_OWN_COLUMNS = (
    {"user", "rank", "item", "score"},
    {"item", "colour", "x", "y"},
    {"user", "item", "event", "value", "time", "request_id", "id"},
    {"seed", "model", "user", "history"},
    {"data", "place", "label", "model", "kind", "tied"},
)
_FORMULA = r"^[=+\-@\t\r]"  # beginnings of a text that spreadsheets take for a formula


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; that file replaces `path` if nothing is raised.

    Whatever happens, `path` is what it was before or the new file, and no other file is left. What
    a killed process left of an earlier one is removed.
    """
    remove_leftovers(path)
    with file_beside(path) as unfinished:
        yield unfinished
        unfinished.replace(path)


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file by a function that takes the name to write to, whole or not at all.

    Raises
    ------
    ArtifactError
        The disk refuses.
    """
    try:
        with replacing(path) as unfinished:
            write(unfinished)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ArtifactError(f"{path} could not be written ({error})") from error
    return path


def check_table(path: str | Path, endings: Sequence[str] = TABLES) -> Path:
    """Check before long work whether a file can be written under a name.

    Parameters
    ----------
    path : str or Path
    endings : sequence of str
        The endings that the name may have; those of `write_table`, unless given.

    Raises
    ------
    ArtifactError
        The name has another ending, is a folder, or its folder is not there.
    """
    path = Path(path)
    if path.suffix not in endings:
        known = " or ".join([", ".join(endings[:-1]), endings[-1]][len(endings) < 2 :])
        raise ArtifactError(f"{path}: write a name that ends in {known}")
    if not path.parent.is_dir():
        raise ArtifactError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ArtifactError(f"{path} is a folder: name a file")
    return path


def guarded(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with ``'`` before texts that a spreadsheet would take for a formula."""
    text = pl.col(pl.String)
    return frame.with_columns(
        pl.when(text.str.contains(_FORMULA)).then(pl.lit("'") + text).otherwise(text).name.keep()
    )


def csv_bytes(frame: pl.DataFrame, *, guard_formulas: bool = False) -> bytes:
    """The bytes of the CSV file that `write_table` writes."""
    return (guarded(frame) if guard_formulas else frame).write_csv().encode("utf-8")


def made_by_shoal(path: Path) -> bool:
    """Whether a file says of itself that shoal wrote it.

    Parquet files say so in their metadata, pictures and pages at their beginning, CSV files by
    their columns; a .npy file by the .parquet file of ids beside it.
    """
    if path.suffix == ".npy":
        beside = path.with_suffix(".parquet")
        return beside.is_file() and made_by_shoal(beside)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        if head.startswith(b"PAR1"):
            return any(key.startswith(MARK) for key in pl.read_parquet_metadata(path))
    except (OSError, pl.exceptions.PolarsError):
        return False
    if path.suffix == ".csv":
        columns = head.split(b"\n")[0].decode("utf-8", "replace").strip().split(",")
        per_user = columns[0] == "user" and len(columns) > 1 and all(map(_is_metric, columns[1:]))
        return per_user or any(own <= set(columns) for own in _OWN_COLUMNS)
    if path.suffix == ".json":
        return b'"made_by": "shoal' in head
    if path.suffix == ".tex":
        return head.startswith(LATEX_MARK.encode())
    if path.suffix in (".yaml", ".yml"):
        return head.startswith(f"# {POLICY_MARK}".encode())
    return path.suffix in (".png", ".svg", ".html") and MARK.encode() in head


def _is_metric(column: str) -> bool:
    return "@" in column or column in ("rmse", "mae")


def write_table(frame: pl.DataFrame, path: str | Path, *, guard_formulas: bool = False) -> Path:
    """Write a frame as Parquet or CSV, whole or not at all.

    Parameters
    ----------
    frame : DataFrame
    path : str or Path
    guard_formulas : bool
        In CSV, put ``'`` before texts that a spreadsheet would take for a formula: those that begin
        with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return. Numbers stay.

    Raises
    ------
    ArtifactError
        The name ends in neither ``.parquet`` nor ``.csv``, or the disk refuses.
    """
    path = check_table(path)
    if path.suffix == ".csv":
        table = guarded(frame) if guard_formulas else frame
        return write_whole(path, table.write_csv)
    return write_whole(path, lambda to: frame.write_parquet(to, metadata={MARK: __version__}))


def check_vectors(path: str | Path) -> Path:
    """Check before long work whether `write_vectors` would refuse a name.

    Raises
    ------
    ArtifactError
        The name has another ending, is a folder, or its folder is not there.
    """
    path = check_table(path, (".parquet", ".npy"))
    check_table(path.with_suffix(".parquet"))
    return path


def write_vectors(ids: pl.Series, vectors: Float, path: str | Path) -> list[Path]:
    """Write a vector for each id: as Parquet, or as .npy with the ids in a Parquet file beside it.

    Parameters
    ----------
    ids : Series
        Its name becomes the name of the first column.
    vectors : (len(ids), k) float32
        The second column, ``vector``, of lists of float32.
    path : str or Path
        ``x.parquet``; or ``x.npy`` for a matrix, with the ids in ``x.parquet``.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    ArtifactError
        The name has another ending, or the disk refuses.
    """
    path = check_vectors(path)
    beside = path.with_suffix(".parquet")
    if path.suffix == ".parquet":
        frame = pl.DataFrame([ids, pl.Series("vector", vectors).cast(pl.List(pl.Float32))])
        return [write_table(frame, path)]

    def write(to: Path) -> None:
        with to.open("wb") as file:  # given a name, numpy would end it in .npy
            np.save(file, vectors, allow_pickle=False)

    return [write_whole(path, write), write_table(ids.to_frame(), beside)]
