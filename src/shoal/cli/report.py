"""``report``: write the report of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.running import JsonOutput
from shoal.cli.runs import RunArgument


@app.command()
def report(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to. Default: that of the run.", show_default=False),
    ] = None,
    without_items: Annotated[
        bool,
        typer.Option(
            "--without-items",
            help="Leave out example people and the item map: of your data it then shows figures "
            "alone, for a report that others may see.",
        ),
    ] = False,
    json_output: JsonOutput = False,
) -> None:
    """Write the report of a run and its tables again, from its folder alone.

    Of a run that is going on, or was killed, it shows what has been measured.
    """
    from shoal.experiments.runs.ending import write_results
    from shoal.experiments.runs.finish import write_report_of
    from shoal.experiments.runs.folder import open_run

    folder = open_run(run)
    write_results(folder)
    files = write_report_of(folder, out, without_items=without_items)
    if json_output:
        show.as_json({"run": str(run), "files": [str(path) for path in files]})
        return
    for path in files:
        show.line(str(path))
