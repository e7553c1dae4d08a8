"""``train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.model_options import Model, Policy, Set, model_and_settings
from shoal.cli.options import (
    METRICS,
    Log,
    LogOptions,
    Metrics,
    RunOptions,
    SplitOptions,
    takes,
)

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.data.interactions import Interactions
    from shoal.experiments.tasks import Task
    from shoal.run import Run


@app.command()
@takes(LogOptions, SplitOptions, RunOptions)
def train(
    log: Log,
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")],
    model: Model = None,
    set_: Set = None,
    policy: Policy = None,
    evaluate_too: Annotated[
        bool,
        typer.Option("--evaluate", help="Also evaluate on a split; kept with the model."),
    ] = False,
    metrics: Metrics = METRICS,
    *,
    reading: LogOptions,
    splitting: SplitOptions,
    running: RunOptions,
) -> None:
    """Fit a model to the whole log and save it.

    A deep model chooses its number of epochs on users kept apart first, unless --set n_epochs=…
    says it.
    """
    from shoal.artifact import check_target, save
    from shoal.data.checks import check_users
    from shoal.experiments.tasks import task_of
    from shoal.experiments.warmup import warm_up
    from shoal.models.registry import create
    from shoal.run import first_process

    name, settings = model_and_settings(model, set_, policy)
    unfitted = create(name, settings)
    task = task_of(unfitted)
    check_target(out)
    metric_names = task.metric_names(metrics) if evaluate_too else []
    run = running.run()

    evaluation = best = None
    if evaluate_too:
        interactions, parts = splitting.make(task, log, reading, run)
        evaluation, best = _evaluate(create(name, settings), task, parts, metric_names, run)
        del parts
    else:
        reading = reading.with_values() if task.reads_values else reading
        interactions = reading.read(log, run)
        check_users(interactions)
    choose_epochs = unfitted.trained and "n_epochs" not in settings
    if choose_epochs and best is not None:
        unfitted, choose_epochs = best, False
    if not running.json_output:
        show.log_lines(interactions)
        show.estimate(unfitted, interactions, run)
    if choose_epochs:
        unfitted = _with_best_epochs(unfitted, task, interactions, run, running.json_output)
    warm_up(unfitted, interactions, run)
    began = perf_counter()
    fitted = unfitted.fit(interactions, None, run)
    seconds = perf_counter() - began
    folder = save(fitted, out, metrics=evaluation) if first_process() else out

    if running.json_output:
        show.as_json(_summary(fitted, interactions, folder, seconds, evaluation))
    else:
        _print(fitted, out, seconds, evaluation)


def _evaluate(
    model: Recommender, task: Task[Any], parts: Any, metric_names: list[str], run: Run
) -> tuple[dict[str, Any], Recommender | None]:
    """Fit a model to the training part and evaluate it.

    Returns
    -------
    evaluation : dict
    best : Recommender or None
        The model, unfitted, with the number of epochs that was best for the validation part.
    """
    # checkpoint and training log are for the fit to the whole log
    fitted = model.fit(
        parts.train, parts.validation, replace(run, checkpoint=None, training_log=None)
    )
    evaluation = task.evaluate(fitted, parts, metric_names, run).to_dict()
    return evaluation, None if parts.validation is None else fitted.until_best()


def _with_best_epochs(
    unfitted: Recommender, task: Task[Any], interactions: Interactions, run: Run, quiet: bool
) -> Recommender:
    """The model with the number of epochs that validates best, and a line that says so."""
    from shoal.experiments.tune import with_best_epochs

    best = with_best_epochs(unfitted, interactions, run)
    if best is not unfitted and not quiet:
        show.line(
            f"the number of epochs was chosen on a tenth of the {task.held_out}, kept apart", "dim"
        )
    return best


def _summary(
    fitted: Recommender,
    interactions: Interactions,
    folder: Path,
    seconds: float,
    evaluation: dict[str, Any] | None,
) -> dict[str, Any]:
    """The fit as plain data for JSON."""
    return {
        "model": fitted.name,
        "parameters": fitted.model_dump(),
        "folder": str(folder),
        "fit_seconds": round(seconds, 3),
        "bytes_estimated": fitted.bytes_for(interactions),
        "facts": fitted.facts,
        "data": show.log_dict(interactions),
        "metrics": evaluation,
    }


def _print(
    fitted: Recommender, out: Path, seconds: float, evaluation: dict[str, Any] | None
) -> None:
    """The fit in words, and a command to go on with."""
    show.line(f"{fitted.name} {show.parameters_text(fitted.model_dump())}: {seconds:.2f} s", "bold")
    for name, value in fitted.facts.items():
        show.line(f"{name}: {value:.3g}")
    if evaluation is not None:
        for name, score in evaluation["metrics"].items():
            show.line(f"{name}: {score['mean']:.4f}")
    show.line(f"saved to {out}")
    items = ",".join(str(item) for item in fitted.items.take([0, 1]))
    if fitted.users is not None:  # only a model that rates keeps its users
        user = fitted.users.take([0])[0]
        show.line(f"next: shoal predict {out} --user {user} --items {items}", "dim")
        return
    because = " --because" if fitted.explains else ""
    show.line(f"next: shoal recommend {out} --history {items}{because}", "dim")
