"""`read`: one function from any log to `Interactions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl

from shoal.data.columns import find_roles, is_rank, is_usual_name
from shoal.data.dialect import Format, Quotes, TextRules
from shoal.data.ids import Ids, encode, text_to_numbers
from shoal.data.interactions import Interactions
from shoal.data.items import read_items
from shoal.data.prepare import Duplicates, Entries, prepare_entries
from shoal.data.scan import Missing, RowRules, Values, scan
from shoal.data.sources import UNREADABLE, Source, explain, open_source
from shoal.data.vectors import Vectors
from shoal.errors import DataError
from shoal.kernels.arrays import Int
from shoal.run import Progress, Silent


def read(
    log: Any,
    *,
    columns: Mapping[str, str] | None = None,
    min_value: float | None = None,
    values: Values = "binary",
    duplicates: Duplicates = "last",
    missing: Missing = "error",
    since: float | str | None = None,
    until: float | str | None = None,
    min_item_users: int = 0,
    min_user_items: int = 0,
    k_core: int = 0,
    items: Any = None,
    vectors: Any = None,
    cold_items: bool = False,
    file_order: bool = False,
    format: Format = "auto",
    header: bool | None = None,
    quotes: Quotes = "auto",
    separator: str | None = None,
    memory: int | None = None,
    progress: Progress | None = None,
) -> Interactions:
    """Read and prepare an interaction log.

    Parameters
    ----------
    log : path or frame
        CSV, TSV, JSON lines and arrays, Parquet, Arrow/Feather, ``.npz`` (scipy), ``.mtx``
        (Matrix Market), ``.inter`` (RecBole), MovieLens ``::`` files (text also packed as ``.gz``,
        ``.bz2``, ``.xz``, ``.zst`` or ``.zip``, patterns such as ``logs/*.parquet``, pipes, and "-"
        for the standard input); or a polars or pandas frame, an Arrow table, a scipy sparse
        matrix. Files are read in pieces: beside a few pieces, only the rows and columns that are
        kept take memory. JSON arrays and matrices are read as a whole.
    columns : mapping of role to column name, optional
        Roles are ``user``, ``item``, ``value``, ``time``; those not given are guessed from
        common names, and the guess is in `notes` of the result. The column name "none" leaves a
        role empty.
    min_value : float, optional
        Keep rows whose value is at least this (4 for "four stars and more").
    values : {"binary", "keep"}
        Whether each interaction counts 1, or as much as its value.
    duplicates : {"last", "first", "sum"}
        What to do with several rows of the same user and item: keep the latest or the earliest
        by time, or add the values. Equal times (or no times) go to the larger value for "last",
        the smaller for "first", so that the order of the rows never matters.
    missing : {"error", "drop"}
        What to do with rows that lack a user, an item, a value or a time. Blank lines of text
        files do not count as rows.
    since, until : number or ISO date, optional
        Keep interactions with since ≤ time < until. Give a number as the log counts time, or a
        date (in UTC unless it names a zone) for logs that count seconds, milli-, micro- or
        nanoseconds since 1970.
    min_item_users, min_user_items : int
        Keep items with at least this many users, then users with at least this many items. Each
        filter is one pass, as in the papers.
    k_core : int
        Repeat both filters until every user and every item has at least this many interactions.
    items : path or frame, optional
        Item attributes: an id column named like the log's item column or ``item``, and any
        other columns (``title`` is shown beside ids).
    vectors : path, optional
        A vector for each item, which models such as L3AE read: Parquet with an id column and a
        column of lists, or ``.npy`` in the order of `items`.
    cold_items : bool
        Take items that have a vector and no interaction into the catalogue.
    file_order : bool
        Remember each interaction's row in the log; `split(protocol="mult-vae")` uses it.
    format : {"auto", "rows", "basket"}
        What a line of a text file is: an interaction, or a user and all items of the user.
        "auto" takes lines for baskets if they have no header, different lengths or more than four
        values, and a different user each.
    header : bool, optional
        Whether the first line of a text file names the columns; by default this is found out from
        the names, and from the kinds of values in the lines below.
    quotes : {"auto", "csv", "none"}
        What ``"`` means in a text file: with "csv" it encloses values, which may hold separators
        and line ends; with "none" it is a letter like others. "auto" is like "csv", but takes a
        quote that is not closed in its line as a part of the value where only this makes the
        lines agree.
    separator : str, optional
        What separates the values in a line of a text file: a character, "::", "tab" or "blank"
        (any number of them); by default that for which the lines agree.
    memory : int, optional
        Bytes that the rows and their ids may take; by default 80 % of what is free.
    progress : Progress, optional
        Where the steps are reported.

    Returns
    -------
    Interactions

    Raises
    ------
    DataError
        Missing or ambiguous columns, missing or non-numeric values, ids of mixed types, nothing
        left after filtering; the message names the file, the column, the row and the way out.
    MemoryBudgetError
        The rows that are kept do not fit the memory.
    """
    _check_choice("values", values, get_args(Values))
    _check_choice("duplicates", duplicates, get_args(Duplicates))
    _check_choice("missing", missing, get_args(Missing))
    progress = progress or Silent()
    _check_choice("format", format, get_args(Format))
    _check_choice("quotes", quotes, get_args(Quotes))
    text_rules = TextRules(
        format, header, quotes, separator, tuple((columns or {}).values()), is_usual_name
    )
    source = open_source(log, text_rules)
    rules = RowRules(min_value, values, missing, since, until)
    with progress.step(f"reading {source.name}"):
        try:
            roles, notes = find_roles(source, source.frame.collect_schema().names(), columns)
            if min_value is not None or values == "keep" or duplicates == "sum":
                _need_value_column(source, roles)
            frame, steps = scan(source, roles, rules, file_order=file_order, memory=memory)
        except DataError:
            raise
        except UNREADABLE as error:
            raise explain(source, error) from error
        entries = _encode(frame, source, values, file_order)
    with progress.step("preparing"):
        interactions = prepare_entries(
            entries,
            steps,
            duplicates=duplicates,
            min_item_users=min_item_users,
            min_user_items=min_user_items,
            k_core=k_core,
        )
        ranks = "time" in roles and is_rank(roles["time"])
        if ranks:
            notes.append(f"{roles['time']!r} is taken as the order of each user's own interactions")
        interactions = replace(
            interactions,
            notes=(*notes, *source.notes),
            preparation={"min_value": min_value, "values": values},
            times_are_ranks=ranks,
        )
        if vectors is not None:
            interactions = _with_vectors(interactions, vectors, items, cold_items=cold_items)
        elif cold_items:
            raise DataError("cold items are known by their vectors: give them (--vectors FILE)")
        if items is not None:
            interactions = interactions.with_item_table(read_items(items, roles["item"]))
    return interactions


def _check_choice(name: str, choice: str, known: tuple[str, ...]) -> None:
    if choice not in known:
        raise DataError(f"{name}={choice!r}: give one of {', '.join(known)}")


def _need_value_column(source: Source, roles: Mapping[str, str]) -> None:
    if "value" not in roles:
        names = source.frame.collect_schema().names()
        raise DataError(
            f"{source.name} has no value column, which min_value, values='keep' and "
            f"duplicates='sum' need; its columns: {', '.join(names)}. "
            "Say which: --columns value=…"
        )


def _with_vectors(
    interactions: Interactions, file: str | Path, items: Any, *, cold_items: bool
) -> Interactions:
    """Attach the item vectors of a file; one without ids has the order of the item table."""
    has_no_ids = Path(file).suffix.lower() == ".npy"
    vectors = Vectors.read(file, items if has_no_ids else None)
    return interactions.with_vectors(vectors.ids, vectors.matrix, add_items=cold_items)


def _encode(frame: pl.DataFrame, source: Source, values: Values, file_order: bool) -> Entries:
    """Turn the columns into arrays; each is taken out of the frame, to free its memory."""
    users = _encode_ids(frame, "user", source)
    items = _encode_ids(frame, "item", source)
    value = time = None
    if "value" in frame.columns:
        value = frame.drop_in_place("value").to_numpy().astype(np.float32)
    if "time" in frame.columns:
        time = frame.drop_in_place("time").to_numpy()
        if time.dtype != np.int64:
            whole = (np.floor(time) == time) & (np.abs(time) < 2**63)
            time = time.astype(np.int64) if whole.all() else time
    return Entries(
        *users,
        *items,
        value=value,
        time=time,
        row=frame["row"].to_numpy().astype(np.int64) if file_order else None,
        keep_value=values == "keep",
        name=source.name,
    )


def _encode_ids(frame: pl.DataFrame, role: str, source: Source) -> tuple[Int, Ids]:
    """Take a column of ids out of a frame: the position of each row's id, and the ids."""
    codes, ids = encode(frame.drop_in_place(role), f"the {role} column of {source.name}")
    numbers = None if source.typed else text_to_numbers(ids)
    if numbers is None:
        return codes, ids
    new_positions, ids = numbers
    return new_positions[codes], ids
