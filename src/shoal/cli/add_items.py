"""``add-items``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import OF_A_FIT, Folder, RunOptions, takes
from shoal.cli.outputs import OutputOptions
from shoal.errors import ModelError


@app.command()
@takes(RunOptions, OutputOptions, hide=(*OF_A_FIT, "threads", "device"))
def add_items(
    model: Folder,
    vectors: Annotated[
        Path, typer.Argument(help="Their vectors: .parquet, or .npy in the order of --items.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to; may be that of the model.")],
    items: Annotated[
        Path | None, typer.Option(help="Table of the new items, for their titles.")
    ] = None,
    item_id: Annotated[
        str | None, typer.Option(help="The id column of --items, if it has no usual name.")
    ] = None,
    *,
    running: RunOptions,
    writing: OutputOptions,
) -> None:
    """Give a model that reads texts new items, by their vectors, without a fit.

    Items that the model has already, and those whose vector is zero, are left out and counted.
    """
    from shoal.artifact import load, save
    from shoal.base.semantic import VectorRecommender
    from shoal.data.items import read_items
    from shoal.data.vectors import Vectors

    writing.check_folder(out, vectors, items)  # it may be the folder of the model
    fitted = load(model, running.run())
    candidates = Vectors.read(vectors, items if vectors.suffix.lower() == ".npy" else None)
    titles = None if items is None else read_items(items, item_id=item_id)
    if not isinstance(fitted, VectorRecommender):
        fitted.add_items([], candidates.matrix)  # says which models can do it
        raise ModelError(f"{fitted.name} keeps no item vectors to compare with those of {vectors}")
    new = fitted.new_items(candidates, str(vectors))
    larger = fitted.add_items(new.ids, new.matrix, titles)
    save(larger, out)
    if running.json_output:
        show.as_json(
            {
                "model": larger.name,
                "added": len(new.ids),
                "items": larger.n_items,
                "known_before": new.n_known,
                "without_vector": new.n_empty,
                "folder": str(out),
                **({"notes": list(new.notes)} if new.notes else {}),
            }
        )
        return
    for note in new.notes:
        show.line(note, "yellow")
    show.line(f"{larger.name}: {len(new.ids):,} items added, {larger.n_items:,} in all", "bold")
    if new.n_known:
        show.line(f"{new.n_known:,} were in the model already and are as they were")
    if new.n_empty:
        show.line(f"{new.n_empty:,} have a vector of zeros and are left out")
    show.line(f"saved to {out}")
