"""``evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.cluster_options import ClusterRunOptions
from shoal.cli.fitting import timed_fit
from shoal.cli.model_options import Model, Policy, Set, chosen_model
from shoal.cli.options import (
    METRICS,
    OF_TRAINING,
    LogOptions,
    Metrics,
    OptionalLog,
    SplitOptions,
    takes,
)
from shoal.cli.outputs import TableOptions, check_training_log
from shoal.cli.parse import pairs
from shoal.cli.unused import changed, name_unread_vectors, refuse, refuse_training_options
from shoal.errors import DataError
from shoal.run import duration

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.experiments.tasks import AnyEvaluation, Task


LISTS = "Lists that are there already"


@app.command()
@takes(LogOptions, SplitOptions, ClusterRunOptions, TableOptions)
def evaluate(
    log: OptionalLog = None,
    model: Model = None,
    set_: Set = None,
    policy: Policy = None,
    metrics: Metrics = METRICS,
    lists: Annotated[
        Path | None,
        typer.Option(
            help="Instead of a model: lists that any program made (user, item, rank), of the test "
            "users; any file that a log may be.",
            rich_help_panel=LISTS,
        ),
    ] = None,
    list_columns: Annotated[
        str,
        typer.Option(
            help="Roles of the columns of --lists where the guess is wrong: "
            "user=…,item=…,rank=…,score=… (none leaves a role empty).",
            rich_help_panel=LISTS,
        ),
    ] = "",
    per_user: Annotated[
        Path | None, typer.Option(help="Also write the values per user (.parquet, .csv).")
    ] = None,
    *,
    reading: LogOptions,
    splitting: SplitOptions,
    running: ClusterRunOptions,
    writing: TableOptions,
) -> None:
    """Split a log, fit a model on the training part, evaluate it on the test part.

    With --lists, nothing is fitted: the lists of a file are evaluated on the test part.
    """
    from shoal.experiments.tasks import task_of
    from shoal.models.registry import create

    if lists is not None:
        given = {"--model": model, "--set": set_, "--policy": policy}
        refuse([o for o, value in given.items() if value], "with --lists: no model is fitted")
        asked = _ListsToEvaluate(lists, list_columns, metrics, per_user)
        _evaluate_lists(asked, log, reading, splitting, running, writing)
        return
    if list_columns:
        refuse(["--list-columns"], "without --lists FILE: leave it out")
    chosen = chosen_model(model, set_, policy)
    unfitted, reading = create(chosen.name, chosen.settings), reading.counting(chosen.events)
    task = task_of(unfitted)
    metric_names = _metric_names(metrics, task, unfitted)
    inputs = (log, splitting.train, splitting.test, reading.items, reading.vectors, policy)
    _check_per_user(per_user, writing, *inputs)
    check_training_log(running.training_log, *inputs)
    refuse_training_options([unfitted.name], running)
    name_unread_vectors([unfitted.name], reading)
    run = running.run()

    interactions, parts = splitting.make(task, log, reading, run)
    if not running.json_output:
        show.log_lines(interactions)
        show.estimate(unfitted, parts.train, run)
    fitted, seconds = timed_fit(unfitted, parts.train, parts.validation, run)
    evaluation = task.evaluate(fitted, parts, metric_names, run)
    among_all = task.evaluate_among_all(fitted, parts, metric_names, run)
    if per_user is not None:
        _write_per_user(evaluation, per_user, guard_formulas=writing.guard_formulas)

    if running.json_output:
        details = {
            "fit_seconds": round(seconds, 3),
            "facts": fitted.facts,
            "definitions": task.definitions(metric_names),
            "data": show.log_dict(interactions),
        }
        if among_all is not None:
            details["among_all"] = among_all.to_dict()
        show.as_json(evaluation.to_dict() | details)
        return
    if among_all is not None:
        show.evaluation_lines(among_all)
        show.line()
    show.evaluation_lines(evaluation)
    show.line(f"fit {duration(seconds)}, evaluation {duration(evaluation.seconds)}", "dim")


@dataclass(frozen=True)
class _ListsToEvaluate:
    """What is asked for with --lists."""

    file: Path
    columns: str
    metrics: str
    per_user: Path | None


def _evaluate_lists(
    asked: _ListsToEvaluate,
    log: Path | None,
    reading: LogOptions,
    splitting: SplitOptions,
    running: ClusterRunOptions,
    writing: TableOptions,
) -> None:
    """Split a log as for a model, and evaluate lists that are there already on the test part."""
    from shoal.evaluation.lists import evaluate_lists
    from shoal.experiments.tasks import RANKING

    refuse(changed(running, (*OF_TRAINING, "device")), "with --lists: no model is fitted")
    if not reading.cold_items:  # with it, vectors say which items are in the catalogue
        refuse(changed(reading, ("items", "item_id", "vectors")), "with --lists: no model reads it")
    names = RANKING.metric_names(asked.metrics)
    columns = pairs(asked.columns, "--list-columns")
    inputs = (log, splitting.train, splitting.test, reading.items, reading.vectors, asked.file)
    _check_per_user(asked.per_user, writing, *inputs)
    interactions, parts = splitting.make(RANKING, log, reading, running.run())
    evaluation = evaluate_lists(asked.file, parts.test, names, columns=columns)
    if asked.per_user is not None:
        _write_per_user(evaluation, asked.per_user, guard_formulas=writing.guard_formulas)
    if running.json_output:
        details = {"definitions": RANKING.definitions(names), "data": show.log_dict(interactions)}
        show.as_json(evaluation.to_dict() | details)
        return
    show.log_lines(interactions)
    show.evaluation_lines(evaluation)


def _check_per_user(path: Path | None, writing: TableOptions, *inputs: Path | None) -> None:
    """Refuse, before long work, a file for the values per user that could not be written."""
    from shoal.files import check_table

    if path is None:
        refuse(changed(writing), "without --per-user FILE: leave it out")
        return
    check_table(path)
    writing.check(path, *inputs)


def _metric_names(metrics: str, task: Task[Any], model: Recommender) -> list[str]:
    """The metrics that are asked for; none can be, of a model that rates."""
    if metrics != METRICS and not task.chooses_metrics:
        raise DataError(f"--metrics {metrics}: {model.name} is measured by RMSE and MAE, always")
    return task.metric_names(metrics)


def _write_per_user(evaluation: AnyEvaluation, path: Path, *, guard_formulas: bool) -> None:
    """Write a row of values for each user; of several processes, one does."""
    import polars as pl

    from shoal.files import write_table
    from shoal.run import first_process

    if first_process():
        values = {"user": evaluation.users.series, **evaluation.per_user}
        write_table(pl.DataFrame(values), path, guard_formulas=guard_formulas)
