"""``data``: look at a log; list and fetch public data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import ALL_BUT_JSON, OF_A_FIT, Log, LogOptions, RunOptions, takes
from shoal.cli.outputs import OutputOptions
from shoal.errors import DataError

if TYPE_CHECKING:
    from shoal.data.interactions import Interactions
    from shoal.datasets.entries import Entry

data_app = typer.Typer(no_args_is_help=True, help="Look at logs; fetch public data sets.")
app.add_typer(data_app, name="data")

_SHARE = "share_of_top_1_percent_items"


@data_app.command("show")
@takes(LogOptions, RunOptions, hide=(*OF_A_FIT, "threads", "device"))
def show_log(
    log: Log,
    *,
    reading: LogOptions,
    running: RunOptions,
) -> None:
    """Read a log as the other commands would, and say what was found."""
    from shoal.data.times import as_date

    interactions = reading.read(log, running.run())
    facts = _facts(interactions)
    if running.json_output:
        rounded = {_SHARE: round(facts[_SHARE], 4)}
        show.as_json(show.log_dict(interactions) | facts | rounded)
        return
    show.log_lines(interactions)
    for name in ("items_per_user", "users_per_item"):
        spread = facts[name]
        show.line(
            f"{name.replace('_', ' ')}: {spread['min']} … {spread['max']}, "
            f"median {spread['median']}"
        )
    show.line(f"the most popular 1 % of items hold {100 * facts[_SHARE]:.0f} % of the interactions")
    for name, (low, high) in facts["ranges"].items():
        are_dates = name == "times" and interactions.times_are_dates
        ends = (as_date(low), as_date(high)) if are_dates else (low, high)
        show.line(f"{name}: {ends[0]} … {ends[1]}")
    show.line(f"users: {interactions.users!r}")
    show.line(f"items: {interactions.items!r}")


def _facts(log: Interactions) -> dict[str, Any]:
    """How long histories are, how popular items are, and which values and times occur."""
    import numpy as np

    def spread(counts: Any) -> dict[str, int]:
        return {
            "min": int(counts.min()),
            "median": int(np.median(counts)),
            "max": int(counts.max()),
        }

    counts = log.item_counts
    most_popular = np.sort(counts)[::-1][: max(1, log.n_items // 100)]
    return {
        "items_per_user": spread(np.diff(log.indptr)),
        "users_per_item": spread(counts),
        _SHARE: float(most_popular.sum() / len(log)),
        "ranges": {
            name: [column.min().item(), column.max().item()]
            for name, column in (("values", log.values), ("times", log.times))
            if column is not None
        },
    }


@data_app.command("list")
def list_data_sets(json_output: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the public data sets that shoal can fetch."""
    from shoal.datasets.fetch import entries

    catalogue = entries()
    if json_output:
        names = ("name", "title", "homepage", "licence", "rows", "users", "items")
        show.as_json(
            [
                {name: getattr(entry, name) for name in names}
                | {"unprotected": list(entry.unprotected)}
                for entry in catalogue
            ]
        )
    else:
        _print_catalogue(catalogue)


def _print_catalogue(catalogue: Sequence[Entry]) -> None:
    """A table of data sets, and a line for each family of many, such as amazon:CATEGORY."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("name", "rows", "users", "items", "title", "unprotected"):
        table.add_column(column, overflow="fold")
    families: dict[str, list[str]] = {}
    for entry in catalogue:
        family, colon, _ = entry.name.partition(":")
        if colon:
            families.setdefault(family, []).append(entry.name)
            continue
        sizes = (f"{n:,}" if n else "" for n in (entry.rows, entry.users, entry.items))
        table.add_row(entry.name, *sizes, entry.title, ", ".join(entry.unprotected))
    show.print_table(table)
    for family, names in families.items():
        show.line(f"{family}:CATEGORY  {len(names)} categories, such as {names[0]}")
    show.line(
        "unprotected: no hash is known of a file, or it does not come over https, so that nothing "
        "shows whether it is the publisher's",
        "dim",
    )
    show.line("`shoal data fetch NAME` downloads one; licences: --json", "dim")


@data_app.command("fetch")
@takes(RunOptions, OutputOptions, hide=ALL_BUT_JSON)
def fetch_data_set(
    name: Annotated[str, typer.Argument(help="As `shoal data list` names it.")],
    to: Annotated[Path, typer.Option(help="Folder to put it in.")] = Path("data"),
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Your own copy, for data that is not downloadable."),
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(help="Take the files from this address instead.")
    ] = None,
    *,
    running: RunOptions,
    writing: OutputOptions,
) -> None:
    """Download a public data set from its publisher and write it as Parquet."""
    from shoal.datasets.fetch import fetch, foreign_tables

    foreign = [] if writing.overwrite else foreign_tables(name, to)
    if foreign:
        raise DataError(
            f"{foreign[0]} exists, and shoal did not make it: name another folder with --to, or "
            "replace it with --overwrite"
        )
    run = running.run()
    fetched = fetch(name, to, source=source, progress=run.progress, base_url=mirror)
    if running.json_output:
        show.as_json(
            {
                "folder": str(fetched.folder),
                "files": [str(file) for file in fetched.files],
                "rows": fetched.rows,
                "notes": list(fetched.notes),
            }
        )
        return
    for file in fetched.files:
        show.line(str(file))
    for note in fetched.notes:
        show.line(note, "dim")
