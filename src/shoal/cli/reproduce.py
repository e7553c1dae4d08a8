"""``reproduce``: hold a run against the hashes and figures that its file expects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import OF_A_FIT, RunOptions, takes
from shoal.cli.run import DataPlaces, carry_out, make_order, read_file
from shoal.errors import DataError

if TYPE_CHECKING:
    from shoal.experiments.files.experiment import Experiment
    from shoal.experiments.files.parts import ExpectPart
    from shoal.experiments.runs.folder import RunFolder
    from shoal.experiments.runs.reproduce import Held

DIFFERS = 1  # exit status where something differs


@app.command()
@takes(RunOptions, hide=OF_A_FIT)
def reproduce(
    file: Annotated[
        Path | None, typer.Argument(help="Experiment file with `expect:` (YAML).")
    ] = None,
    data: DataPlaces = None,
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Hold this finished run against the file; run nothing."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run. Default: runs/NAME-DATE-TIME.", show_default=False),
    ] = None,
    write_expected: Annotated[
        bool,
        typer.Option(
            "--write-expected",
            help="Print the `expect:` block of the finished run, for the file; compare nothing.",
        ),
    ] = False,
    *,
    running: RunOptions,
) -> None:
    """Run an experiment file, and show what differs from what it expects.

    The exit status is 1 if a hash differs, or a figure by more than its tolerance.
    """
    from shoal.experiments.runs.folder import open_run
    from shoal.experiments.runs.reproduce import check_is_run_of, expected_text, hold_against
    from shoal.experiments.runs.start import choose_folder

    if run is not None and out is not None:
        raise DataError("--run takes a finished run, and --out says where to make one")
    if run is not None:
        folder = open_run(run)
        if folder.status != "complete":
            raise DataError(
                f"{run} is not complete ({folder.status}): go on with shoal run --resume"
            )
        experiment = None if file is None else read_file(file, data)[0]
        check_is_run_of(folder, experiment)
        expect = None if write_expected else _expected(experiment, folder)
    else:
        if file is None:
            raise DataError("name an experiment file, or --run RUN")
        order, sha256 = make_order(file, data, None, running, quick=False)
        expect = order.experiment.expect
        if not write_expected and not expect.hashes and not expect.figures:
            raise DataError(
                f"{file} expects nothing: `shoal reproduce {file} --write-expected` runs it, and "
                "prints what it found as a block to add to the file"
            )
        path = choose_folder(order, out=out)
        quiet = running.json_output or write_expected
        folder = carry_out(order, path, sha256, file, as_json=quiet, tell=not quiet)
    if write_expected:
        sys.stdout.write(expected_text(folder))
        return
    assert expect is not None
    held = hold_against(folder, expect)
    differ = sum(not one.ok for one in held)
    if running.json_output:
        rows = [one.to_dict() for one in held]
        show.as_json({"run": str(folder.path), "differ": differ, "expected": rows})
    else:
        _print(held, differ)
    if differ:
        raise typer.Exit(DIFFERS)


def _expected(experiment: Experiment | None, folder: RunFolder) -> ExpectPart:
    """What a file expects; without a file, what that of the run did."""
    from shoal.experiments.runs.resume import expected_by

    return expected_by(folder) if experiment is None else experiment.expect


def _print(held: list[Held], differ: int) -> None:
    """A table of all that was expected, and how much of it differs."""
    from shoal.experiments.comparison.words import signed

    rows = [["data", "model", "what", "published", "expected", "ours", "difference", "ok"]]
    for one in held:
        is_hash = one.model is None
        rows.append(
            [
                *(one.data, one.model or "", one.what),
                "" if one.published is None else f"{one.published:.4g}",
                _short(one.expected) + ("" if is_hash else f" ± {one.tolerance:g}"),
                _short(one.ours),
                "" if one.difference is None else signed(one.difference),
                "yes" if one.ok else f"NO{': ' if one.why else ''}{one.why}",
            ]
        )
    show.table(rows)
    count = f"{len(held)} hashes and figures"
    if differ:
        show.line(f"{differ} of {count} differ from what the file expects", "bold")
    else:
        show.line(f"reproduced: all {count} are as the file expects", "bold")


def _short(value: str | float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else f"{value[:12]}…"
