"""The log that lists are made from, and the part of it that belongs to one shard."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import polars as pl

from shoal.data.buckets import Buckets, Manifest, ends_of, find_buckets, is_bucketed, look
from shoal.data.columns import find_roles
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.data.sources import Source, files_of, open_buckets
from shoal.data.unpack import is_stream
from shoal.errors import DataError, NoRowsError
from shoal.run import Progress


def files_of_log(log: Path) -> tuple[str, ...]:
    """The files of a log, in order of their names: paths or URLs.

    Raises
    ------
    DataError
        There are none, or it is a stream, which could be read only once.
    """
    if is_bucketed(log):
        return find_buckets(log).files
    if is_stream(log):
        raise DataError("lists in shards are made from a log that can be read again: name a file")
    return tuple(map(str, files_of(log)))


def identity(log: Path) -> dict[str, Any]:
    """What tells a log from others: the bytes of its files.

    Of the files of a folder only names, sizes and footers (which hold the sizes and extremes of
    all columns) are read, or the hashes that a service lists, so that no process reads what
    belongs to others.
    """
    files, digest, size = files_of_log(log), hashlib.sha256(), 0
    if is_bucketed(log):
        for path, end in zip(files, ends_of(files), strict=True):
            digest.update(f"{PurePath(path).name}\n{end.n_bytes}\n".encode() + end.content)
            size += end.n_bytes
        return {"name": str(log), "files": len(files), "bytes": size, "sha256": digest.hexdigest()}
    for path in files:
        try:
            with Path(path).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
                size += file.tell()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error}") from error
    return {"name": str(log), "files": len(files), "bytes": size, "sha256": digest.hexdigest()}


def read_shard(
    log: Path, shard: int, shards: int, reading: Mapping[str, Any], progress: Progress | None = None
) -> Interactions:
    """Read the files of a folder that belong to a shard; no row may be left of them.

    Ids of users that were text in the log that the folder was made from stay text: whether all of
    them are numbers only who has read all files could know.
    """
    buckets = find_buckets(log)
    n = len(buckets.files)
    own = slice(n * shard // shards, n * (shard + 1) // shards)
    source = _opened(buckets, own if own.stop > own.start else slice(0, 1))
    if own.stop == own.start:
        return _nothing(source, reading)
    try:
        interactions = read(source, **reading, progress=progress)
    except NoRowsError:
        return _nothing(source, reading)
    return interactions if source.typed else with_text_users(interactions)


def _opened(buckets: Buckets, own: slice) -> Source:
    """Some files of a folder, as a log."""
    own_files = replace(buckets, files=buckets.files[own], manifest=_part_of(buckets, own))
    facts = [look(file) for file in own_files.files]
    own_files.check(facts)
    first = facts[0] if own.start == 0 else look(buckets.files[0])
    replace(buckets, files=(buckets.files[0], own_files.files[0]), manifest=None).check(
        [first, facts[0]]
    )  # so all agree with the first file of the folder
    return open_buckets(own_files, facts[0].columns)


def _part_of(buckets: Buckets, own: slice) -> Manifest | None:
    """The manifest of some of the files."""
    manifest = buckets.manifest
    if manifest is None:
        return None
    return manifest.model_copy(update={"files": manifest.files[own]})


def _nothing(source: Source, reading: Mapping[str, Any]) -> Interactions:
    """A log of nobody, with ids of the types that a source has."""
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


def with_text_users(log: Interactions) -> Interactions:
    """The log with the ids of its users as text, in their order as text."""
    seen = None if log.seen is None else with_text_users(log.seen)
    if log.users.kind != "int":
        return replace(log, seen=seen)
    texts = log.users.series.cast(pl.String)
    rank = np.empty(len(texts), np.int32)
    rank[texts.arg_sort().to_numpy()] = np.arange(len(texts), dtype=np.int32)
    columns = {name: getattr(log, name) for name in ("values", "times", "rows")}
    users = Ids(texts.sort(), "str")
    sorted_log = Interactions.from_codes(
        users, log.items, rank[log.user_codes], log.indices, **columns
    )
    same = {n: getattr(log, n) for n in ("report", "notes", "preparation", "times_are_ranks")}
    return replace(sorted_log, seen=seen, times_are_dates=log.times_are_dates, **same)


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
