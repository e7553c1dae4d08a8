"""``refresh``."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.faults import to_stderr
from shoal.cli.options import ALL_BUT_JSON, RunOptions, takes
from shoal.errors import DataError, ShoalError
from shoal.run import duration

if TYPE_CHECKING:
    from shoal.refresh import Config, Outcome

WORSE = 3  # exit status where the new model was not published
_DAY = 86_400.0  # seconds to wait for another refresh


@app.command()
@takes(RunOptions, hide=ALL_BUT_JSON)
def refresh(
    config: Annotated[
        Path | None, typer.Argument(help="What to learn from, how, and where to publish: YAML.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Refresh now and end, also if the file has a schedule.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait where another refresh of this store runs.")
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a commented file to begin with, and end.")
    ] = False,
    *,
    running: RunOptions,
) -> None:
    """Train the next version of a live model, and publish it if it is not worse.

    Old and new model are compared on the latest interactions. The live model goes on meanwhile,
    and stays if the new one is worse (exit status 3) or anything fails (exit status 2). If the file
    has a schedule, the command goes on and refreshes by it; otherwise it refreshes once.
    """
    from shoal.cli.progress import progress
    from shoal.refresh import EXAMPLE, read_config, run

    if example:
        typer.echo(EXAMPLE, nl=False)
        return
    if config is None:
        raise DataError("name a configuration; `shoal refresh --example` prints one to begin with")
    read = read_config(config)
    waiting = _DAY if wait else 0.0
    if read.schedule is None or once:
        outcome = run(read, progress(running.json_output), wait=waiting)
        _print(outcome, as_json=running.json_output)
        if outcome.status == "refused":
            raise typer.Exit(WORSE)
        return
    schedule, last = read.schedule, None
    while True:
        last = _wait_for_next(schedule, last, quiet=running.json_output)
        read = _read_again(config, read)
        schedule = read.schedule or schedule
        try:
            outcome = run(read, progress(running.json_output), wait=waiting)
        except ShoalError as error:  # the next one may succeed
            to_stderr(f"error: {error}")
            continue
        _print(outcome, as_json=running.json_output)


def _wait_for_next(schedule: str, last: datetime | None, *, quiet: bool) -> datetime:
    """Sleep until the next refresh is due; gives the moment."""
    from shoal.refresh import next_run

    due = next_run(schedule, last, datetime.now().astimezone())
    if not quiet and due > datetime.now().astimezone():
        show.line(f"the next refresh is at {due.isoformat(' ', 'seconds')}", "dim")
    while (left := (due - datetime.now().astimezone()).total_seconds()) > 0:
        time.sleep(min(left, 60.0))  # the clock may be set meanwhile
    return datetime.now().astimezone()


def _read_again(path: Path, config: Config) -> Config:
    """The configuration as it is now; as it was, if it was broken meanwhile."""
    from shoal.refresh import read_config

    try:
        return read_config(path)
    except ShoalError as error:
        to_stderr(f"error: {error}; going on with the configuration as it was")
        return config


def _print(outcome: Outcome, *, as_json: bool) -> None:
    """Say what came of it."""
    if as_json:
        show.as_json(outcome.to_dict())
        return
    for note in outcome.notes:
        show.line(note, "dim")
    counts = f"{outcome.users:,} users × {outcome.items:,} items, {outcome.interactions:,}"
    show.line(f"{counts} interactions, {outcome.events:,} of them from events")
    if outcome.deleted_users:
        show.line(f"{outcome.deleted_users:,} users who were deleted are left out")
    if outcome.candidate is not None:
        show.line(f"compared on {outcome.users_compared:,} users: {outcome.protocol}", "dim")
    if outcome.published:
        show.line(f"{outcome.version} is live", "bold")
    else:
        show.line(f"{outcome.version} stays live; no new {outcome.model} was published", "bold")
    show.line(outcome.reason)
    for name in outcome.removed:
        show.line(f"removed {name}", "dim")
    took = ", ".join(f"{name} {duration(s)}" for name, s in outcome.seconds.items())
    show.line(took, "dim")
