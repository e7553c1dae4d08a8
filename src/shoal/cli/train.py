"""``train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show, suggest
from shoal.cli.app import app
from shoal.cli.cluster_options import ClusterRunOptions
from shoal.cli.fitting import timed_fit
from shoal.cli.model_options import Model, Policy, Set, chosen_model
from shoal.cli.options import (
    METRICS,
    Log,
    LogOptions,
    Metrics,
    SplitOptions,
    takes,
)
from shoal.cli.outputs import OutputOptions, check_training_log
from shoal.cli.unused import changed, name_unread_vectors, refuse, refuse_training_options
from shoal.run import duration

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.cluster.sharded import ShardedLog
    from shoal.data.facts import LogFacts
    from shoal.data.interactions import Interactions
    from shoal.experiments.tasks import Task
    from shoal.run import Run


@app.command()
@takes(LogOptions, SplitOptions, ClusterRunOptions, OutputOptions)
def train(
    log: Log,
    out: Annotated[Path | None, typer.Option(help="Folder to write the model to.")] = None,
    publish: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE", help="Store in which the model becomes the live version; made if new."
        ),
    ] = None,
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
    running: ClusterRunOptions,
    writing: OutputOptions,
) -> None:
    """Fit a model to the whole log and save it.

    A deep model chooses its number of epochs on users kept apart first, unless --set n_epochs=…
    says it, and a blend the weights of its members.
    """
    from shoal.artifact import Store, save
    from shoal.artifact.training import TRAINING, training_facts
    from shoal.data.checks import check_users
    from shoal.experiments.tasks import task_of
    from shoal.models.registry import create
    from shoal.run import first_process

    chosen = chosen_model(model, set_, policy)
    name, settings = chosen.name, chosen.settings
    reading = reading.counting(chosen.events)
    unfitted = create(name, settings)
    task = task_of(unfitted)
    writing.check_targets(out, publish, log, reading.items, reading.vectors, policy)
    check_training_log(running.training_log, log, reading.items, reading.vectors, policy)
    _refuse_what_does_nothing(name, metrics, evaluate_too, reading, splitting, running)
    metric_names = task.metric_names(metrics) if evaluate_too else []
    run = running.run()

    evaluation = best = None
    interactions: Interactions | ShardedLog
    if evaluate_too:
        interactions, parts = splitting.make(task, log, reading, run)
        evaluation, best = _evaluate(create(name, settings), task, parts, metric_names, run)
        del parts
    else:
        interactions = _read(reading.for_task(task), log, run)
        check_users(interactions)
    if unfitted.chosen_by_validation and best is not None:
        unfitted = best
    if not running.json_output:
        show.log_lines(interactions)
        if run.executor is None:
            show.estimate(unfitted, interactions, run)
    if unfitted.chosen_by_validation:
        unfitted = _with_best_choices(unfitted, task, interactions, run, running.json_output)
    fitted, seconds = timed_fit(unfitted, interactions, None, run)
    version = None
    if first_process():
        kept = {**(evaluation or {}), TRAINING: training_facts(interactions, seconds)}
        if out is not None:
            save(fitted, out, metrics=kept)
        if publish is not None:
            version = Store(publish, create=True).publish(fitted, metrics=kept).name
    folder = Path(out or publish or "").resolve()

    if running.json_output:
        published = {} if publish is None else {"store": str(publish), "version": version}
        show.as_json(_summary(fitted, interactions, folder, seconds, evaluation) | published)
        return
    _print(fitted, out, publish, version, seconds, evaluation)


def _read(reading: LogOptions, log: Path, run: Run) -> Interactions | ShardedLog:
    """Read the log: by the machines of the run, where it is divided for them."""
    from shoal.data.buckets import is_bucketed

    if run.executor is not None and is_bucketed(log):
        return reading.read_divided(log, run.executor, run)
    return reading.read(log, run)


def _refuse_what_does_nothing(
    name: str,
    metrics: str,
    evaluate_too: bool,
    reading: LogOptions,
    splitting: SplitOptions,
    running: ClusterRunOptions,
) -> None:
    refuse_training_options([name], running)
    name_unread_vectors([name], reading)
    if not evaluate_too:
        options = changed(splitting) + (["--metrics"] if metrics != METRICS else [])
        refuse(options, "without --evaluate: add it, or leave this out")


def _evaluate(
    model: Recommender, task: Task[Any], parts: Any, metric_names: list[str], run: Run
) -> tuple[dict[str, Any], Recommender | None]:
    """Fit a model to the training part and evaluate it.

    Returns
    -------
    evaluation : dict
    best : Recommender or None
        The model, unfitted, with the epochs and weights that were best for the validation part.
    """
    # checkpoint and training log are for the fit to the whole log
    fitted = model.fit(
        parts.train, parts.validation, replace(run, checkpoint=None, training_log=None)
    )
    evaluation = task.evaluate(fitted, parts, metric_names, run).to_dict()
    return evaluation, None if parts.validation is None else fitted.until_best()


def _with_best_choices(
    unfitted: Recommender,
    task: Task[Any],
    interactions: Interactions | ShardedLog,
    run: Run,
    quiet: bool,
) -> Recommender:
    """The model with the epochs and weights that validate best, and a line that says so."""
    from shoal.data.interactions import Interactions
    from shoal.experiments.tuning.best_epochs import with_best_epochs

    best = unfitted
    if isinstance(interactions, Interactions):
        best = with_best_epochs(unfitted, interactions, run)
    elif run.executor is not None:
        from shoal.cluster.whole import on_whole

        best = on_whole(run.executor, with_best_epochs, unfitted, interactions, run)
    if best is not unfitted and not quiet:
        what = " and ".join(unfitted.chosen_by_validation)
        show.line(f"chosen on a tenth of the {task.held_out}, kept apart: {what}", "dim")
    return best


def _summary(
    fitted: Recommender,
    interactions: LogFacts,
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
    fitted: Recommender,
    out: Path | None,
    store: Path | None,
    version: str | None,
    seconds: float,
    evaluation: dict[str, Any] | None,
) -> None:
    """The fit in words, and a command to go on with."""
    show.line(
        f"{fitted.name} {show.parameters_text(fitted.model_dump())}: {duration(seconds)}", "bold"
    )
    for name, value in fitted.facts.items():
        show.line(f"{name}: {value:.3g}")
    if evaluation is not None:
        for name, score in evaluation["metrics"].items():
            show.line(f"{name}: {score['mean']:.4f}")
    if out is not None:
        show.line(f"saved to {out}")
    if store is not None:
        show.line(f"published to {store}: {version} is live")
    items = suggest.id_list(fitted.items.take([0, 1]))
    folder = suggest.file(store if out is None else out)  # type: ignore[arg-type]
    if fitted.users is not None:  # only a model that rates keeps its users
        user = fitted.users.take([0])[0]
        next_command = suggest.command("predict", folder, "--user", user, "--items", items)
    else:
        because = ["--because"] if fitted.explains else []
        few = ["-k", fitted.n_items] if fitted.n_items < 10 else []  # it lists 10, if not told
        next_command = suggest.command("recommend", folder, "--history", items, *few, *because)
    show.line(f"next: {next_command}", "dim")
