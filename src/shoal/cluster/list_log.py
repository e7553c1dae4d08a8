"""The log that lists are made from, and the part of it that belongs to one shard."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from shoal.data.columns import find_roles
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.data.sources import files_of, open_source
from shoal.data.unpack import is_stream
from shoal.errors import DataError, NoRowsError
from shoal.run import Progress

BUCKETS = "_shoal.json"  # of a folder whose users `shoal bucket` has put into one file each


def is_bucketed(log: Path) -> bool:
    """Whether a log is a folder of Parquet files, each with all rows of its users."""
    return log.is_dir()


def files_of_log(log: Path) -> list[Path]:
    """The files of a log, in order of their names.

    Raises
    ------
    DataError
        There are none, or it is a stream, which could be read only once.
    """
    if is_bucketed(log):
        files = sorted(p for p in log.glob("*.parquet") if p.name[0] not in "._")
        if not files:
            raise DataError(f"{log} holds no Parquet file: name a log, or a folder of such files")
        return files
    if is_stream(log):
        raise DataError("lists in shards are made from a log that can be read again: name a file")
    return files_of(log)


def own_files(log: Path, shard: int, shards: int) -> list[Path]:
    """The files of a folder that belong to a shard: as many as of each other, one after another."""
    files = files_of_log(log)
    return files[len(files) * shard // shards : len(files) * (shard + 1) // shards]


def identity(log: Path) -> dict[str, Any]:
    """What tells a log from others: the bytes of its files.

    Of the files of a folder only names, sizes and footers (which hold the sizes and extremes of
    all columns) are read, and the manifest that `shoal bucket` has written, so that no process
    reads what belongs to others.
    """
    files, digest, size = files_of_log(log), hashlib.sha256(), 0
    for path in files:
        try:
            length = path.stat().st_size
            size += length
            with path.open("rb") as file:
                if not is_bucketed(log):
                    digest.update(hashlib.file_digest(file, "sha256").digest())
                    continue
                digest.update(f"{path.name}\n{length}\n".encode() + _footer(file, length))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error}") from error
    if (log / BUCKETS).is_file():
        digest.update((log / BUCKETS).read_bytes())
    return {"name": str(log), "files": len(files), "bytes": size, "sha256": digest.hexdigest()}


def _footer(file: BinaryIO, length: int) -> bytes:
    """The footer of a Parquet file: whatever stands before its last eight bytes, and they."""
    file.seek(max(0, length - 8))
    end = file.read(8)
    if len(end) < 8 or end[4:] != b"PAR1":
        return end  # no Parquet file, as its reader will say
    file.seek(max(0, length - 8 - int.from_bytes(end[:4], "little")))
    return file.read()


def read_shard(
    log: Path, shard: int, shards: int, reading: Mapping[str, Any], progress: Progress | None = None
) -> Interactions:
    """Read the files of a folder that belong to a shard; no row may be left of them."""
    files = own_files(log, shard, shards)
    if not files:
        return _nothing(files_of_log(log)[0], reading)
    try:
        frame = pl.scan_parquet(files, glob=False)
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{files[0]} cannot be read as Parquet ({error!s:.200}): copy it again"
        ) from error
    try:
        return read(frame, **reading, progress=progress)
    except NoRowsError:
        return _nothing(files[0], reading)


def _nothing(file: Path, reading: Mapping[str, Any]) -> Interactions:
    """A log of nobody, with ids of the types that a file has."""
    source = open_source(file)
    schema = source.frame.collect_schema()
    like = reading.get("like") or {}
    columns = {**dict(like.get("columns") or {}), **dict(reading.get("columns") or {})}
    known = {role: column for role, column in columns.items() if column in schema}
    roles, _ = find_roles(source, schema.names(), known)
    users, items = (_no_ids(schema[roles[role]]) for role in ("user", "item"))
    return Interactions(users, items, np.zeros(1, np.int64), np.empty(0, np.int32))


def _no_ids(dtype: pl.DataType) -> Ids:
    if dtype.is_numeric():
        return Ids(pl.Series([], dtype=pl.Int64), "int")
    return Ids(pl.Series([], dtype=pl.String), "str")


def users_of_shard(log: Interactions, shard: int, shards: int) -> Interactions:
    """The users of a shard of a log that was read as a whole: a range of them, as views.

    What the log holds as seen is cut to the users from the first to the last of the range.
    """
    n = log.n_users
    part = log.user_range(n * shard // shards, n * (shard + 1) // shards)
    return replace(part, seen=seen_by(part.users, log.seen))


def seen_by(users: Ids, seen: Interactions | None) -> Interactions | None:
    """What was seen by users from the first to the last of `users`, if the ids have one type."""
    if seen is None or users.series.dtype != seen.users.series.dtype:
        return seen
    if not len(users):
        return seen.user_range(0, 0)
    ids = seen.users.series
    begin = int(ids.search_sorted(users.series[0], side="left"))
    end = int(ids.search_sorted(users.series[-1], side="right"))
    return seen.user_range(begin, end)
