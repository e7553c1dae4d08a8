"""``validate``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.faults import to_stderr
from shoal.cli.options import ALL_BUT_JSON, RunOptions, takes
from shoal.cli.terminal import visible
from shoal.errors import FileError, ShoalError

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

    Nothing is computed. Each problem has a line, FILE:LINE: MESSAGE. Exit status 1 if a file cannot
    be used; the others are checked as well.
    """
    from shoal.cli.file_kinds import describe

    found: list[dict[str, Any]] = []
    for file in files:
        try:
            found.append({"file": str(file), "ok": True, **describe(file)})
        except ShoalError as error:
            problems, hint = _problems(file, error)
            told = [{"line": line, "message": message} for line, message in problems]
            found.append({"file": str(file), "ok": False, "errors": told})
            if not running.json_output:
                for line, message in problems:
                    to_stderr(visible(f"{file}:{'' if line is None else f'{line}:'} {message}"))
                if hint:
                    to_stderr(hint)
            continue
        if not running.json_output:
            show.line(f"{file}: {found[-1]['kind']} {found[-1]['text']}")
            for note in found[-1]["notes"]:
                show.line(f"  {note}", "yellow")
    if running.json_output:
        show.as_json({"files": found})
    if not all(file["ok"] for file in found):
        raise typer.Exit(WRONG)


def _problems(file: Path, error: ShoalError) -> tuple[Sequence[tuple[int | None, str]], str]:
    """All problems of a file, each with its line, and what should be in the file."""
    if isinstance(error, FileError):
        return error.problems, error.hint
    located = re.match(rf"{re.escape(str(file))}(?:, line (\d+))?:? ", str(error))
    if located is None:
        return [(None, str(error))], ""
    line = int(located[1]) if located[1] else None
    return [(line, str(error)[located.end() :])], ""
