"""``plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.model_options import Models, model_names, settings_by_model
from shoal.cli.options import ReadOptions, RunOptions, takes
from shoal.cli.unused import changed, refuse
from shoal.errors import DataError


@app.command()
@takes(ReadOptions, RunOptions, hide=("checkpoint", "training_log"))
def plan(
    log: Annotated[
        Path | None, typer.Argument(help="Interaction log, unless its counts are given.")
    ] = None,
    users: Annotated[int, typer.Option(help="Number of users, in place of a log.")] = 0,
    items: Annotated[int, typer.Option(help="Number of items.")] = 0,
    interactions: Annotated[int, typer.Option(help="Number of interactions.")] = 0,
    models: Models = "all",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="model.parameter=value, such as elsa.factors=128; repeatable."),
    ] = None,
    *,
    reading: ReadOptions,
    running: RunOptions,
) -> None:
    """Estimate memory, time and model size of each model on this machine, before any fit.

    shoal plan ratings.parquet; shoal plan --users 2000000 --items 1000000 --interactions 100000000
    """
    from shoal.experiments.plan import plan as plan_fits

    if (log is None) == (not (users or items or interactions)):
        raise DataError("name a log, or give --users, --items and --interactions")
    if log is None:
        refuse(changed(reading), "without a log: leave it out, or name the log")
    names = model_names(models)
    settings = settings_by_model(set_, names)
    run = running.run()
    estimates = plan_fits(
        None if log is None else reading.read(log, run),
        n_users=users,
        n_items=items,
        n_interactions=interactions,
        models=names,
        settings=settings,
        run=run,
    )
    if running.json_output:
        show.as_json(estimates.to_dict())
    else:
        show.plan_table(estimates)
