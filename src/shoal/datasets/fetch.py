"""`fetch`: public data sets, downloaded and written as Parquet."""

from __future__ import annotations

import difflib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl

from shoal.datasets import parsers
from shoal.datasets.download import fetch_file, file_hash
from shoal.datasets.entries import ENTRIES, Entry, RemoteFile
from shoal.errors import DataError, ShoalError
from shoal.run import Progress, Silent
from shoal.web import is_this_machine

__all__ = ["Entry", "Fetched", "RemoteFile", "entries", "fetch", "get"]

_SILENT: Progress = Silent()
_RECORD = "fetched.json"
_FORMAT = 1  # version of the record; raised when the tables change, so that they are made again
_LOGS = ("interactions.parquet", "train.parquet", "test.parquet")
_TABLES = (*_LOGS, "items.parquet")
_PARSERS: dict[str, parsers.Parser] = {
    "ml-100k": parsers.movielens_100k,
    "ml-1m": parsers.movielens_dat("ml-1m.zip", "latin-1"),
    "ml-10m": parsers.movielens_dat("ml-10m.zip", "utf-8"),
    "ml-20m": parsers.movielens_csv("ml-20m.zip"),
    "ml-25m": parsers.movielens_csv("ml-25m.zip"),
    "ml-latest-small": parsers.movielens_csv("ml-latest-small.zip"),
    "netflix": parsers.netflix,
    "msd": parsers.taste_profile,
    "gowalla": parsers.lightgcn,
    "yelp2018": parsers.lightgcn,
    "amazon-book": parsers.lightgcn,
    "goodbooks-10k": parsers.goodbooks,
    "amazon2023": parsers.amazon_2023,
}


@dataclass(frozen=True)
class Fetched:
    """The tables that `fetch` wrote.

    Attributes
    ----------
    folder : Path
        The folder of the tables.
    files : tuple of Path
        ``interactions.parquet``, or ``train.parquet`` and ``test.parquet`` for a data set that
        is published split; then ``items.parquet`` where the publisher describes the items.
    rows : int
        Number of interactions, in train and test together.
    notes : tuple of str
        What a user should read: the terms of use, what differs from what is published, and the
        hashes of files for which none is published.
    """

    folder: Path
    files: tuple[Path, ...]
    rows: int
    notes: tuple[str, ...]


def entries() -> list[Entry]:
    """List every data set of the catalogue."""
    return list(ENTRIES.values())


def get(name: str) -> Entry:
    """Look a data set up.

    Parameters
    ----------
    name : str
        A name of the catalogue: ``ml-1m``, ``amazon2023:Video_Games``.

    Returns
    -------
    Entry
        The data set.

    Raises
    ------
    DataError
        No data set has this name; the message lists close ones.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    lower = {known.lower(): known for known in ENTRIES}
    close = difflib.get_close_matches(name.lower(), lower, n=5, cutoff=0.5)
    meant = ", ".join(lower[match] for match in close) or ", ".join(
        known for known in ENTRIES if ":" not in known
    )
    raise DataError(f"no data set is called {name!r}; there is {meant}.")


def fetch(
    name: str,
    folder: Path,
    *,
    source: Path | None = None,
    progress: Progress = _SILENT,
    base_url: str | None = None,
) -> Fetched:
    """Download a public data set and write it as Parquet to its own folder under `folder`.

    A second call finds everything in place and does nothing; one after an interruption
    continues the download. A ``:`` in the name becomes ``-`` in the folder's.

    Parameters
    ----------
    name : str
        A name of the catalogue.
    folder : Path
        Gets one folder for each data set; the publisher's files go to ``raw`` in that folder.
    source : Path or None
        The user's own copy of the publisher's files, read instead of downloading: a folder
        that holds them, or the one file. For ``netflix`` it must be given.
    progress : Progress
        Where the steps report.
    base_url : str or None
        A mirror: replaces everything of each address but the file's name.

    Returns
    -------
    Fetched
        The tables and what to know of them.

    Raises
    ------
    DataError
        The name is unknown, a file is damaged or of another edition, or the disk is full.
    DownloadError
        A file could not be downloaded.
    """
    entry = get(name)
    home = folder / name.replace(":", "-")
    if (done := _in_place(entry, home)) is not None:
        return done
    scratch = home / ".parsing"
    try:
        home.mkdir(parents=True, exist_ok=True)
        files, notes = _files(entry, home / "raw", source, base_url, progress)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        _PARSERS[name.partition(":")[0]](files, scratch, progress)
        return _move_in(entry, home, scratch, notes)
    except ShoalError:
        raise
    except OSError as error:
        raise DataError(f"{home}: cannot write the data set ({error}).") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def foreign_tables(name: str, folder: Path) -> list[Path]:
    """Tables where a data set would be written that no earlier `fetch` has made."""
    home = folder / get(name).name.replace(":", "-")
    if (home / _RECORD).is_file():
        return []
    return [home / table for table in _TABLES if (home / table).is_file()]


def _in_place(entry: Entry, home: Path) -> Fetched | None:
    """The tables of an earlier call, if all of them are still there; else None."""
    try:
        record = json.loads((home / _RECORD).read_text(encoding="utf-8"))
        if (record["format"], record["name"]) != (_FORMAT, entry.name):
            return None
        tables = {home / table: size for table, size in record["tables"].items()}
        if any(table.stat().st_size != size for table, size in tables.items()):
            return None
        return Fetched(home, tuple(tables), int(record["rows"]), tuple(record["notes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _files(
    entry: Entry, raw: Path, source: Path | None, base_url: str | None, progress: Progress
) -> tuple[dict[str, Path], list[str]]:
    """Find or download the publisher's files, and note the hashes of those without a known one."""
    if source is not None and not source.exists():
        raise DataError(f"{source}: there is no such file or folder.")
    if not entry.files:
        if source is None:
            raise DataError(
                f"{entry.name} cannot be downloaded: {entry.note} Give your copy as the source."
            )
        return {"source": source}, []
    files: dict[str, Path] = {}
    notes: list[str] = []
    for file in entry.files:
        url = file.url
        if source is None:
            url = f"{base_url.rstrip('/')}/{file.name}" if base_url else file.url
            files[file.name] = fetch_file(
                url,
                raw / file.name,
                sha256=file.sha256,
                md5=file.md5,
                size=file.size,
                progress=progress,
            )
        else:
            files[file.name] = _own_copy(entry, file, source)
        if file.sha256 is None:
            sha256 = file_hash(files[file.name])
            over_http = urlsplit(url).scheme != "https" and not is_this_machine(url)
            insecure = source is None and over_http
            way = " It came over http: anybody on the way could have replaced it." * insecure
            notes.append(
                f"{file.name}: no hash is published; the one found is sha256 {sha256}.{way}"
            )
    return files, notes


def _own_copy(entry: Entry, file: RemoteFile, source: Path) -> Path:
    """The user's own copy of a file, checked against its hash."""
    path = source / file.name if source.is_dir() else source
    if not path.is_file() or (source.is_file() and len(entry.files) > 1):
        names = " and ".join(each.name for each in entry.files)
        raise DataError(f"{source}: {entry.name} needs {names}; give the folder that holds it.")
    if file.sha256 is not None and (sha256 := file_hash(path)) != file.sha256:
        raise DataError(
            f"{path}: expected sha256 {file.sha256}, found {sha256}; the file is damaged or of "
            "another edition: fetch it again."
        )
    return path


def _move_in(entry: Entry, home: Path, scratch: Path, notes: list[str]) -> Fetched:
    """Check the new tables, and put them in the place of those of an earlier call."""
    rows = sum(_count(scratch / log) for log in _LOGS if (scratch / log).exists())
    if entry.rows is not None and rows != entry.rows:
        notes = [
            f"found {rows:,} interactions where the publisher says {entry.rows:,}: this is "
            "another edition or an incomplete copy, results will not compare.",
            *notes,
        ]
    notes = [f"terms: {entry.licence}", *notes]
    record = home / _RECORD
    record.unlink(missing_ok=True)  # from here on the old tables are not to be trusted
    names = [name for name in _TABLES if (scratch / name).exists()]
    tables = tuple((scratch / name).replace(home / name) for name in names)
    sizes = {table.name: table.stat().st_size for table in tables}
    content = {"format": _FORMAT, "name": entry.name, "rows": rows, "tables": sizes, "notes": notes}
    draft = scratch / _RECORD
    with draft.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(record)
    return Fetched(home, tables, rows, tuple(notes))


def _count(log: Path) -> int:
    """Count the rows of a log, in which no cell may be empty."""
    counts = pl.scan_parquet(log).select(pl.len().alias("rows"), pl.all().null_count()).collect()
    rows, *nulls = counts.row(0)
    names = counts.columns[1:]
    if incomplete := [f"{n:,} without {name}" for name, n in zip(names, nulls, strict=True) if n]:
        raise DataError(
            f"{log.stem}: of {rows:,} rows {', '.join(incomplete)}; the publisher's file is "
            "damaged or of another edition: delete it and run the same command again."
        )
    if rows == 0:
        raise DataError(
            f"{log.stem}: the publisher's file holds no interactions: delete it and run the same "
            "command again."
        )
    return int(rows)
