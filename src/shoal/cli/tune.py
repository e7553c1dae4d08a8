"""``tune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.model_options import Model, Policy, Set, model_to_search
from shoal.cli.options import METRICS, LogOptions, OptionalLog, RunOptions, SplitOptions, takes
from shoal.cli.outputs import check_training_log
from shoal.cli.unused import name_unread_vectors, refuse_training_options

if TYPE_CHECKING:
    from shoal.evaluation.evaluate import Evaluation
    from shoal.experiments.tuning.tune import Tuned


@app.command()
@takes(LogOptions, SplitOptions, RunOptions)
def tune(
    log: OptionalLog = None,
    model: Model = None,
    trials: Annotated[int, typer.Option(help="Settings to try.")] = 20,
    set_: Set = None,
    policy: Policy = None,
    metric: Annotated[str, typer.Option(help="That decides, on validation users.")] = "ndcg@100",
    metrics: Annotated[str, typer.Option(help="For the final table, on test users.")] = METRICS,
    *,
    reading: LogOptions,
    splitting: SplitOptions,
    running: RunOptions,
) -> None:
    """Choose hyper-parameters on validation users, then evaluate the choice on the test."""
    from shoal.experiments.tasks import RANKING
    from shoal.experiments.tuning.tune import tune as tune_model
    from shoal.models.registry import by_name

    chosen = model_to_search(model, set_, policy)
    name, fixed = chosen.name, chosen.settings
    reading = reading.counting(chosen.events)
    kind = by_name(name)
    kind(**fixed)  # refuse bad settings before the log is read
    refuse_training_options([name], running)
    name_unread_vectors([name], reading)
    check_training_log(running.training_log, log, splitting.train, splitting.test, policy)
    metric_names = RANKING.metric_names(metrics)
    run = running.run()

    interactions, parts = splitting.make(RANKING, log, reading, run)
    if not running.json_output:
        show.log_lines(interactions)
    tuned = tune_model(
        kind,
        parts.train,
        parts.validation,
        trials=trials,
        fixed=fixed,
        metric=metric,
        run=run,
    )
    evaluation = RANKING.evaluate(tuned.model, parts, metric_names, run)

    if running.json_output:
        show.as_json(
            {
                "best": tuned.best.settings,
                "validation": {metric: tuned.best.score},
                "trials": [
                    {"settings": trial.settings, metric: trial.score} for trial in tuned.trials
                ],
                "test": evaluation.to_dict(),
            }
        )
    else:
        _print(tuned, evaluation, metric)


def _print(tuned: Tuned, evaluation: Evaluation, metric: str) -> None:
    """The ten best trials, and how the best model does on the test users."""
    for trial in sorted(tuned.trials, key=lambda trial: -trial.score)[:10]:
        show.line(f"{metric} {trial.score:.4f}  {show.parameters_text(trial.settings)}")
    show.line("the best, on test users:", "bold")
    show.evaluation_lines(evaluation)
