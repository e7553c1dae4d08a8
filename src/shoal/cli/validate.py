"""``validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.faults import to_stderr
from shoal.cli.options import ALL_BUT_JSON, RunOptions, takes
from shoal.errors import ShoalError

WRONG = 1  # exit status where a file cannot be used


@app.command()
@takes(RunOptions, hide=ALL_BUT_JSON)
def validate(
    files: Annotated[
        list[Path],
        typer.Argument(help="Experiments, policy files, refreshes, online experiments: YAML."),
    ],
    *,
    running: RunOptions,
) -> None:
    """Check files to the last key, and say what each is and what it would run.

    Nothing is computed. Exit status 1 if a file cannot be used; the others are checked as well.
    """
    from shoal.cli.file_kinds import describe

    found: list[dict[str, Any]] = []
    for file in files:
        try:
            found.append({"file": str(file), "ok": True, **describe(file)})
        except ShoalError as error:
            found.append({"file": str(file), "ok": False, "error": str(error)})
            if not running.json_output:
                to_stderr(f"error: {error}")
            continue
        if not running.json_output:
            show.line(f"{file}: {found[-1]['kind']} {found[-1]['text']}")
            for note in found[-1]["notes"]:
                show.line(f"  {note}", "yellow")
    if running.json_output:
        show.as_json({"files": found})
    if not all(file["ok"] for file in found):
        raise typer.Exit(WRONG)
