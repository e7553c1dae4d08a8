"""``compare``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.faults import to_stderr
from shoal.cli.model_options import Models, model_names, settings_by_model
from shoal.cli.options import (
    METRICS,
    LogOptions,
    Metrics,
    OptionalLog,
    RunOptions,
    SplitOptions,
    takes,
)
from shoal.cli.outputs import check_training_log
from shoal.cli.progress import announce
from shoal.cli.unused import name_unread_vectors, refuse_training_options
from shoal.errors import DataError

if TYPE_CHECKING:
    from shoal.data.interactions import Interactions
    from shoal.experiments.comparison.compare import Comparison


@app.command()
@takes(LogOptions, SplitOptions, RunOptions)
def compare(
    log: OptionalLog = None,
    models: Models = "popularity,item-knn,ease,edlae,rdlae",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="model.parameter=value, such as ease.l2=300; repeatable."),
    ] = None,
    tune: Annotated[
        int, typer.Option(help="Tune each model on validation users with so many trials.")
    ] = 0,
    metrics: Metrics = METRICS,
    *,
    reading: LogOptions,
    splitting: SplitOptions,
    running: RunOptions,
) -> None:
    """Fit several models on one split: a leaderboard with errors, costs and a verdict."""
    from shoal.experiments.comparison.compare import Entry, conclude
    from shoal.experiments.comparison.compare import compare as compare_models
    from shoal.experiments.tasks import RANKING

    names = _names_of_ranking_models(models)
    settings = settings_by_model(set_, names)
    refuse_training_options(names, running)
    name_unread_vectors(names, reading)
    check_training_log(running.training_log, log, splitting.train, splitting.test)
    metric_names = RANKING.metric_names(metrics)
    run = running.run()

    interactions, parts = splitting.make(RANKING, log, reading, run)
    if not running.json_output:
        show.log_lines(interactions)
    finished: list[Entry] = []

    def seen(entry: Entry) -> None:
        finished.append(entry)
        if not running.json_output:
            name, score = next(iter(entry.evaluation.scores.items()))
            place = f"{len(finished)} of {len(names)}"
            announce(
                f"{entry.evaluation.model}: {name} {score}, {entry.fit_seconds:.3g} s ({place})"
            )

    try:
        comparison = compare_models(
            parts, names, metrics=metric_names, settings=settings, trials=tune, run=run, seen=seen
        )
    except KeyboardInterrupt:
        if finished:
            done = {entry.evaluation.model for entry in finished}
            missing = [name for name in names if name not in done]
            partial = conclude(parts, metric_names, finished, {})
            _print(partial, interactions, running, tune, interrupted=missing)
            to_stderr(f"interrupted: these models were not finished: {', '.join(missing)}")
        raise
    _print(comparison, interactions, running, tune)


def _print(
    comparison: Comparison,
    interactions: Interactions,
    running: RunOptions,
    tuned: int,
    interrupted: Sequence[str] = (),
) -> None:
    """The leaderboard, or JSON of it, which names the models that an interrupt left out."""
    if running.json_output:
        data = {"data": show.log_dict(interactions)}
        unfinished = {"interrupted": list(interrupted)} if interrupted else {}
        show.as_json(comparison.to_dict() | data | unfinished)
        return
    show.comparison_table(comparison)
    if tuned:
        for entry in comparison.entries:
            parameters = show.parameters_text(entry.evaluation.parameters)
            show.line(f"{entry.evaluation.model}: {parameters}", "dim")


def _names_of_ranking_models(models: str) -> list[str]:
    """The models that --models names; those that rate are refused."""
    from shoal.models.registry import by_name

    names = model_names(models, only="ranking")
    raters = [name for name in names if by_name(name).task != "ranking"]
    if raters:
        raise DataError(
            f"{', '.join(raters)} cannot be compared by rankings: see shoal evaluate --model "
            f"{raters[0]}"
        )
    return names
