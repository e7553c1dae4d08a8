"""A log as events: the columns found as `shoal.read` finds them, every row checked, then stored."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from shoal.data.columns import EVENT, as_written, find_roles, folded, is_known, is_rank, usual_names
from shoal.data.dialect import TextRules
from shoal.data.pieces import ROWS
from shoal.data.sources import OF_POLARS, Source, explained, open_source
from shoal.data.time_formats import TimeFormat, recognise_times
from shoal.data.times import as_numbers
from shoal.data.window import ticks_per_second
from shoal.errors import DataError
from shoal.events.checks import DAY, LARGEST_VALUE, LONGEST_ID, LONGEST_TYPE, checked_type
from shoal.events.event import Receipt
from shoal.events.store import EventStore
from shoal.forks import uses_polars

_BATCH = 10_000  # rows of one transaction; a part of the keys of batches, so never to be changed
_DECIMAL = r"^(0|-?[1-9]\d{0,18})\.0$"
_BAD = r"[\x00-\x1f\x7f-\x9f]"
_NAMED = 5  # rows that a message names
_OWN = ("user", "item", "event", "value", "time", "request_id", "id")  # columns of an export


@dataclass(frozen=True)
class Imported:
    """What became of the rows of a file.

    Parameters
    ----------
    rows : int
        Rows of the file.
    receipt : Receipt
        How many are stored now, were stored before, or belong to users who were deleted.
    dropped : int
        Rows that were left out because something is missing or wrong.
    notes : tuple of str
        What was concluded about the file, in words for the user.
    """

    rows: int
    receipt: Receipt
    dropped: int = 0
    notes: tuple[str, ...] = ()


def import_events(
    store: EventStore,
    log: str | Path | pl.DataFrame,
    *,
    columns: Mapping[str, str] | None = None,
    type: str = "view",
    missing: Literal["error", "drop"] = "error",
    time_format: str | None = None,
    rules: TextRules | None = None,
) -> Imported:
    """Store the rows of a log as events, all of them or, if one is wrong, none.

    A second import of the same file stores nothing: batches of rows are known by the content of the
    file and their place in it, so that an import that was interrupted goes on where it was. Rows
    with an id of their own (a column ``event_id``, or one that is given for the role id) are also
    known by that, whatever file they are in.

    Parameters
    ----------
    store : EventStore
    log : path or frame
        Any format that `shoal.read` reads.
    columns : mapping of role to column name, optional
        Roles are user, item, value, time, event, request_id, id; those not given are guessed. The
        name "none" leaves a role empty.
    type : str
        Type of the events where the log has no column of events.
    missing : {"error", "drop"}
        What to do if rows lack something or hold what cannot be stored.
    time_format : str, optional
        As for `shoal.read`.
    rules : TextRules, optional
        What the caller knows of a text file.

    Raises
    ------
    DataError
        Columns that are not found, rows that cannot be stored (the first ones are named).
    EventsUnavailable
        The database cannot be written to. What was stored until then is recognised next time.
    """
    uses_polars("reading a log")
    source = open_source(log, rules or TextRules(is_usual_name=is_known))
    with explained(source, OF_POLARS):  # errors of the store pass
        plan = _plan(source, dict(columns or {}), type, time_format, store.weights)
        n_bad = _check(plan, drop=missing == "drop")
        receipt = _store(plan, store)
    return Imported(plan.rows, receipt, n_bad, (*plan.notes, *source.notes))


@dataclass
class _Plan:
    """How the rows of a log become events.

    Parameters
    ----------
    source : Source
    roles : dict of role to column
    kind : str
        Type of the events, where there is no column of them.
    times : TimeFormat
    weights : mapping, optional
        The types that are allowed.
    notes : list of str
    rows : int
    ticks : float
        Units of the time column in a second.
    whole : set of str
        Roles of ids that are all written like 12.0.
    """

    source: Source
    roles: dict[str, str]
    kind: str
    times: TimeFormat
    weights: Mapping[str, float] | None
    notes: list[str]
    rows: int = 0
    ticks: float = 1.0
    whole: set[str] = field(default_factory=set)
    now: float = field(default_factory=time.time)

    def pieces(self) -> Iterator[pl.DataFrame]:
        """Rows with their numbers, from 1, in columns named by their roles; ids as text."""
        batches = self.source.frame.select(sorted(set(self.roles.values()))).collect_batches(
            chunk_size=ROWS, maintain_order=True, engine="streaming"
        )
        first = 1
        for batch in batches:
            piece = replace(self.source, frame=batch.lazy())
            columns = [self._column(piece, role) for role in self.roles]
            yield piece.frame.select(columns).with_row_index("row", first).collect()
            first += len(batch)

    def _column(self, piece: Source, role: str) -> pl.Expr:
        name = self.roles[role]
        if role == "time":
            return as_numbers(piece, name, role, self.times).cast(pl.Float64).alias(role)
        if role == "value":
            if name in piece.decimal_commas:
                commas = pl.col(name).str.replace(",", ".", literal=True)
                piece = replace(piece, frame=piece.frame.with_columns(commas))
            number = as_numbers(piece, name, role)
            blank = pl.col(name).cast(pl.String).str.strip_chars() == ""
            wrong = pl.col(name).is_not_null() & ~blank & number.is_null()
            return pl.when(wrong).then(float("inf")).otherwise(number).alias(role)
        return self._text(piece, name, role).alias(role)

    def _text(self, piece: Source, name: str, role: str) -> pl.Expr:
        dtype = piece.frame.collect_schema()[name]
        column = pl.col(name)
        if dtype == pl.Null:
            return pl.lit(None, pl.String)
        if dtype.is_float():
            whole = column.cast(pl.Int64, strict=False)
            return pl.when(whole == column).then(whole.cast(pl.String))
        if not (dtype.is_integer() or dtype in (pl.String, pl.Categorical) or dtype == pl.Enum):
            raise DataError(
                f"{piece.name}: column {name!r} ({role}) has type {dtype}; ids must be whole "
                "numbers or text"
            )
        text = column.cast(pl.String).str.strip_chars()
        if role in self.whole:
            text = text.str.strip_suffix(".0")
        return pl.when(text != "").then(text)


def _plan(
    source: Source,
    given: dict[str, str],
    kind: str,
    time_format: str | None,
    weights: Mapping[str, float] | None,
) -> _Plan:
    """Find the columns, how times are written, and what they count."""
    names = source.frame.collect_schema().names()
    optional = {r: given.pop(r) for r in (EVENT, "request_id", "id") if r in given}
    roles, notes = find_roles(source, names, given)
    own = set(_OWN) <= set(names)
    guesses = {
        EVENT: usual_names(EVENT, [n for n in names if n not in roles.values()])[:1],
        "request_id": [n for n in names if folded(n) in ("requestid",)][:1],
        "id": ["id"] if own else [n for n in names if folded(n) == "eventid"][:1],
    }
    optional = as_written(source, names, optional)
    for role, guessed in guesses.items():
        chosen = optional.get(role) or next((n for n in guessed if source.has_header), "none")
        if chosen != "none":
            roles[role] = chosen
            if role not in optional:
                notes.append(f"{role} is {chosen!r}")
    if EVENT not in roles:
        kind = checked_type(kind, weights, "type")
        notes.append(f"there is no column of events: all rows are of type {kind!r} (--type)")
    if "time" in roles and is_rank(roles["time"]):
        raise DataError(
            f"{source.name}: column {roles['time']!r} counts places and not time: name the column "
            "of times (--columns time=…), or leave it out (--columns time=none), so that all "
            "events get the time of the import"
        )
    times = TimeFormat()
    if "time" in roles:
        times = recognise_times(source, roles["time"], time_format)
        notes += times.notes
    else:
        notes.append("there is no column of times: all events get the time of the import")
    plan = _Plan(source, roles, kind, times, weights, notes)
    _look(plan)
    return plan


def _look(plan: _Plan) -> None:
    """Count the rows, and see what times count and how ids are written."""
    latest, decimals = 0.0, {"user": 0, "item": 0}
    for piece in plan.pieces():
        plan.rows += len(piece)
        if "time" in plan.roles:
            finite = piece["time"].drop_nulls().filter(piece["time"].drop_nulls().is_finite())
            latest = max(latest, float(finite.max() or 0.0))  # type: ignore[arg-type]
        for role in decimals:
            decimals[role] += int(piece[role].str.contains(_DECIMAL).sum())
    if not plan.rows:
        raise DataError(f"{plan.source.name} has no row")
    plan.whole = {role for role, n in decimals.items() if n == plan.rows}
    if "time" in plan.roles and not plan.times.is_date:
        plan.ticks = ticks_per_second(latest)


def _faults(plan: _Plan) -> dict[str, pl.Expr]:
    """What can be wrong with a row, in words, and whether it is."""
    faults: dict[str, pl.Expr] = {}
    for role, longest in (
        *(("user", LONGEST_ID), ("item", LONGEST_ID), (EVENT, LONGEST_TYPE)),
        *(("request_id", LONGEST_ID), ("id", LONGEST_ID)),
    ):
        if role not in plan.roles:
            continue
        name, text = f"{role} ({plan.roles[role]!r})", pl.col(role)
        if role in ("user", "item", EVENT):
            faults[f"{name} is missing, or no whole number and no text"] = text.is_null()
        faults[f"{name} has more than {longest} characters"] = text.str.len_chars() > longest
        faults[f"{name} holds control characters"] = text.str.contains(_BAD)
    if EVENT in plan.roles and plan.weights is not None:
        known = ", ".join(plan.weights)
        faults[f"the type is none of {known}"] = ~pl.col(EVENT).is_in(list(plan.weights))
    if "value" in plan.roles:
        faults[f"value ({plan.roles['value']!r}) is no finite number"] = ~(
            pl.col("value").abs() <= LARGEST_VALUE
        )
    if "time" in plan.roles:
        name, seconds = f"time ({plan.roles['time']!r})", pl.col("time") / plan.ticks
        faults[f"{name} is missing, or neither a number nor a date that is known"] = ~(
            pl.col("time").is_finite().fill_null(value=False)
        )
        faults[f"{name} is before 1970"] = seconds < 0
        faults[f"{name} is more than a day in the future"] = seconds > plan.now + DAY
    return faults


def _check(plan: _Plan, *, drop: bool) -> int:
    """Refuse a log with rows that cannot be stored; returns how many are to be left out."""
    faults = _faults(plan)
    counts = dict.fromkeys(faults, 0)
    rows: dict[str, list[int]] = {fault: [] for fault in faults}
    n_bad = 0
    for piece in plan.pieces():
        flags = piece.select("row", *(e.fill_null(value=False).alias(f) for f, e in faults.items()))
        n_bad += int(flags.select(pl.any_horizontal(*faults).sum()).item())
        for fault in faults:
            if n := int(flags[fault].sum()):
                counts[fault] += n
                lacking = _NAMED - len(rows[fault])
                rows[fault] += flags.filter(pl.col(fault))["row"].head(lacking).to_list()
    if n_bad and not drop:
        told = "; ".join(
            f"{fault} in {n:,} of {plan.rows:,} rows, first in row "
            f"{', '.join(map(str, rows[fault]))}"
            for fault, n in counts.items()
            if n
        )
        raise DataError(
            f"{plan.source.name}: {told}. Nothing was stored: mend them, or leave them out with "
            "missing='drop' (--missing drop)"
        )
    return n_bad


def _store(plan: _Plan, store: EventStore) -> Receipt:
    """Store the rows in batches; one that was stored before is recognised."""
    bad = pl.any_horizontal(*(e.fill_null(value=False) for e in _faults(plan).values()))
    name = _name_of_import(plan)
    total = [0, 0, 0]
    for batch, rows in enumerate(_batches(plan.pieces())):
        receipt = store.append_rows(
            _as_rows(plan, rows.filter(~bad)), key=f"import:{name}:{batch}", digest=name
        )
        for place, n in enumerate((receipt.accepted, receipt.duplicates, receipt.deleted)):
            total[place] += n
    return Receipt(*total)


def _batches(pieces: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in batches that depend on nothing but the rows."""
    rest: pl.DataFrame | None = None
    for piece in pieces:
        rows = piece if rest is None else pl.concat([rest, piece])
        whole = len(rows) - len(rows) % _BATCH
        yield from (rows.slice(start, _BATCH) for start in range(0, whole, _BATCH))
        rest = rows.slice(whole)
    if rest is not None and len(rest):
        yield rest


def _as_rows(plan: _Plan, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of the table of events."""
    empty = pl.lit(None, pl.String)
    roles, now = plan.roles, time.time()
    moment = pl.col("time") / plan.ticks if "time" in roles else pl.lit(now)
    return rows.select(
        pl.col("user").alias("user_id"),
        pl.col("item").alias("item_id"),
        (pl.col(EVENT) if EVENT in roles else pl.lit(plan.kind)).alias("type"),
        (pl.col("value") if "value" in roles else pl.lit(None, pl.Float64)).alias("value"),
        moment.alias("time"),
        pl.lit(now).alias("received"),
        (pl.col("request_id") if "request_id" in roles else empty).alias("request_id"),
        (pl.col("id") if "id" in roles else empty).alias("event_key"),
    ).to_dicts()


def _name_of_import(plan: _Plan) -> str:
    """A hash of the rows and of what the columns mean."""
    meaning = [sorted(plan.roles.items()), plan.kind, plan.times.pattern, plan.ticks]
    hashed = hashlib.sha256(json.dumps(meaning).encode())
    for file in plan.source.files:
        with file.open("rb") as opened:
            hashed.update(hashlib.file_digest(opened, "sha256").digest())
    if not plan.source.files:
        for piece in plan.pieces():
            hashed.update(piece.write_csv().encode())
    return hashed.hexdigest()
