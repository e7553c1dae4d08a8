"""``generate``."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from shoal.cli import show, suggest
from shoal.cli.app import app
from shoal.cli.options import OF_TRAINING, RunOptions, takes
from shoal.run import human_bytes


@app.command()
@takes(RunOptions, hide=(*OF_TRAINING, "memory", "device"))
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
    from shoal.datasets.synthetic import generate as write_log

    began = perf_counter()
    run = running.run()
    path = write_log(out, users, items, interactions, run.seed, run)
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
    show.line(f"next: {suggest.command('plan', suggest.file(path))}", "dim")
