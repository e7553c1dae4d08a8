"""`read`: one function from any log to `Interactions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from shoal.data.columns import is_known
from shoal.data.counted import Event
from shoal.data.dialect import Format, Quotes, TextRules
from shoal.data.encode import encode_ids, encode_rows
from shoal.data.interactions import Interactions
from shoal.data.interpret import check_choice, check_choices, extent_of, interpret
from shoal.data.known_of_items import KnownOfItems
from shoal.data.like import Reading
from shoal.data.prepare import Duplicates, prepare_entries
from shoal.data.rows import Meaning, Missing, Values
from shoal.data.scan import scan
from shoal.data.sources import Source, explained, open_source
from shoal.forks import uses_polars
from shoal.run import Progress, Silent

_WITHOUT_VALUES = ("user", "item", "time")  # roles


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
    progress = progress or Silent()
    check_choice("format", format, get_args(Format))
    check_choice("quotes", quotes, get_args(Quotes))
    reading = Reading(columns or {}, min_value, values, where, weights, time_format)
    check_choices(reading, duplicates, missing)
    text_rules = TextRules(
        format, header, quotes, separator, tuple((columns or {}).values()), is_known
    )
    source = open_source(log, text_rules)
    with progress.step(f"reading {source.name}"):
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
            frame, steps, notes_on_ids = scan(
                source, log_is.meaning, file_order=file_order, memory=memory
            )
        entries = encode_rows(
            frame, source.name, log_is.reading.values, typed=source.typed, file_order=file_order
        )
        seen = None
        if keep_seen and log_is.reading.min_value is not None:
            seen = _seen_pairs(source, log_is.meaning, memory)
    with progress.step("preparing"):
        interactions = prepare_entries(
            entries,
            steps,
            duplicates=duplicates,
            min_item_users=min_item_users,
            min_user_items=min_user_items,
            k_core=k_core,
        )
        extent = extent_of(interactions.values) if log_is.asks_for_extent else None
        notes = log_is.all_notes(notes_on_ids, interactions.report, duplicates, extent)
        interactions = replace(
            interactions,
            notes=(*notes, *source.notes),
            seen=seen,
            **log_is.facts,
        )
        known = KnownOfItems(items, item_id, vectors, cold_items)
        return known.attached_to(interactions, log_is.meaning.roles["item"])


def _seen_pairs(source: Source, meaning: Meaning, memory: int | None) -> Interactions:
    """All pairs of user and item in the time window, whatever their value."""
    roles = {role: meaning.roles[role] for role in _WITHOUT_VALUES if role in meaning.roles}
    rules = replace(meaning.rules, min_value=None, values="binary", missing="drop", weights=None)
    rows, *_ = scan(source, Meaning(roles, rules, meaning.times), memory=memory)
    frame = rows.select("user", "item").unique()
    user_codes, users = encode_ids(frame, "user", source.name, typed=source.typed)
    item_codes, items = encode_ids(frame, "item", source.name, typed=source.typed)
    return Interactions.from_codes(users, items, user_codes, item_codes)
