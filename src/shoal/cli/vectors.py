"""``vectors``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import OF_A_FIT, Folder, LogOptions, RunOptions, takes
from shoal.cli.outputs import OutputOptions
from shoal.cli.unused import refuse_without_log


@app.command()
@takes(LogOptions, RunOptions, OutputOptions, hide=(*OF_A_FIT, "threads", "device"))
def vectors(
    model: Folder,
    out: Annotated[Path, typer.Option(help="File to write: .parquet, or .npy.")],
    log: Annotated[
        Path | None, typer.Option(help="Vectors of this log's users instead of the items'.")
    ] = None,
    *,
    reading: LogOptions,
    running: RunOptions,
    writing: OutputOptions,
) -> None:
    """Write a model's item vectors, or those of histories, for a search engine of your own.

    A history's vector times an item's is the item's score. A .npy file has the numbers alone; ids
    go to a .parquet file beside it.
    """
    import polars as pl

    from shoal.artifact import load
    from shoal.files import check_vectors, write_vectors

    check_vectors(out)
    writing.check(out, log, model)
    refuse_without_log(reading, log)
    run = running.run()
    fitted = load(model, run).vector_model
    if log is None:
        role, ids, matrix = "item", fitted.items.series, fitted.vectors()
    else:
        reading = reading.like_training_log(fitted, quiet=running.json_output)
        interactions = reading.read(log, run)
        histories = fitted.histories(interactions.onto_items(fitted.items))
        role, ids, matrix = "user", interactions.users.series, fitted.user_vectors(histories)
    files = write_vectors(pl.Series(role, ids), matrix, out)
    rows, width = matrix.shape
    if running.json_output:
        show.as_json({"of": role, "rows": rows, "width": width, "files": [str(f) for f in files]})
        return
    show.line(f"{rows:,} {role}s, {width} numbers each: {out}")
