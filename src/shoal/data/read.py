"""`read`: one function from any log to `Interactions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl

from shoal.data.columns import find_roles, is_known, is_rank, quoted
from shoal.data.conditions import column_name
from shoal.data.counted import Event, counting
from shoal.data.dialect import Format, Quotes, TextRules
from shoal.data.ids import Ids, encode_written
from shoal.data.interactions import Interactions
from shoal.data.items import read_items
from shoal.data.like import Reading
from shoal.data.prepare import Duplicates, Entries, prepare_entries
from shoal.data.scan import Missing, RowRules, Values, scan
from shoal.data.sources import Source, explained, open_source
from shoal.data.time_formats import TimeFormat, recognise_times
from shoal.data.unused import refuse_possible_values, unused_columns
from shoal.data.vectors import Vectors
from shoal.data.where import parse_where
from shoal.errors import DataError
from shoal.forks import uses_polars
from shoal.kernels.arrays import Int
from shoal.run import Progress, Silent

_LARGEST_WEIGHT = 1e30
_HEAVY_TAIL = 50  # values are told to be counts if the largest is so many times the median


def read(
    log: Any,
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
    file_order: bool = False,
    format: Format = "auto",
    header: bool | None = None,
    quotes: Quotes = "auto",
    separator: str | None = None,
    memory: int | None = None,
    like: Any = None,
    keep_seen: bool = False,
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
        Roles are ``user``, ``item``, ``value``, ``time``, and ``event`` (see `weights`); those not
        given are guessed from common names, and the guess is in `notes` of the result, as are the
        columns that are not used. The column name "none" leaves a role empty. A log without a
        value column is refused if a column that is not used looks like one.
    min_value : float, optional
        Keep rows whose value is at least this (4 for "four stars and more").
    values : {"binary", "keep", "log1p"}
        Whether each interaction counts 1, as much as its value, or log(1 + value), which suits
        counts that run from 1 to thousands. Kept values may be zero or negative: ratings for
        models that rate; models that rank refuse such values when they are fitted.
    duplicates : {"last", "first", "sum"}
        What to do with several rows of the same user and item: keep the latest or the earliest
        by time, or add the values. Equal times (or no times) go to the larger value for "last",
        the smaller for "first", so that the order of the rows never matters.
    missing : {"error", "drop"}
        What to do with rows that lack a user, an item, a value or a time. Blank lines of text
        files do not count as rows.
    where : str, optional
        A condition on the columns of the log, such as ``event = 'purchase' and price >= 10``
        (`shoal.data.where` has the language). Other rows are left out before anything else.
    weights : mapping of event to weight, optional
        The value of a row by its event, such as ``{"view": 1, "cart": 2, "purchase": 5}``, in
        place of a column of values. Rows of other events are left out. Values are then kept
        (unless they are ``log1p``); `duplicates` says whether they add up.
    events : sequence of str and numbers
        Only rows of these events count: of the column of events or, where the log has none, of
        values. Empty: all rows do.
    since, until : number or ISO date, optional
        Keep interactions with since ≤ time < until. Give a number as the log counts time, or a
        date (in UTC unless it names a zone) for logs that count seconds, milli-, micro- or
        nanoseconds since 1970.
    time_format : str, optional
        How times are written: a pattern such as ``%d/%m/%Y %H:%M``, or ``number`` where numbers
        such as 20230824 are no dates. By default ISO dates, 20230824, 24.08.2023, 8/24/2023 and
        24 Aug 2023 are recognised; dates whose day and month cannot be told apart are refused.
    min_item_users, min_user_items : int
        Keep items with at least this many users, then users with at least this many items. Each
        filter is one pass, as in the papers.
    k_core : int
        Repeat both filters until every user and every item has at least this many interactions.
    items : path or frame, optional
        Item attributes: an id column named like the log's item column or ``item``, and any
        other columns (``title`` is shown beside ids). Ids are compared as they are written.
    item_id : str, optional
        The id column of `items`, if it has no such name.
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
    like : Recommender or mapping, optional
        A fitted model, or its `preparation`: what is not given here is as when its log was read
        (columns, min_value, values, where, weights, time_format).
    keep_seen : bool
        Also keep the pairs of rows below `min_value` in `Interactions.seen`: the user has seen the
        item and is not to get it recommended, though it does not count as liked.
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
    uses_polars("reading a log")
    _check_choice("values", values, get_args(Values))
    if min_value is not None and not isinstance(min_value, int | float | np.number):
        raise DataError(f"min_value={min_value!r}: give a number")
    _check_choice("duplicates", duplicates, get_args(Duplicates))
    _check_choice("missing", missing, get_args(Missing))
    progress = progress or Silent()
    _check_choice("format", format, get_args(Format))
    _check_choice("quotes", quotes, get_args(Quotes))
    text_rules = TextRules(
        format, header, quotes, separator, tuple((columns or {}).values()), is_known
    )
    source = open_source(log, text_rules)
    reading = Reading(columns or {}, min_value, values, where, weights, time_format)
    with progress.step(f"reading {source.name}"):
        with explained(source):
            if like is not None:
                reading = reading.like(like, source)
            if events:
                reading = counting(reading, events, source)
            reading = _with_weights(reading)
            roles, notes = _roles(source, reading, needs_value=duplicates == "sum")
            if like is not None and reading.min_value is None and "value" not in roles:
                notes.append("the log has no values: each of its rows counts")
            times = TimeFormat()
            if "time" in roles and not is_rank(roles["time"]):
                times = recognise_times(source, roles["time"], reading.time_format)
            rules = RowRules(
                reading.min_value,
                reading.values,
                missing,
                since,
                until,
                reading.where,
                reading.weights,
            )
            frame, steps, notes_on_ids = scan(
                source, roles, rules, times=times, file_order=file_order, memory=memory
            )
            notes += [*times.notes, *notes_on_ids]
        entries = _encode(frame, source, reading.values, file_order)
        seen = None
        if keep_seen and reading.min_value is not None:
            seen = _seen_pairs(source, roles, rules, times, memory)
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
        notes += _notes_on_values(interactions, reading, duplicates)
        interactions = replace(
            interactions,
            notes=(*notes, *source.notes),
            preparation=reading.preparation,
            times_are_ranks=ranks,
            times_are_dates=times.is_date,
            seen=seen,
        )
        if vectors is not None:
            interactions = _with_vectors(interactions, vectors, items, cold_items=cold_items)
        elif cold_items:
            raise DataError("cold items are known by their vectors: give them (--vectors FILE)")
        if items is not None:
            table = read_items(items, roles["item"], item_id=item_id)
            interactions = interactions.with_item_table(table)
        elif item_id is not None:
            raise DataError(
                f"item_id={item_id!r} names a column of an item table: give it (--items)"
            )
    return interactions


_WITHOUT_VALUES = ("user", "item", "time")


def _check_choice(name: str, choice: str, known: tuple[str, ...]) -> None:
    if choice not in known:
        raise DataError(f"{name}={choice!r}: give one of {', '.join(known)}")


def _with_weights(reading: Reading) -> Reading:
    """The same options; where rows are weighted by event, their values are kept."""
    weights = reading.weights
    if weights is None:
        return reading
    for event, weight in weights.items():
        if not 0 < weight <= _LARGEST_WEIGHT:  # also refuses NaN
            raise DataError(
                f"weight {weight} of event {event!r}: give a number above 0, and leave out events "
                "that do not count"
            )
    if not weights:
        raise DataError("weights: name at least one event, such as --weights view=1,purchase=5")
    kept: Values = "keep" if reading.values == "binary" else reading.values
    return replace(reading, values=kept)


def _roles(
    source: Source, reading: Reading, *, needs_value: bool
) -> tuple[dict[str, str], list[str]]:
    """The columns by role, and notes: the guesses, and which columns are not used."""
    names = source.frame.collect_schema().names()
    weighted = reading.weights is not None
    roles, notes = find_roles(source, names, reading.columns, events=weighted)
    needs_value |= reading.min_value is not None or reading.values != "binary"
    if needs_value and "value" not in roles and not weighted:
        raise DataError(
            f"{source.name} has no value column, which min_value, values={reading.values!r} and "
            f"duplicates='sum' need; its columns: {', '.join(names)}. "
            "Say which: --columns value=…"
        )
    unused = unused_columns(names, roles, _columns_of_condition(source, reading.where))
    if "value" not in roles and not weighted and reading.columns.get("value") != "none":
        refuse_possible_values(source, unused)
    if unused:
        notes.append(f"not used: {', '.join(map(quoted, unused))}")
    return roles, notes


def _columns_of_condition(source: Source, where: str | None) -> set[str]:
    """The columns that a condition reads, if the log has them and they can be compared so."""
    if where is None:
        return set()
    schema = source.frame.collect_schema()
    condition = parse_where(where)
    try:
        condition.expression(schema)
        return {column_name(column, schema) for column in condition.columns()}
    except DataError as error:
        raise DataError(f"{source.name}, where {where[:100]!r}: {error}") from None


def _notes_on_values(
    interactions: Interactions, reading: Reading, duplicates: Duplicates
) -> list[str]:
    """What a person should know about the values that are kept."""
    notes = []
    several = any(step.name == "duplicates" for step in interactions.report)
    if reading.weights is not None and several and duplicates != "sum":
        notes.append(
            f"of several events of a user and an item the {duplicates} one counts; their weights "
            "add up with duplicates='sum' (--duplicates sum)"
        )
    if reading.values == "keep" and reading.weights is None and interactions.values is not None:
        largest, median = float(interactions.values.max()), float(np.median(interactions.values))
        if median > 0 and largest > _HEAVY_TAIL * median:
            notes.append(
                f"values run up to {largest:,.6g}, {largest / median:,.0f} times their median "
                f"({median:,.6g}): a few rows outweigh all others. Counts rank better as "
                "values='log1p' (--values log1p) or 'binary'"
            )
    return notes


def _with_vectors(
    interactions: Interactions, file: str | Path, items: Any, *, cold_items: bool
) -> Interactions:
    """Attach the item vectors of a file; one without ids has the order of the item table."""
    has_no_ids = Path(file).suffix.lower() == ".npy"
    vectors = Vectors.read(file, items if has_no_ids else None)
    return interactions.with_vectors(
        vectors.ids, vectors.matrix, add_items=cold_items, space=vectors.space
    )


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
        keep_value=values != "binary",
        name=source.name,
        logarithm=values == "log1p",
    )


def _seen_pairs(
    source: Source,
    roles: Mapping[str, str],
    rules: RowRules,
    times: TimeFormat,
    memory: int | None,
) -> Interactions:
    """All pairs of user and item in the time window, whatever their value."""
    without_values = {role: column for role, column in roles.items() if role in _WITHOUT_VALUES}
    every_value = replace(rules, min_value=None, values="binary", missing="drop", weights=None)
    rows, *_ = scan(source, without_values, every_value, times=times, memory=memory)
    frame = rows.select("user", "item").unique()
    user_codes, users = _encode_ids(frame, "user", source)
    item_codes, items = _encode_ids(frame, "item", source)
    return Interactions.from_codes(users, items, user_codes, item_codes)


def _encode_ids(frame: pl.DataFrame, role: str, source: Source) -> tuple[Int, Ids]:
    """Take a column of ids out of a frame: the position of each row's id, and the ids."""
    where = f"the {role} column of {source.name}"
    return encode_written(frame.drop_in_place(role), where, typed=source.typed)
