"""``runs``: what experiments have left behind, and what differs between two of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.faults import to_stderr
from shoal.cli.run_tables import print_comparisons
from shoal.cli.running import JsonOutput
from shoal.errors import DataError
from shoal.run import duration, human_bytes

if TYPE_CHECKING:
    from shoal.experiments.runs.diff import RunDiff
    from shoal.experiments.runs.folder import RunFolder

runs_app = typer.Typer(
    no_args_is_help=True, help="Runs of experiment files: list, show, diff, track."
)
app.add_typer(runs_app, name="runs")

RunArgument = Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN")]


@runs_app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(help="Where the folders of runs are.")] = Path("runs"),
    json_output: JsonOutput = False,
) -> None:
    """List runs, the newest first: what became of them, which model was best, how long it took."""
    from shoal.experiments.runs.folder import runs_below
    from shoal.experiments.runs.summary import summary

    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder}: `shoal run FILE` makes runs/, or name another"
        )
    listed = [summary(run) for run in runs_below(folder)]
    if json_output:
        show.as_json(listed)
        return
    if not listed:
        show.line(f"{folder} holds no run yet: shoal run FILE")
        return
    rows = [["run", "name", "status", "started", "models", "best", "time"]]
    for told in listed:
        share = "" if told["status"] == "complete" else f" ({told['cells']} of {told['of']})"
        several = len(told["data"]) > 1
        best = [
            f"{d['best']} {d['metric']} {d['value']:.4f}" + (f" ({d['name']})" if several else "")
            for d in told["data"]
            if d["value"] is not None
        ]
        rows.append(
            [
                told["folder"],
                str(told["name"]),
                told["status"] + share,
                show.moment(str(told["started"])),
                "\n".join(str(d["models"]) for d in told["data"]) or "–",
                "\n".join(best) or "–",
                duration(told["seconds"] or 0),
            ]
        )
    show.table(rows)


@runs_app.command("show")
def show_run(
    run: RunArgument,
    model: Annotated[
        str | None, typer.Option(help="Show the trials and the learning curve of this model.")
    ] = None,
    json_output: JsonOutput = False,
) -> None:
    """Show a run: table and verdict, costs, data and environment; also one that did not end."""
    from shoal.experiments.runs.ending import comparisons_of
    from shoal.experiments.runs.folder import DATA, ENVIRONMENT, open_run
    from shoal.experiments.runs.summary import summary

    folder = open_run(run)
    if model is not None:
        _show_model(folder, model, json_output)
        return
    files = {name: folder.read_json_if_there(name) for name in (ENVIRONMENT, DATA)}
    if json_output:
        told = [comparison.to_dict() for comparison in comparisons_of(folder)]
        parts = {"environment": files[ENVIRONMENT], "data": files[DATA], "comparisons": told}
        show.as_json(summary(folder) | parts)
        return
    about = folder.about
    when = f"started {show.moment(about['started'])} UTC"
    took = duration(about["seconds"])
    show.line(f"{about['name']}: {folder.status}, {when}, {took}", "bold")
    if about.get("failure"):
        show.line(f"it ended with: {about['failure']}", "yellow")
    print_comparisons(folder, sizes=True)
    show.line()
    _print_environment(files[ENVIRONMENT])
    for name, facts in files[DATA].items():
        show.line(f"{name}: matrix sha256 {facts['hashes']['matrix']}", "dim")


@runs_app.command("diff")
def diff_runs(
    before: RunArgument,
    after: Annotated[Path, typer.Argument(help="Folder of another run.", metavar="OTHER")],
    json_output: JsonOutput = False,
) -> None:
    """Say what differs between two runs: file, data, environment, settings, and each metric.

    The differences of metrics are tested on the users whom both runs tested with the same seed.
    """
    from shoal.experiments.runs.diff import diff
    from shoal.experiments.runs.folder import open_run

    found = diff(open_run(before), open_run(after))
    if json_output:
        show.as_json({"before": str(before), "after": str(after)} | found.to_dict())
    else:
        _print_diff(found)


@runs_app.command("track")
def track_run(
    run: RunArgument,
    to: Annotated[str, typer.Option(help="Trackers, with commas: mlflow, comet.")],
    json_output: JsonOutput = False,
) -> None:
    """Report a run to MLflow or Comet, complete or not; what is there already is not doubled.

    Exit status 1 if a tracker has no report; the message says why.
    """
    from shoal.experiments.runs.folder import open_run
    from shoal.experiments.trackers import track

    told = track([name.strip() for name in to.split(",")], open_run(run).path)
    if json_output:
        show.as_json({"notes": told.notes, "warnings": told.warnings})
    else:
        for note in told.notes:
            show.line(note)
        for warning in told.warnings:
            to_stderr(f"warning: {warning}")
    if told.warnings:
        raise typer.Exit(1)


def _print_diff(found: RunDiff) -> None:
    from shoal.experiments.comparison.words import signed

    for name in ("file", "data", "environment", "settings"):
        parts = getattr(found, name)
        show.line(f"{name}: {'' if parts else 'the same'}", "bold" if parts else "dim")
        for part in parts:
            show.line(f"  {part}")
    for name, only in (("the first", found.only_before), ("the second", found.only_after)):
        if only:
            labels = ", ".join(f"{label} ({data})" for data, label in only)
            show.line(f"only in {name}: {labels}", "yellow")
    if not found.changes:
        show.line("no model is in both")
        return
    rows = [["data", "model", "metric", "before", "after", "difference", "95 % interval", "p"]]
    for change in found.changes:
        test = change.test
        rows.append(
            [
                *(change.data, change.model, change.metric),
                *(f"{change.before:.4f}", f"{change.after:.4f}"),
                signed(change.after - change.before),
                "–" if test is None else f"{signed(test.low)} to {signed(test.high)}",
                "–" if test is None else f"{test.p:.2g}",
            ]
        )
    show.table(rows)
    show.line("p: paired t-test over the users whom both runs tested with the same seed", "dim")


def _print_environment(told: dict[str, Any]) -> None:
    if not told:
        return
    packages = ", ".join(f"{name} {v}" for name, v in told["packages"].items())
    show.line(f"shoal {told['shoal']}, Python {told['python']}, {packages}", "dim")
    gpu = f", {told['gpu']}" if told.get("gpu") else ""
    show.line(
        f"{told['processor']}: {told['threads']} of {told['cores']} cores{gpu}, "
        f"{human_bytes(told['memory_bytes'])}, {told['system']}",
        "dim",
    )
    for name, what in (("commit", "commit of the file"), ("shoal_commit", "commit of shoal")):
        if told.get(name):
            show.line(f"{what}: {told[name]}", "dim")
    show.line(f"command: {told['command']}", "dim")


def _show_model(folder: RunFolder, label: str, as_json: bool) -> None:
    """The trials and the learning curve of one model."""
    from shoal.experiments.runs.folder import CURVES, TRIALS

    known = folder.about["labels"]
    if label not in known:
        raise DataError(f"--model {label}: the run has {', '.join(known)}")
    trials = [row for row in _rows(folder, TRIALS) if row["model"] == label]
    curve = [row for row in _rows(folder, CURVES) if row["model"] == label]
    if as_json:
        show.as_json({"model": label, "trials": trials, "curve": curve})
        return
    if not trials and not curve:
        show.line(f"{label} was not tuned, and is not trained in epochs: nothing to show")
    for row in sorted(trials, key=lambda row: -(row["score"] or 0)):
        score = "failed" if row["score"] is None else f"{row['score']:.4f}"
        where = f"{row['data']}, seed {row['seed']}, trial {row['number']} ({row['source']})"
        state = "" if row["state"] == "complete" else f", {row['state']}"
        show.line(f"{score}{state}  {show.parameters_text(row['settings'])}  {where}")
    for row in curve:
        values = {n: v for n, v in row.items() if n not in ("data", "seed", "model")}
        show.line(f"{row['data']}, seed {row['seed']}: {show.parameters_text(values)}", "dim")


def _rows(folder: RunFolder, name: str) -> list[dict[str, Any]]:
    """The rows of a file with a line of JSON each; none where it is not there yet."""
    path = folder.path / name
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
