"""``run``: an experiment file, from its data to the report."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show, suggest
from shoal.cli.app import app
from shoal.cli.cluster_options import ClusterRunOptions
from shoal.cli.faults import to_stderr
from shoal.cli.options import OF_A_FIT, RunOptions, takes
from shoal.cli.progress import announce, progress
from shoal.cli.run_tables import print_comparisons
from shoal.cli.unused import changed
from shoal.errors import DataError
from shoal.run import duration

if TYPE_CHECKING:
    from shoal.executor import Executor
    from shoal.experiments.comparison.cell import Cell
    from shoal.experiments.files.experiment import Experiment
    from shoal.experiments.runs.folder import RunFolder
    from shoal.experiments.runs.order import Order

DataPlaces = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="NAME=PATH",
        help="Where a data set of the file is: a log, or a folder; repeatable. Of a file with one "
        "data set, or a policy file, PATH alone.",
    ),
]


@app.command()
@takes(ClusterRunOptions, hide=OF_A_FIT)
def run(
    file: Annotated[
        Path | None, typer.Argument(help="Experiment file, or policy file with --data (YAML).")
    ] = None,
    data: DataPlaces = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run. Default: runs/NAME-DATE-TIME.", show_default=False),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with this run, which ended early.")
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Begin anew, also where a run of this file can go on.")
    ] = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Prove that the file runs: one seed, 2 trials, 2 epochs, small layers."
        ),
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Do these models now, and leave the others: the same command without it goes on.",
        ),
    ] = None,
    *,
    running: ClusterRunOptions,
) -> None:
    """Do all that an experiment file says: read, split, tune, fit, compare, report.

    Whatever is finished is kept at once. Without --new the newest run of the same file that ended
    early goes on: after Ctrl-C (exit status 130), a kill or a failure.
    """
    from shoal.experiments.runs.start import choose_folder

    order, source = make_order(file, data, resume, running, quick=quick)
    if only:
        labels = tuple(dict.fromkeys(filter(None, map(str.strip, only.split(",")))))
        order = dataclasses.replace(order, only=labels)
    path = choose_folder(order, out=out, resume=resume, new=new)
    carry_out(order, path, source, file, as_json=running.json_output)


def make_order(
    file: Path | None,
    data: list[str] | None,
    resume: Path | None,
    running: RunOptions,
    *,
    quick: bool,
) -> tuple[Order, str | None]:
    """Read the file that is to be run; gives what is to be done, and the sha256 of the file."""
    from shoal.experiments.runs.order import Order
    from shoal.experiments.runs.resume import order_of

    quiet = progress(running.json_output)
    if file is None:
        if resume is None:
            raise DataError("name an experiment file, or --resume RUN")
        if quick or data:
            given = "--quick" if quick else "--data"
            raise DataError(
                f"{given} does nothing without a file: --resume goes on as it was begun"
            )
        order = order_of(resume, quiet)
        changes: dict[str, Any] = {"experiment": _with_options(order.experiment, running)}
        return dataclasses.replace(order, executor=_executor(running), **changes), None
    experiment, places = read_file(file, data)
    experiment = _with_options(experiment, running)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    order = Order(experiment, quick, places, quiet, executor=_executor(running))
    return order, sha256


def _executor(running: RunOptions) -> Executor | None:
    """The machines that --on names; `reproduce`, which has no such option, does the work here."""
    if not isinstance(running, ClusterRunOptions):
        return None
    running.threads_are_of_each()
    return running.run().executor


def read_file(file: Path, data: list[str] | None) -> tuple[Experiment, dict[str, Path]]:
    """Read an experiment file, and where the command line says that its data are.

    A policy file becomes an experiment on the log that the command line names.
    """
    from shoal.cli.file_kinds import kind_of
    from shoal.experiments.files.hosted import experiment_of_policies
    from shoal.experiments.files.locating import elsewhere_of
    from shoal.experiments.files.reading import read_experiment

    kind = kind_of(file)
    if kind == "policy":
        if len(data or []) != 1:
            raise DataError(f"{file} is a policy file: say what it learns from, by one --data LOG")
        return experiment_of_policies(file, (data or [""])[0]), {}
    if kind != "experiment":
        other = "`shoal refresh`" if kind == "refresh" else "`shoal serve`"
        raise DataError(f"{file} is the file of {other}, and no experiment to run")
    elsewhere = elsewhere_of(data, _data_names(file)) if data else {}
    return read_experiment(file, elsewhere=elsewhere), elsewhere


def _data_names(file: Path) -> list[str]:
    """The names of the data sets of a file, as far as it can be read."""
    from shoal.experiments.files.parts import DataPart
    from shoal.policy import read_yaml

    told = read_yaml(file, "")["data"]
    parts = told if isinstance(told, list) else [told]
    return [DataPart.model_construct(**part).label for part in parts if isinstance(part, dict)]


def _with_options(experiment: Experiment, running: RunOptions) -> Experiment:
    """The experiment with what the command line says of threads, memory and device."""
    given = {name: getattr(running, name) for name in ("threads", "memory", "device")}
    named = {name: v for name, v in given.items() if changed(running, [name])}
    if not named:
        return experiment
    running.run()  # refuses values that are none
    part = experiment.run.model_copy(update=named)
    return experiment.model_copy(update={"run": part})


def carry_out(
    order: Order,
    path: Path,
    sha256: str | None,
    file: Path | None,
    *,
    as_json: bool,
    tell: bool = True,
) -> RunFolder:
    """Run an experiment, and print what comes of it, also where Ctrl-C ends it."""
    from shoal.experiments.runs.folder import is_run, open_run
    from shoal.experiments.runs.work import run_experiment

    to_folder = f"{'going on in' if is_run(path) else 'writing to'} {path}"

    def begun() -> None:
        if not as_json and tell:
            show.line(to_folder, "dim")

    def seen(data: str, cell: Cell, number: int, total: int) -> None:
        if as_json:
            return
        name, score = next(iter(cell.evaluation.scores.items()))
        where = f"{data}, " if len(order.data_names) > 1 else ""
        seed = f"seed {cell.seed}: " if len(order.seeds) > 1 else ""
        announce(
            f"{where}{seed}{cell.label}: {name} {score}, {duration(cell.fit_seconds)} "
            f"({number} of {total})"
        )

    try:
        folder = run_experiment(
            order, path, sha256=sha256, command=["shoal", *sys.argv[1:]], begun=begun, seen=seen
        )
    except KeyboardInterrupt:
        if is_run(path):
            if tell:
                print_run(open_run(path), as_json=as_json)
            again = suggest.command(
                "run", *([suggest.file(file)] if file else []), "--resume", path
            )
            to_stderr(f"interrupted: go on with {again}")
        raise
    if tell:
        print_run(folder, as_json=as_json)
    return folder


def print_run(folder: RunFolder, *, as_json: bool) -> None:
    """Print the table and the verdict of each data set, and where the report is."""
    from shoal.experiments.runs.folder import PARTIAL, REPORT

    about = folder.about
    if as_json:
        told = {name: about.get(name) for name in ("status", "started", "ended", "seconds")}
        show.as_json({"folder": str(folder.path)} | told | folder.results)
        return
    print_comparisons(folder)
    show.line()
    report = folder.path / REPORT
    took = duration(about["seconds"])
    show.line(
        f"{about['status']} after {took}: {report if report.is_file() else folder.path}", "bold"
    )
    if about["status"] == PARTIAL:
        show.line(f"the rest: {suggest.command('run', '--resume', folder.path)}")
