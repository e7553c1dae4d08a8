"""``events``: what a database of events holds; import, export, retention, deletion."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import MISSING, Log
from shoal.cli.outputs import OutputOptions
from shoal.cli.parse import one_of, pairs
from shoal.cli.running import JsonOutput
from shoal.cli.takes import takes
from shoal.cli.text_options import TextOptions
from shoal.errors import DataError

if TYPE_CHECKING:
    from shoal.events import Clicks, EventStore, StoreFacts

events_app = typer.Typer(
    no_args_is_help=True, help="Look at and look after a database of what users did."
)
app.add_typer(events_app, name="events")

Database = Annotated[
    str,
    typer.Argument(
        help="SQLite file, or the address of a PostgreSQL database: postgresql://USER@HOST/NAME "
        "(the password from ~/.pgpass or PGPASSWORD)."
    ),
]
Since = Annotated[str | None, typer.Option(help="From this time or date on.")]
Until = Annotated[str | None, typer.Option(help="Before this time or date.")]
Vacuum = Annotated[
    bool | None,
    typer.Option(
        "--vacuum/--no-vacuum",
        help="Write a SQLite file anew, so that no copy of what was deleted is left in unused "
        "space. Default: if it is small (100 MB).",
        show_default=False,
    ),
]

_UNITS = {"h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
_PATIENCE = 600.0  # seconds that one query of a person may take


def open_store(database: str, *, create: bool = False) -> EventStore:
    """The store of a command, which may wait longer than a service."""
    from shoal.events import EventStore

    return EventStore(database, create=create, timeout=60.0, read_timeout=_PATIENCE)


@events_app.command("show")
def show_events(database: Database, json_output: JsonOutput = False) -> None:
    """Say how many events there are, how old they are, and what users did with lists."""
    with open_store(database) as store:
        facts, clicks = store.facts(), store.clicks()
    if json_output:
        show.as_json(asdict(facts) | {"clicks": [asdict(row) for row in clicks]})
        return
    _print_facts(facts)
    if clicks:
        _print_clicks(clicks)


def _print_facts(facts: StoreFacts) -> None:
    from shoal.data.times import as_date
    from shoal.run import human_bytes

    size = f", {human_bytes(facts.bytes)}" if facts.bytes is not None else ""
    show.line(f"{facts.place}: tables of version {facts.schema_version}{size}")
    users = "1 user" if facts.users == 1 else f"{facts.users:,} users"
    show.line(f"{facts.events:,} events of {users}")
    for kind, n in facts.types.items():
        show.line(f"  {kind}: {n:,}")
    if facts.oldest is not None and facts.newest is not None:
        show.line(f"from {as_date(facts.oldest)} to {as_date(facts.newest)} (UTC)")
    show.line(f"lists that were shown: {facts.lists:,}")
    show.line(f"deleted users: {facts.deleted_users:,}")


def _print_clicks(clicks: list[Clicks]) -> None:
    rows = [["model", "version", "type", "lists", "items shown", "acted on", "rate"]]
    for row in clicks:
        numbers = (f"{n:,}" for n in (row.lists, row.impressions, row.clicks))
        rows.append([row.model, row.version, row.type or "", *numbers, f"{row.rate:.2%}"])
    show.table(rows)


@events_app.command("import")
@takes(TextOptions)
def import_log(
    database: Database,
    log: Log,
    columns: Annotated[
        str,
        typer.Option(
            help="Roles of columns where the guess is wrong: user=…,item=…,event=…,value=…,time=…,"
            "request_id=…,id=… (none leaves a role empty)."
        ),
    ] = "",
    event: Annotated[
        str, typer.Option("--type", help="Type of the events, if no column says it.")
    ] = "view",
    missing: Annotated[
        str,
        typer.Option(
            help="What to do with rows that lack something or cannot be stored.",
            metavar="error|drop",
        ),
    ] = "error",
    time_format: Annotated[
        str | None, typer.Option(help="How times are written: a pattern such as %d/%m/%Y.")
    ] = None,
    json_output: JsonOutput = False,
    *,
    writing: TextOptions,
) -> None:
    """Store the rows of a log as events; the same file again stores nothing new."""
    from shoal.data.columns import is_known
    from shoal.data.dialect import TextRules
    from shoal.events.importing import import_events

    roles = pairs(columns, "--columns")
    rules = TextRules(**writing.text_rules(), names=tuple(roles.values()), is_usual_name=is_known)
    wanted = one_of(missing, MISSING, "--missing")
    if not (log.exists() or str(log) == "-" or any(c in str(log) for c in "*?[")):
        raise DataError(f"{log}: there is no such file")  # before a database is made
    with open_store(database, create=True) as store:
        done = import_events(
            store, log, columns=roles, type=event, missing=wanted, time_format=time_format,
            rules=rules,
        )  # fmt: skip
        place = store.place
    if json_output:
        show.as_json({"rows": done.rows, "dropped": done.dropped, **asdict(done.receipt)}
                     | {"notes": list(done.notes)})  # fmt: skip
        return
    for note in done.notes:
        show.line(note, "dim")
    show.line(f"{place}: {done.receipt.accepted:,} events stored of {done.rows:,} rows")
    for n, what in (
        (done.receipt.duplicates, "were stored before"),
        (done.receipt.deleted, "are of users who were deleted later, and stay out"),
        (done.dropped, "lack something or cannot be stored, and were left out"),
    ):
        if n:
            show.line(f"{n:,} rows {what}")


@events_app.command("export")
@takes(OutputOptions)
def export_log(
    database: Database,
    out: Annotated[Path, typer.Argument(help="File to write: .csv, .jsonl or .parquet.")],
    since: Since = None,
    until: Until = None,
    json_output: JsonOutput = False,
    *,
    writing: OutputOptions,
) -> None:
    """Write events to a file that `shoal train` and `shoal events import` read."""
    from shoal.events.exporting import export_events

    writing.check(out, Path(database.removeprefix("sqlite:///")))
    with open_store(database) as store:
        n_events = export_events(
            store, out, since=moment(since, "--since"), until=moment(until, "--until")
        )
    if json_output:
        show.as_json({"file": str(out), "events": n_events})
    else:
        show.line(f"{n_events:,} events: {out}")


@events_app.command("prune")
def prune_events(
    database: Database,
    older_than: Annotated[
        str, typer.Option(help="Age of what is removed (90d, 12w, 36h), or a date.")
    ],
    vacuum: Vacuum = False,
    json_output: JsonOutput = False,
) -> None:
    """Remove events and lists that are older than an age."""
    before = moment(older_than, "--older-than")
    with open_store(database) as store:
        n_events = store.prune(before, vacuum=bool(vacuum))
    if json_output:
        show.as_json({"removed": n_events})
    else:
        show.line(f"{n_events:,} events removed")


@events_app.command("delete-user")
def delete_user(
    database: Database,
    user: Annotated[str, typer.Argument(help="Id of the user.")],
    vacuum: Vacuum = None,
    json_output: JsonOutput = False,
) -> None:
    """Delete all events and lists of a user for good, and keep the user out of the next model."""
    with open_store(database) as store:
        n_events = store.delete_user(user, vacuum=vacuum)
    if json_output:
        show.as_json({"user": user, "removed": n_events})
    else:
        show.line(f"user {user}: {n_events:,} events removed")


def moment(text: str | None, option: str) -> float | None:
    """An age such as 90d, a number of seconds since 1970, or a date, as a time."""
    import time

    from shoal.data.times import seconds

    if text is None:
        return None
    age = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text.strip())
    if age:
        return max(0.0, time.time() - float(age[1]) * _UNITS[age[2]])
    try:
        return seconds(text)
    except DataError:
        raise DataError(
            f"{option} {text}: write an age such as 90d, 12w or 36h, or a date such as 2024-01-31"
        ) from None
