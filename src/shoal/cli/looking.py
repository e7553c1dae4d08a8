"""``info``, ``demo`` and ``data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.app import app
from shoal.cli.options import LogOptions, RunOptions, takes

data_app = typer.Typer(no_args_is_help=True, help="Look at logs; fetch public data sets.")
app.add_typer(data_app, name="data")

Log = Annotated[Path, typer.Argument(help="Interaction log (CSV, TSV, JSONL, Parquet, …).")]


@app.command()
@takes(RunOptions)
def info(
    what: Annotated[
        str | None, typer.Argument(help="A model folder or a model's name; default: all.")
    ] = None,
    *,
    running: RunOptions,
) -> None:
    """Describe a model folder, a model's hyper-parameters, or this installation."""
    from shoal.cli import info as about

    about.describe(what, running.json_output)


@app.command()
@takes(RunOptions)
def demo(
    to: Annotated[Path, typer.Option(help="Folder for the demo's log and model.")] = Path(
        "shoal-demo"
    ),
    *,
    running: RunOptions,
) -> None:
    """See it all on an invented catalogue of films: offline, within a minute."""
    from shoal.cli.demo import show_demo

    show_demo(to, running.run(), running.json_output)


@data_app.command("show")
@takes(LogOptions, RunOptions)
def data_show(
    log: Log,
    *,
    how: LogOptions,
    running: RunOptions,
) -> None:
    """Read a log as the other commands would, and say what was found."""
    from shoal.cli import info as about

    about.describe_log(how.read(log, running.run()), running.json_output)


@data_app.command("list")
def data_list(json_output: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the public data sets that shoal can fetch."""
    from shoal.cli import info as about

    about.list_data(json_output)


@data_app.command("fetch")
@takes(RunOptions)
def data_fetch(
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
) -> None:
    """Download a public data set from its publisher and write it as Parquet."""
    from shoal.cli import info as about

    about.fetch_data(name, to, source, mirror, running.run(), running.json_output)
