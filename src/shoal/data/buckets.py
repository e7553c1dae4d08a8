"""Folders of Parquet files in which the rows of each user are in one file.

`shoal bucket` writes such a folder, and any warehouse can (``CLUSTERED BY (user) INTO 64
BUCKETS``). A file ``_shoal.json`` beside the others says what they must be; it may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shoal.data.remote import as_url, files_behind, folders_behind, look_at, read_bytes, scan_remote
from shoal.errors import DataError, first_line

MANIFEST = "_shoal.json"
FORMAT = 1
PARQUET = (".parquet", ".pq", ".parq")


class ListedFile(BaseModel):
    """A file as the manifest lists it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[^/\\]+$")
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)


class Manifest(BaseModel):
    """What a bucketed folder that shoal wrote says of itself.

    Its columns are those of the log that it was made from. If that was a text file, they hold text
    as it was written there, and are read by the same rules.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    shoal: str
    user: str
    buckets: int
    rows: int
    text: bool = False
    header: bool = True
    decimal_commas: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[ListedFile, ...]


class FileFacts(NamedTuple):
    """What the end of a Parquet file says of it."""

    columns: dict[str, pl.DataType]
    rows: int
    bytes: int


@dataclass(frozen=True)
class Buckets:
    """A folder of Parquet files, or one such file behind a URL.

    Parameters
    ----------
    name : str
        The folder, for error messages.
    files : tuple of str
        Paths or URLs, in the order of their names.
    manifest : Manifest or None
    """

    name: str
    files: tuple[str, ...]
    manifest: Manifest | None

    def part(self, index: int) -> Buckets:
        """One file of the folder by itself."""
        manifest = self.manifest
        if manifest is not None:
            manifest = manifest.model_copy(update={"files": ()})
        return Buckets(self.files[index], (self.files[index],), manifest)

    def check(self, facts: Sequence[FileFacts]) -> None:
        """Refuse files that are not those of the manifest, or do not have the same columns.

        Parameters
        ----------
        facts : sequence of FileFacts
            Of each file.

        Raises
        ------
        DataError
            The message names the file.
        """
        listed = self.manifest.files if self.manifest else ()
        for file, fact, should in zip(self.files, facts, listed, strict=False):
            if (fact.rows, fact.bytes) != (should.rows, should.bytes):
                raise DataError(
                    f"{file} has {fact.rows:,} rows in {fact.bytes:,} bytes, and {MANIFEST} beside "
                    f"it says {should.rows:,} in {should.bytes:,}: it was cut short or replaced. "
                    "Copy the folder again, or write it anew with shoal bucket"
                )
        first = facts[0].columns
        for file, fact in zip(self.files, facts, strict=True):
            if fact.columns == first and list(fact.columns) == list(first):
                continue
            raise DataError(
                f"{file} has other columns than {self.files[0]}: {_difference(first, fact.columns)}"
                ". Files of one folder need the same columns of the same types in the same order"
            )


def is_bucketed(path: Any) -> bool:
    """Whether a path is a folder with Parquet files, or a URL."""
    if as_url(path) is not None:
        return True
    try:
        folder = Path(path)
        return folder.is_dir() and bool((folder / MANIFEST).is_file() or _parquet_files(folder))
    except (OSError, ValueError, TypeError):
        return False


def find_buckets(path: str | Path) -> Buckets:
    """The files of a bucketed folder; those of the manifest, if there is one.

    Raises
    ------
    DataError
        There is no Parquet file, a file of the manifest is missing, or files are in folders of it.
    """
    url = as_url(path)
    name = str(path) if url is None else url.rstrip("/")
    if url is None:
        folder = Path(path)
        names = [file.name for file in _parquet_files(folder)]
        _refuse_tables(name, [entry.name for entry in folder.iterdir() if entry.is_dir()])
        has_manifest = (folder / MANIFEST).is_file()
    else:
        found = [file.url.rpartition("/")[2] for file in files_behind(url)]
        if name.endswith(PARQUET) and found == [name.rpartition("/")[2]]:
            return Buckets(name, (name,), None)
        _refuse_tables(name, folders_behind(name))
        names = [file for file in found if _is_data(file)]
        has_manifest = MANIFEST in found
    manifest = None
    if has_manifest:
        manifest = _manifest(name, read_bytes(f"{name}/{MANIFEST}") if url else None)
        missing = sorted({file.name for file in manifest.files} - set(names))
        if missing:
            raise DataError(
                f"{name}: {len(missing):,} of its {len(manifest.files):,} files are missing, first "
                f"{missing[0]}. Copy the folder again, or write it anew with shoal bucket"
            )
        others = sorted(set(names) - {file.name for file in manifest.files})
        if others:
            raise DataError(
                f"{name}: {others[0]} is none of the files that {MANIFEST} lists: move it away, or "
                f"remove {MANIFEST} if all files of the folder are one log"
            )
        names = [file.name for file in manifest.files]
    if not names:
        raise DataError(
            f"{name} holds no Parquet file: shoal reads a folder of files that end in .parquet, "
            "as shoal bucket writes it"
        )
    return Buckets(name, tuple(f"{name.rstrip('/')}/{file}" for file in names), manifest)


def _refuse_tables(name: str, folders: Sequence[str]) -> None:
    """Refuse a folder whose files alone are not the log.

    Parameters
    ----------
    name : str
    folders : sequence of str
        Names of the folders in it.
    """
    if "_delta_log" in folders:
        raise DataError(
            f"{name} is a table of Delta Lake, whose files hold rows that were replaced "
            "or deleted: export it as plain Parquet, divided by user"
        )
    others = sorted(folder for folder in folders if folder[0] not in "._")
    if others:
        raise DataError(
            f"{name} holds the folder {others[0]} beside its files: shoal reads the files of one "
            "folder. Export the log without folders for its parts (no partitionBy)"
        )


def _parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder, by name; what begins with a dot or underscore is none."""
    return sorted(f for f in folder.iterdir() if _is_data(f.name) and f.is_file())


def _is_data(name: str) -> bool:
    return name.lower().endswith(PARQUET) and name[0] not in "._"


def _manifest(name: str, content: bytes | None) -> Manifest:
    """The manifest of a folder, checked."""
    path = f"{name}/{MANIFEST}"
    try:
        raw = Path(path).read_bytes() if content is None else content
        manifest = Manifest.model_validate(json.loads(raw))
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        raise DataError(
            f"{path} is no list of files as shoal bucket writes it ({first_line(error)}). Write "
            "the folder anew, or remove this file if all files of the folder are one log"
        ) from error
    if manifest.format > FORMAT:
        raise DataError(
            f"{path} has format {manifest.format}, and this shoal knows {FORMAT}: read it with "
            f"shoal {manifest.shoal}"
        )
    return manifest


class End(NamedTuple):
    """The end of a Parquet file, which tells of all of its columns, and the bytes of the file."""

    content: bytes
    n_bytes: int


def ends_of(files: Sequence[str]) -> list[End]:
    """The footers of Parquet files of one folder; of files behind URLs what their service lists.

    Raises
    ------
    DataError
        A file cannot be read.
    """
    if as_url(files[0]) is not None:
        listed = {found.url: found for found in files_behind(files[0].rpartition("/")[0])}
        try:
            return [End(listed[file].mark.encode(), listed[file].n_bytes) for file in files]
        except KeyError as error:
            raise DataError(f"{error.args[0]}: no such file") from None
    ends = []
    for path in files:
        try:
            with Path(path).open("rb") as file:
                ends.append(End(_footer_of(file), file.seek(0, 2)))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error}") from error
    return ends


def _footer_of(file: BinaryIO) -> bytes:
    length = file.seek(0, 2)
    file.seek(max(0, length - 8))
    end = file.read(8)
    if len(end) < 8 or end[4:] != b"PAR1":
        return end
    file.seek(max(0, length - 8 - int.from_bytes(end[:4], "little")))
    return file.read()


def look(file: str) -> FileFacts:
    """What the end of a Parquet file says of it.

    Raises
    ------
    DataError
        The file is missing, or is no whole Parquet file.
    """
    if as_url(file) is not None:
        schema, n_rows, n_bytes = look_at(file)
        return FileFacts(dict(schema), n_rows, n_bytes)
    try:
        n_bytes = Path(file).stat().st_size
        frame = pl.scan_parquet(file, glob=False)
        columns = dict(frame.collect_schema())
        return FileFacts(columns, int(frame.select(pl.len()).collect().item()), n_bytes)
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(
            f"{file} cannot be read as Parquet: {first_line(error)}. If it was cut short, copy it "
            "again"
        ) from error


def scan_files(files: Sequence[str], columns: dict[str, pl.DataType]) -> pl.LazyFrame:
    """The rows of Parquet files with these columns."""
    if as_url(files[0]) is not None:
        return scan_remote(files, pl.Schema(columns))
    return pl.scan_parquet(list(files), glob=False)


def _difference(first: dict[str, pl.DataType], other: dict[str, pl.DataType]) -> str:
    """What two files do not have in common, in words."""
    lacks, more = [c for c in first if c not in other], [c for c in other if c not in first]
    parts = []
    if lacks:
        parts.append(f"no {', '.join(map(repr, lacks[:5]))}")
    if more:
        parts.append(f"also {', '.join(map(repr, more[:5]))}")
    types = [c for c in first if c in other and first[c] != other[c]]
    if types:
        parts.append(f"{types[0]!r} is {other[types[0]]} in place of {first[types[0]]}")
    return "; ".join(parts) or f"they stand in the order {', '.join(list(other)[:5])}"
