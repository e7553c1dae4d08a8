"""``add-items``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import Folder, RunOptions, takes
from shoal.errors import DataError


@app.command()
@takes(RunOptions)
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
) -> None:
    """Give a model that reads texts new items, by their vectors, without a fit.

    Items that the model has already, and those whose vector is zero, are left out and counted.
    """
    from shoal.artifact import check_target, load, save
    from shoal.data.items import read_items
    from shoal.data.vectors import Vectors

    check_target(out)
    fitted = load(model, running.run())
    candidates = Vectors.read(vectors, items if vectors.suffix.lower() == ".npy" else None)
    known = fitted.items.match(candidates.ids) >= 0
    new = candidates.there & ~known
    n_new, n_known, n_empty = int(new.sum()), int(known.sum()), int((~candidates.there).sum())
    if n_new == 0:
        raise DataError(
            f"{vectors} has no new item: {n_known:,} of its {len(candidates):,} items are in the "
            f"model, and {n_empty:,} have a vector of zeros"
        )
    titles = None if items is None else read_items(items, item_id=item_id)
    ids = candidates.ids.take(new.nonzero()[0])
    larger = fitted.add_items(ids, candidates.matrix[new], titles)
    save(larger, out)
    if running.json_output:
        show.as_json(
            {
                "model": larger.name,
                "added": n_new,
                "items": larger.n_items,
                "known_before": n_known,
                "without_vector": n_empty,
                "folder": str(out),
            }
        )
        return
    show.line(f"{larger.name}: {n_new:,} items added, {larger.n_items:,} in all", "bold")
    if n_known:
        show.line(f"{n_known:,} were in the model already and are as they were")
    if n_empty:
        show.line(f"{n_empty:,} have a vector of zeros and are left out")
    show.line(f"saved to {out}")
