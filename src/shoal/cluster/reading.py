"""Reading a folder of Parquet files, divided by user, on many machines.

Each file is read by a task of its own, and its rows stay where they were read. The machine that
gives out the work asks for counts, and for the ids of items; it never holds rows. First every file
is read and numbered by itself; then its items get their numbers in the whole log. Everything that
is decided is decided by the code of `shoal.read`, so the result is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoal.cluster.one_file import refuse_divided_users
from shoal.cluster.reducing import reduced
from shoal.cluster.rows import Agreed, RowsElsewhere, as_shard, collected, settled
from shoal.cluster.sharded import Catalogue, Shard, ShardedLog, ShardSize
from shoal.cluster.values import extent_elsewhere
from shoal.data.buckets import Buckets, FileFacts, find_buckets, is_bucketed, look
from shoal.data.counted import Event
from shoal.data.encode import encode_rows
from shoal.data.ids import Ids, Kind, number_forms, text_to_numbers
from shoal.data.interactions import Interactions
from shoal.data.interpret import Interpretation, check_choices, interpret
from shoal.data.known_of_items import KnownOfItems
from shoal.data.like import Reading
from shoal.data.prepare import Duplicates, Entries, apply_rules
from shoal.data.report import PreparationStep
from shoal.data.rows import Missing, Values
from shoal.data.scan import scan
from shoal.data.sources import Answer, Source, explained, open_buckets
from shoal.errors import DataError
from shoal.executor import Executor, Handle
from shoal.run import Progress, Silent

_NO_ROWS = np.zeros(1, np.int64), np.zeros(0, np.int32)


def read_sharded(
    path: str | Path,
    executor: Executor,
    *,
    columns: Mapping[str, str] | None = None,
    min_value: float | None = None,
    values: Values = "binary",
    duplicates: Duplicates = "last",
    missing: Missing = "error",
    where: str | None = None,
    weights: Mapping[str, float] | None = None,
    events: Sequence[Event] = (),
    since: float | str | None = None,
    until: float | str | None = None,
    time_format: str | None = None,
    min_item_users: int = 0,
    min_user_items: int = 0,
    k_core: int = 0,
    items: Any = None,
    item_id: str | None = None,
    vectors: Any = None,
    cold_items: bool = False,
    like: Any = None,
    progress: Progress | None = None,
) -> ShardedLog:
    """Read a folder of Parquet files in which all rows of a user are in one file.

    Parameters
    ----------
    path : path or URL
        As `shoal.bucket` writes it, or any warehouse; every machine must see it.
    executor : Executor
    columns, ..., progress
        As for `shoal.read`.

    Returns
    -------
    ShardedLog
        A shard for each file of which a row is left. Put together, they are what `shoal.read` gives
        for all rows.

    Raises
    ------
    DataError
        As of `shoal.read`; and for a path that is no such folder, or a user in two files.
    """
    reading = Reading(columns or {}, min_value, values, where, weights, time_format)
    check_choices(reading, duplicates, missing)
    progress = progress or Silent()
    with progress.step(f"reading {path}"):
        source, files = _open(path, executor)
        with explained(source):
            log_is = interpret(
                source,
                reading,
                like=like,
                events=events,
                missing=missing,
                since=since,
                until=until,
                duplicates=duplicates,
            )
            frames, steps, notes_on_ids = scan(source, log_is.meaning)
        rows, item_ids, user_kind = _numbered(
            executor, frames, source, files, log_is.reading.values
        )
    with progress.step("preparing"):
        rows = apply_rules(
            rows,
            steps,
            duplicates=duplicates,
            min_item_users=min_item_users,
            min_user_items=min_user_items,
            k_core=k_core,
        )
        known = KnownOfItems(items, item_id, vectors, cold_items)
        sharded = _shards(rows, item_ids, user_kind, log_is, known, steps)
        extent = None
        if log_is.asks_for_extent and sharded.values:
            extent = extent_elsewhere(executor, sharded.shards)
        notes = log_is.all_notes(notes_on_ids, steps, duplicates, extent)
        facts = replace(sharded.facts, notes=(*notes, *source.notes, *sharded.notes))
    return replace(sharded, facts=facts)


@dataclass(frozen=True)
class _Files:
    """Files that tasks read, as `shoal.data.sources.Elsewhere` wants them."""

    executor: Executor
    parts: Sequence[tuple[Buckets, int]]  # each with the number of its first row
    columns: Handle

    def ask(self, question: Callable[[Source], Answer]) -> list[Answer]:
        """The answers of all files, in their order."""
        return self.executor.map(_answer, self.parts, self.columns, question)

    def keep(self, question: Callable[[Source], tuple[Answer, Any]]) -> tuple[list[Answer], Any]:
        """The answers of all files, and handles of what is kept of them."""
        both = [
            self.executor.submit(_answer, part, self.columns, question, n_results=2)
            for part in self.parts
        ]
        return [self.executor.get(answer) for answer, _ in both], [kept for _, kept in both]


def _answer(
    part: tuple[Buckets, int], columns: dict[str, pl.DataType], question: Callable[[Source], Answer]
) -> Answer:
    buckets, first_row = part
    source = open_buckets(buckets, columns, first_row)
    with explained(source):
        return question(source)


def _open(path: str | Path, executor: Executor) -> tuple[Source, tuple[str, ...]]:
    """Open a folder, after every file of it was looked at where tasks run; also their names."""
    if not is_bucketed(path):
        raise DataError(
            f"{path} is no folder of Parquet files: what many machines read is divided by user. "
            "Write such a folder with shoal bucket LOG FOLDER"
        )
    buckets = find_buckets(path)
    facts: list[FileFacts] = executor.map(look, buckets.files)
    buckets.check(facts)
    first_rows = np.cumsum([0, *(fact.rows for fact in facts)])
    parts = [(buckets.part(k), int(first_rows[k])) for k in range(len(facts))]
    files = _Files(executor, parts, executor.put(facts[0].columns))
    source = replace(open_buckets(buckets, facts[0].columns), elsewhere=files)
    return source, buckets.files


def _numbered(
    executor: Executor,
    frames: Sequence[Handle],
    source: Source,
    files: Sequence[str],
    values: Values,
) -> tuple[RowsElsewhere, Ids, Kind]:
    """The rows with numbers for items in the whole log, the ids of these, and the users' kind."""
    tasks = [executor.submit(_encoded, frame, source.name, values, n_results=4) for frame in frames]
    refuse_divided_users(executor, [task[3] for task in tasks], files)
    facts = [executor.get(task[1]) for task in tasks]
    # texts of a typed file stay texts; a text file's are numbers if all of them are
    numbers = {
        role: not source.typed and bool(frozenset.intersection(*(f[role] for f in facts)))
        for role in ("user", "item")
    }
    agreed = Agreed(numbers["user"], numbers["item"], all(f["whole times"] for f in facts))
    items: Ids = executor.get(reduced(executor, Ids.union, [task[2] for task in tasks]))
    as_numbers = text_to_numbers(items) if agreed.item_numbers else None
    if as_numbers is not None:
        items = as_numbers[1]
    shared = executor.put(items)
    settling = [executor.submit(settled, task[0], agreed, shared, n_results=3) for task in tasks]
    kind: Kind = "int" if agreed.user_numbers else facts[0]["kind"]
    return collected(executor, settling, source.name), items, kind


def _encoded(
    frame: pl.DataFrame, name: str, values: Values
) -> tuple[Entries, dict[str, Any], Ids, Ids]:
    """Number the rows of a file by themselves; also its items and users, and facts about both."""
    entries = encode_rows(frame.clone(), name, values, typed=True)
    facts = {
        "user": _forms(entries.users),
        "item": _forms(entries.items),
        "whole times": entries.time is None or entries.time.dtype == np.int64,
        "kind": entries.users.kind,
    }
    return entries, facts, entries.items, entries.users


def _forms(ids: Ids) -> frozenset[str]:
    return number_forms(ids.series) if ids.kind == "str" else frozenset()


def _shards(
    rows: RowsElsewhere,
    items: Ids,
    user_kind: Kind,
    log_is: Interpretation,
    known: KnownOfItems,
    steps: Sequence[PreparationStep],
) -> ShardedLog:
    """The rows that are left as shards over the items that are left."""
    executor = rows.executor
    used = np.flatnonzero(rows.counts)
    left = items.subset(used)
    no_users = Ids(pl.Series([], dtype=pl.Int64 if user_kind == "int" else pl.String), user_kind)
    log = Interactions(no_users, left, *_NO_ROWS, report=tuple(steps), **log_is.facts)
    log = known.attached_to(log, log_is.meaning.roles["item"])
    among = log.items.match(left)  # others are cold
    places = np.full(len(items), -1, np.int32)
    places[used] = among
    counts = np.zeros(log.n_items, np.int64)
    counts[among] = rows.counts[used]

    shared = executor.put(places)
    tasks = [executor.submit(as_shard, part, shared, n_results=2) for part in rows.parts]
    sizes: list[ShardSize] = [executor.get(size) for _, size in tasks]
    shards = [task[0] for task, size in zip(tasks, sizes, strict=True) if size.n_users]
    sizes = [size for size in sizes if size.n_users]
    about = [executor.submit(_about, shard, n_results=1) for shard in shards]
    facts = [executor.get(fact) for fact in about]
    digest = hashlib.sha256(log.fingerprint().encode())  # of items and vectors
    for fact in sorted(fact["digest"] for fact in facts):
        digest.update(fact.encode())
    catalogue = Catalogue.of(log, counts, digest.hexdigest())
    times = [fact["latest time"] for fact in facts if fact["latest time"] is not None]
    latest = max(times, default=None)
    return ShardedLog(shards, sizes, catalogue, facts[0]["values"], bool(times), latest)


def _about(shard: Shard) -> dict[str, Any]:
    """Whether a shard has values, its newest time, and a sha256 of what a model is fitted to."""
    digest = hashlib.sha256()
    users = shard.users.series if shard.users is not None else pl.Series([])
    digest.update(repr(users.dtype).encode())
    if users.dtype == pl.String:
        digest.update(np.ascontiguousarray(users.str.len_bytes().to_numpy()).data)
        digest.update("".join(users.to_list()).encode())
    else:
        digest.update(np.ascontiguousarray(users.to_numpy()).data)
    for array in (shard.indptr, shard.indices, shard.values):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return {
        "values": shard.values is not None,
        "latest time": None if shard.times is None else float(shard.times.max()),
        "digest": digest.hexdigest(),
    }
