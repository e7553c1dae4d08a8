"""Reading a folder of Parquet files, divided by user, on many machines.

Each file is read by a task of its own, and its rows stay where they were read. The machine that
gives out the work asks for counts, and for the ids of items; it never holds rows. First every file
is read and numbered by itself; then its items get their numbers in the whole log. Everything that
is decided is decided by the code of `shoal.read`, so the result is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoal.cluster.files import Encoded, Files, find_divided, open_files
from shoal.cluster.one_file import refuse_divided_users
from shoal.cluster.reducing import reduced
from shoal.cluster.rows import Agreed, RowsElsewhere, as_shard, collected, settled
from shoal.cluster.sharded import Catalogue, ShardedLog
from shoal.cluster.values import extent_elsewhere
from shoal.data.counted import Event
from shoal.data.ids import Ids, Kind, text_to_numbers
from shoal.data.interactions import Interactions
from shoal.data.interpret import Interpretation, check_choices, interpret
from shoal.data.known_of_items import KnownOfItems
from shoal.data.like import Reading
from shoal.data.prepare import Duplicates, apply_rules
from shoal.data.report import PreparationStep
from shoal.data.rows import Missing, Values
from shoal.data.scan import scan
from shoal.data.sources import Source, explained
from shoal.executor import Executor
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
    buckets = find_divided(path)
    with progress.step(f"reading {path}", len(buckets.files)) as step:
        source = open_files(buckets, executor, step)
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
            source = _with_values(source, log_is.reading.values)
            parts, steps, notes_on_ids = scan(source, log_is.meaning)
        refuse_divided_users(executor, parts, buckets.files)
        rows, item_ids, user_kind = _numbered(executor, parts, source)
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


def _with_values(source: Source, values: Values) -> Source:
    """The source, whose files are told what becomes of values."""
    if not isinstance(source.elsewhere, Files):
        raise TypeError("the rows of this log are here")
    return replace(source, elsewhere=replace(source.elsewhere, values=values))


def _numbered(
    executor: Executor, parts: Sequence[Encoded], source: Source
) -> tuple[RowsElsewhere, Ids, Kind]:
    """The rows with numbers for items in the whole log, the ids of these, and the users' kind."""
    facts = [executor.get(part.facts) for part in parts]
    # texts of a typed file stay texts; a text file's are numbers if all of them are
    numbers = {
        role: not source.typed and bool(frozenset.intersection(*(f[role] for f in facts)))
        for role in ("user", "item")
    }
    agreed = Agreed(numbers["user"], numbers["item"], all(f["whole times"] for f in facts))
    items: Ids = executor.get(reduced(executor, Ids.union, [part.items for part in parts]))
    as_numbers = text_to_numbers(items) if agreed.item_numbers else None
    if as_numbers is not None:
        items = as_numbers[1]
    shared = executor.put(items)
    tasks = [executor.submit(settled, part.entries, agreed, shared, n_results=3) for part in parts]
    kind: Kind = "int" if agreed.user_numbers else facts[0]["kind"]
    return collected(executor, tasks, source.name), items, kind


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
    facts = [executor.get(about) for _, about in tasks]
    shards = [task[0] for task, fact in zip(tasks, facts, strict=True) if fact.size.n_users]
    facts = [fact for fact in facts if fact.size.n_users]
    digest = hashlib.sha256(log.fingerprint().encode())  # of items and vectors
    for fact in sorted(fact.digest for fact in facts):
        digest.update(fact.encode())
    catalogue = Catalogue.of(log, counts, digest.hexdigest())
    times = [fact.latest_time for fact in facts if fact.latest_time is not None]
    sizes = [fact.size for fact in facts]
    latest = max(times, default=None)
    return ShardedLog(shards, sizes, catalogue, facts[0].values, bool(times), latest)
