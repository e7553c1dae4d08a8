"""``train``, ``evaluate``, ``compare``, ``tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.app import app
from shoal.cli.model_options import (
    Model,
    Policy,
    Set,
    asked_for,
    model_names,
    settings_by_model,
)
from shoal.cli.options import (
    LogOptions,
    RunOptions,
    SplitOptions,
    takes,
)
from shoal.errors import DataError

Log = Annotated[Path, typer.Argument(help="Interaction log (CSV, TSV, JSONL, Parquet, …).")]
OptionalLog = Annotated[
    Path | None, typer.Argument(help="Interaction log, unless --train and --test are given.")
]
Metrics = Annotated[
    str,
    typer.Option(
        help="Comma-separated; the first one decides. Default: ndcg@100 and its head and tail, "
        "recall@20, recall@50, coverage@100.",
        show_default=False,
    ),
]
METRICS = "ndcg@100,recall@20,recall@50,ndcg@100:head,ndcg@100:tail,coverage@100"


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
    how: LogOptions,
    held_out: SplitOptions,
    running: RunOptions,
) -> None:
    """Fit a model to the whole log and save it.

    A deep model chooses its number of epochs on users kept apart first, unless --set n_epochs=…
    says it.
    """
    from dataclasses import replace
    from time import perf_counter

    from shoal.artifact import check_target, save
    from shoal.cli import rating, show
    from shoal.experiments.tune import with_best_epochs
    from shoal.experiments.warmup import warm_up
    from shoal.models.registry import create
    from shoal.run import first_process

    kind, given = asked_for(model, set_, policy)
    unfitted = create(kind, given)
    check_target(out)
    run = running.run()
    found = None
    epochs_open = unfitted.trained and "n_epochs" not in given
    rates = unfitted.task == "rating"
    apart = replace(run, checkpoint=None, training_log=None)  # these are for the fit that is kept
    if evaluate_too and rates:
        from shoal.evaluation.ratings import evaluate_ratings

        interactions, ratings = rating.make_split(log, how, held_out, run)
        probe = create(kind, given).fit(ratings.train, ratings.validation, apart)
        found = evaluate_ratings(probe, ratings, run).to_dict()
        if epochs_open and ratings.validation is not None:
            unfitted, epochs_open = probe.until_best(), False
        del probe
    elif evaluate_too:
        from shoal.evaluation.evaluate import evaluate

        interactions, parts = held_out.make(log, how, run)
        probe = create(kind, given).fit(parts.train, parts.validation, apart)
        found = evaluate(probe, parts.test, metrics.split(","), run).to_dict()
        if epochs_open and parts.validation is not None:
            unfitted, epochs_open = probe.until_best(), False
        del probe
    else:
        interactions = (rating.read_ratings(how) if rates else how).read(log, run)
    if not running.json_output:
        show.log_lines(interactions)
        show.estimate(unfitted, interactions, run)
    if epochs_open:
        asked, unfitted = unfitted, with_best_epochs(unfitted, interactions, run)
        if unfitted is not asked and not running.json_output:
            parts_of = "ratings" if rates else "users"
            show.line(
                f"the number of epochs was chosen on a tenth of the {parts_of}, kept apart", "dim"
            )
    warm_up(unfitted, interactions, run)
    began = perf_counter()
    fitted = unfitted.fit(interactions, None, run)
    seconds = perf_counter() - began
    folder = save(fitted, out, metrics=found) if first_process() else out
    if running.json_output:
        show.as_json(
            {
                "model": fitted.name,
                "parameters": fitted.model_dump(),
                "folder": str(folder),
                "fit_seconds": round(seconds, 3),
                "bytes_estimated": unfitted.bytes_for(interactions),
                "facts": fitted.facts,
                "data": show.log_dict(interactions),
                "metrics": found,
            }
        )
        return
    show.line(f"{fitted.name} {show.parameters_text(fitted.model_dump())}: {seconds:.2f} s", "bold")
    for name, value in fitted.facts.items():
        show.line(f"{name}: {value:.3g}")
    if found:
        for name, score in found["metrics"].items():
            show.line(f"{name}: {score['mean']:.4f}")
    show.line(f"saved to {out}")
    example = ",".join(str(i) for i in fitted.items.take([0, 1]))
    if rates and fitted.users is not None:
        user = fitted.users.take([0])[0]
        show.line(f"next: shoal predict {out} --user {user} --items {example}", "dim")
        return
    because = " --because" if fitted.explains else ""
    show.line(f"next: shoal recommend {out} --history {example}{because}", "dim")


@app.command()
@takes(LogOptions, SplitOptions, RunOptions)
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
    how: LogOptions,
    held_out: SplitOptions,
    running: RunOptions,
) -> None:
    """Split a log, fit a model on the training part, evaluate it on the test part."""
    from time import perf_counter

    from shoal import metrics as known
    from shoal.cli import show
    from shoal.evaluation.evaluate import evaluate as measure
    from shoal.experiments.warmup import warm_up
    from shoal.files import check_table
    from shoal.models.registry import create
    from shoal.run import first_process

    unfitted = create(*asked_for(model, set_, policy))
    if unfitted.task == "rating":
        from shoal.cli.rating import evaluate_ratings

        if metrics != METRICS:
            raise DataError(
                f"--metrics {metrics}: {unfitted.name} is measured by RMSE and MAE, always"
            )
        evaluate_ratings(unfitted, log, per_user, how, held_out, running)
        return
    names = [str(known.parse(name)) for name in metrics.split(",")]
    if per_user is not None:
        check_table(per_user)
    run = running.run()
    interactions, parts = held_out.make(log, how, run)
    if not running.json_output:
        show.log_lines(interactions)
        show.estimate(unfitted, parts.train, run)
    warm_up(unfitted, parts.train, run)
    began = perf_counter()
    fitted = unfitted.fit(parts.train, parts.validation, run)
    seconds = perf_counter() - began
    found = measure(fitted, parts.test, names, run)
    among_all = None
    if parts.test.candidates is not None:
        among_all = measure(fitted, parts.test.among_all(), names, run)
    if per_user is not None and first_process():
        import polars as pl

        from shoal.files import write_table

        write_table(pl.DataFrame({"user": found.users.series, **found.per_user}), per_user)
    if running.json_output:
        show.as_json(
            found.to_dict()
            | {
                "fit_seconds": round(seconds, 3),
                "facts": fitted.facts,
                "definitions": {n: known.parse(n).definition for n in names},
                "data": show.log_dict(interactions),
            }
            | ({"among_all": among_all.to_dict()} if among_all is not None else {})
        )
        return
    if among_all is not None:
        show.evaluation_table(among_all)
        show.line()
    show.evaluation_table(found)
    show.line(f"fit {seconds:.2f} s, evaluation {found.seconds:.2f} s", "dim")


@app.command()
@takes(LogOptions, SplitOptions, RunOptions)
def compare(
    log: OptionalLog = None,
    models: Annotated[
        str, typer.Option(help="Names with commas; or all, fast (no training by steps), deep.")
    ] = ("popularity,item-knn,ease,edlae,rdlae"),
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="model.parameter=value, such as ease.l2=300; repeatable."),
    ] = None,
    tune: Annotated[
        int, typer.Option(help="Tune each model on validation users with so many trials.")
    ] = 0,
    metrics: Metrics = METRICS,
    *,
    how: LogOptions,
    held_out: SplitOptions,
    running: RunOptions,
) -> None:
    """Fit several models on one split: a leaderboard with errors, costs and a verdict."""
    from shoal import metrics as known
    from shoal.cli import show
    from shoal.experiments.compare import compare as run_all
    from shoal.models.registry import by_name

    names = model_names(models, only="ranking")
    raters = [name for name in names if by_name(name).task != "ranking"]
    if raters:
        raise DataError(
            f"{', '.join(raters)} cannot be compared by rankings: see shoal evaluate --model "
            f"{raters[0]}"
        )
    chosen = settings_by_model(set_, names)  # refused before the log is read
    wanted = [str(known.parse(m)) for m in metrics.split(",")]
    run = running.run()
    interactions, parts = held_out.make(log, how, run)
    found = run_all(parts, names, metrics=wanted, settings=chosen, trials=tune, run=run)
    if running.json_output:
        show.as_json(found.to_dict() | {"data": show.log_dict(interactions)})
        return
    show.log_lines(interactions)
    show.comparison_table(found)
    if tune:
        for entry in found.entries:
            text = show.parameters_text(entry.evaluation.parameters)
            show.line(f"{entry.evaluation.model}: {text}", "dim")


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
    how: LogOptions,
    held_out: SplitOptions,
    running: RunOptions,
) -> None:
    """Choose hyper-parameters on validation users, then evaluate the choice on the test."""
    from shoal.cli import show
    from shoal.evaluation.evaluate import evaluate as measure
    from shoal.experiments.tune import tune as search
    from shoal.models.registry import by_name

    name, fixed = asked_for(model, set_, policy)
    kind = by_name(name)
    kind(**fixed)  # refuse bad settings before the log is read
    run = running.run()
    _, parts = held_out.make(log, how, run)
    found = search(
        kind,
        parts.train,
        parts.validation,
        trials=trials,
        fixed=fixed,
        metric=metric,
        run=run,
    )
    final = measure(found.model, parts.test, metrics.split(","), run)
    if running.json_output:
        show.as_json(
            {
                "best": found.best.settings,
                "validation": {metric: found.best.score},
                "trials": [{"settings": t.settings, metric: t.score} for t in found.trials],
                "test": final.to_dict(),
            }
        )
        return
    for trial in sorted(found.trials, key=lambda t: -t.score)[:10]:
        show.line(f"{metric} {trial.score:.4f}  {show.parameters_text(trial.settings)}")
    show.line("the best, on test users:", "bold")
    show.evaluation_table(final)
