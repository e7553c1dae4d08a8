"""``add-items``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.app import app
from shoal.cli.options import Folder, RunOptions, takes


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
    *,
    running: RunOptions,
) -> None:
    """Give a model that reads texts new items, by their vectors, without a fit.

    Items that the model has already, and those whose vector is zero, are left out and counted.
    """
    from shoal.artifact import check_target, load, save
    from shoal.cli import show
    from shoal.data.items import read_items
    from shoal.data.vectors import Vectors
    from shoal.errors import DataError

    check_target(out)
    run = running.run()
    fitted = load(model, run)
    given = Vectors.read(vectors, items if vectors.suffix.lower() == ".npy" else None)
    known = fitted.items.match(given.ids) >= 0
    new = given.there & ~known
    if not new.any():
        raise DataError(
            f"{vectors} has no new item: {known.sum():,} of its {len(given):,} items are in the "
            f"model, and {(~given.there).sum():,} have a vector of zeros"
        )
    table = None if items is None else read_items(items)
    larger = fitted.add_items(given.ids.take(new.nonzero()[0]), given.matrix[new], table)
    save(larger, out)
    if running.json_output:
        show.as_json(
            {
                "model": larger.name,
                "added": int(new.sum()),
                "items": larger.n_items,
                "known_before": int(known.sum()),
                "without_vector": int((~given.there).sum()),
                "folder": str(out),
            }
        )
        return
    show.line(f"{larger.name}: {new.sum():,} items added, {larger.n_items:,} in all", "bold")
    if known.any():
        show.line(f"{known.sum():,} were in the model already and are as they were")
    if not given.there.all():
        show.line(f"{(~given.there).sum():,} have a vector of zeros and are left out")
    show.line(f"saved to {out}")
