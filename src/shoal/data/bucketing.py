"""`bucket`: any log as a folder of Parquet files, each with all rows of some of the users."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import polars as pl

from shoal._version import __version__
from shoal.data.buckets import FORMAT, MANIFEST, ListedFile, Manifest, look
from shoal.data.columns import find_roles, is_known
from shoal.data.dialect import Format, Quotes, TextRules
from shoal.data.interpret import check_choice
from shoal.data.remote import as_url
from shoal.data.sources import Source, explained, open_source
from shoal.errors import ArtifactError, DataError, first_line
from shoal.forks import uses_polars
from shoal.run import Progress, Silent
from shoal.unfinished import exchange, flush, folder_beside, remove_leftovers

MOST = 10_000  # buckets
WAITING = 64 * 2**20  # bytes of rows that wait for their file, about
_FEWEST_ROWS, _MOST_ROWS = 2_048, 2**17  # of a row group
_SAMPLE = 10_000  # rows that show how wide a row is


def bucket(
    log: Any,
    out: str | Path,
    n_buckets: int = 64,
    *,
    columns: Mapping[str, str] | None = None,
    format: Format = "auto",
    header: bool | None = None,
    quotes: Quotes = "auto",
    separator: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Write a log as Parquet files, so that all rows of a user are in one of them.

    All columns and rows are kept as they are: which of them count is said when the folder is read,
    by the same options and with the same result as for the log itself. Rows are streamed; beside a
    few pieces of the log, about 64 MiB of rows wait for their files.

    Parameters
    ----------
    log : path or frame
        Anything that `shoal.read` reads.
    out : path
        The folder to write: as a whole or not at all.
    n_buckets : int
        Files, at most; users are divided by a hash of their id. What one machine reads at a time is
        a file, so a few million rows in each are a good number.
    columns : mapping of role to column name, optional
        ``user`` says which column has the users, if its name does not.
    format, header, quotes, separator
        How a text file is written, as for `shoal.read`.
    overwrite : bool
        Whether a folder that this function wrote may be replaced.
    progress : Progress, optional

    Returns
    -------
    Manifest
        What was written.

    Raises
    ------
    DataError
        The log cannot be read, or has no column of users or no row.
    ArtifactError
        The folder is there already, or cannot be written.
    """
    uses_polars("dividing a log by user")
    if not 1 <= n_buckets <= MOST:
        raise DataError(f"{n_buckets} buckets: give 1 to {MOST:,}")
    check_choice("format", format, get_args(Format))
    check_choice("quotes", quotes, get_args(Quotes))
    target = _target(out, overwrite=overwrite)
    given = dict(columns or {})
    rules = TextRules(format, header, quotes, separator, tuple(given.values()), is_known)
    source = open_source(log, rules)
    progress = progress or Silent()
    with progress.step(f"dividing {source.name} by user"), explained(source):
        schema = source.frame.collect_schema()
        roles, _ = find_roles(source, schema.names(), given)
        _refuse_unstorable(source, schema)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(target)
            with folder_beside(target) as unfinished:
                _write_files(source, roles["user"], n_buckets, unfinished)
                manifest = _manifest(source, roles["user"], n_buckets, unfinished)
                text = manifest.model_dump_json(indent=1) + "\n"
                (unfinished / MANIFEST).write_text(text)
                for file in (*unfinished.iterdir(), unfinished):
                    flush(file)
                _put_in_place(unfinished, target)
        except OSError as error:
            raise ArtifactError(f"{target} could not be written ({first_line(error)})") from error
    return manifest


def check_new_folder(out: str | Path, *, overwrite: bool) -> None:
    """Refuse, before work begins, a folder that `bucket` would not write."""
    _target(out, overwrite=overwrite)


def _target(out: str | Path, *, overwrite: bool) -> Path:
    if as_url(out) is not None:
        raise ArtifactError(
            f"{as_url(out)}: shoal bucket writes to folders of this machine or that it shares; "
            f"copy the folder to the service with its own tools, {MANIFEST} with it"
        )
    target = Path(out).resolve()
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return target
    if not (target / MANIFEST).is_file():
        raise ArtifactError(
            f"{target} exists and was not made by shoal bucket: name another folder"
        )
    if not overwrite:
        raise ArtifactError(
            f"{target} exists: name another folder, or replace it with overwrite=True (--overwrite)"
        )
    return target


def _refuse_unstorable(source: Source, schema: pl.Schema) -> None:
    """Refuse columns of Python objects, which have no type in a Parquet file."""
    odd = [name for name, dtype in schema.items() if dtype == pl.Object]
    if odd:
        raise DataError(
            f"{source.name}: column {odd[0]!r} holds Python objects of several types, or of one "
            "that Parquet lacks: convert it to text or numbers, or leave it out"
        )


def _write_files(source: Source, user: str, n_buckets: int, folder: Path) -> None:
    """Stream all rows into the files of their users."""
    names = source.frame.collect_schema().names()
    number = "bucket"
    while number in names:
        number += "_"
    ids = pl.col(user)
    if not source.typed:  # outer spaces do not count
        ids = ids.str.strip_chars()
    rows = source.frame.with_columns((ids.hash(seed=0) % n_buckets).alias(number))
    target = pl.PartitionBy(
        folder,
        key=number,
        include_key=False,
        file_path_provider=lambda file: (
            f"bucket-{file.partition_keys[number][0]:05}-{file.index_in_partition}.parquet"
        ),
        approximate_bytes_per_file=None,  # else polars begins another file after 4 GiB of rows
    )
    rows.sink_parquet(
        target,
        row_group_size=_rows_of_a_group(source, n_buckets),
        maintain_order=True,
        engine="streaming",
    )
    divided = [file.name for file in folder.iterdir() if not file.name.endswith("-0.parquet")]
    if divided:
        raise ArtifactError(
            f"polars {pl.__version__} wrote a bucket of {source.name} as several files (such as "
            f"{divided[0]}), which may divide a user: use more buckets, or another polars"
        )


def _rows_of_a_group(source: Source, n_buckets: int) -> int:
    """So many rows that those which wait for their files take about `WAITING` bytes."""
    head = source.frame.head(_SAMPLE).collect()
    width = max(1, int(head.estimated_size()) // max(1, len(head)))
    return max(_FEWEST_ROWS, min(_MOST_ROWS, WAITING // (n_buckets * width)))


def _manifest(source: Source, user: str, n_buckets: int, folder: Path) -> Manifest:
    """What was written."""
    files = sorted(folder.glob("*.parquet"))
    facts = [look(str(file)) for file in files]
    n_rows = sum(fact.rows for fact in facts)
    if n_rows == 0:
        raise DataError(f"{source.name} has no row")
    return Manifest(
        format=FORMAT,
        shoal=__version__,
        user=user,
        buckets=n_buckets,
        rows=n_rows,
        text=not source.typed,
        header=source.has_header,
        decimal_commas=source.decimal_commas,
        notes=tuple(source.notes),
        files=tuple(
            ListedFile(name=file.name, rows=fact.rows, bytes=fact.bytes)
            for file, fact in zip(files, facts, strict=True)
        ),
    )


def _put_in_place(new: Path, target: Path) -> None:
    """Move a folder to its place; one that is there is exchanged in one step, where that works."""
    if target.is_dir() and not any(target.iterdir()):
        with suppress(OSError):
            target.rmdir()
    if not target.exists():
        new.rename(target)
    elif not exchange(new, target):
        with folder_beside(target) as old:
            target.rename(old / "old")
            new.rename(target)
    flush(target.parent)
