"""``plan`` and ``generate``: what a fit would take, and a log of any size to try it on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.app import app
from shoal.cli.model_options import model_names, settings_by_model
from shoal.cli.options import ReadOptions, RunOptions, takes
from shoal.errors import DataError


@app.command()
@takes(ReadOptions, RunOptions)
def plan(
    log: Annotated[
        Path | None, typer.Argument(help="Interaction log, unless its counts are given.")
    ] = None,
    users: Annotated[int, typer.Option(help="Number of users, in place of a log.")] = 0,
    items: Annotated[int, typer.Option(help="Number of items.")] = 0,
    interactions: Annotated[int, typer.Option(help="Number of interactions.")] = 0,
    models: Annotated[
        str, typer.Option(help="Names with commas; or all, fast (no training by steps), deep.")
    ] = "all",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="model.parameter=value, such as elsa.factors=128; repeatable."),
    ] = None,
    *,
    how: ReadOptions,
    running: RunOptions,
) -> None:
    """Estimate memory, time and model size of each model on this machine, before any fit.

    shoal plan ratings.parquet; shoal plan --users 2000000 --items 1000000 --interactions 100000000
    """
    from shoal.cli import show
    from shoal.experiments.plan import plan as estimate

    if (log is None) == (not (users or items or interactions)):
        raise DataError("name a log, or give --users, --items and --interactions")
    names = model_names(models)
    chosen = settings_by_model(set_, names)
    run = running.run()
    found = estimate(
        None if log is None else how.read(log, run),
        n_users=users,
        n_items=items,
        n_interactions=interactions,
        models=names,
        settings=chosen,
        run=run,
    )
    if running.json_output:
        show.as_json(found.to_dict())
    else:
        show.plan_table(found)


@app.command()
@takes(RunOptions)
def generate(
    users: Annotated[int, typer.Option(help="Number of users, kept exactly.")],
    items: Annotated[int, typer.Option(help="Number of items.")],
    interactions: Annotated[int, typer.Option(help="Number of interactions.")],
    out: Annotated[Path, typer.Option(help="File to write, .parquet.")],
    *,
    running: RunOptions,
) -> None:
    """Write a synthetic log of any size, to try shoal at scale (not for quality).

    Popularity is a power law, users have tastes; the same --seed gives the same log.
    """
    from time import perf_counter

    from shoal.cli import show
    from shoal.datasets.synthetic import generate as write
    from shoal.run import human_bytes

    began = perf_counter()
    run = running.run()
    path = write(out, users, items, interactions, run.seed, run)
    seconds, size = perf_counter() - began, path.stat().st_size
    if running.json_output:
        show.as_json(
            {
                "file": str(path),
                "users": users,
                "items": items,
                "interactions": interactions,
                "seed": run.seed,
                "bytes": size,
                "seconds": round(seconds, 3),
            }
        )
        return
    show.line(f"{path}: {interactions:,} interactions, {human_bytes(size)}, {seconds:.1f} s")
    show.line(f"next: shoal plan {path}", "dim")
