"""``evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.fitting import timed_fit
from shoal.cli.model_options import Model, Policy, Set, chosen_model
from shoal.cli.options import (
    METRICS,
    LogOptions,
    Metrics,
    OptionalLog,
    RunOptions,
    SplitOptions,
    takes,
)
from shoal.cli.outputs import TableOptions, check_training_log
from shoal.cli.unused import changed, name_unread_vectors, refuse, refuse_training_options
from shoal.errors import DataError
from shoal.run import duration

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.experiments.tasks import AnyEvaluation, Task


@app.command()
@takes(LogOptions, SplitOptions, RunOptions, TableOptions)
def evaluate(
    log: OptionalLog = None,
    model: Model = None,
    set_: Set = None,
    policy: Policy = None,
    metrics: Metrics = METRICS,
    per_user: Annotated[
        Path | None, typer.Option(help="Also write the values per user (.parquet, .csv).")
    ] = None,
    *,
    reading: LogOptions,
    splitting: SplitOptions,
    running: RunOptions,
    writing: TableOptions,
) -> None:
    """Split a log, fit a model on the training part, evaluate it on the test part."""
    from shoal.experiments.tasks import task_of
    from shoal.files import check_table
    from shoal.models.registry import create

    chosen = chosen_model(model, set_, policy)
    unfitted, reading = create(chosen.name, chosen.settings), reading.counting(chosen.events)
    task = task_of(unfitted)
    metric_names = _metric_names(metrics, task, unfitted)
    inputs = (log, splitting.train, splitting.test, reading.items, reading.vectors, policy)
    if per_user is not None:
        check_table(per_user)
        writing.check(per_user, *inputs)
    else:
        refuse(changed(writing), "without --per-user FILE: leave it out")
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
