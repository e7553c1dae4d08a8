"""``map``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import OF_TRAINING, Folder, LogOptions, RunOptions, takes
from shoal.cli.outputs import TableOptions
from shoal.cli.unused import refuse

CLUSTERS = 8


@app.command("map")
@takes(RunOptions, TableOptions, hide=(*OF_TRAINING, "device"))
def map_(
    model: Folder,
    out: Annotated[Path, typer.Option(help="File to write: .html, .png, .svg, or .csv, .parquet.")],
    items: Annotated[int, typer.Option(help="How many items; 0: all.")] = 2000,
    log: Annotated[
        Path | None, typer.Option(help="Log to count popularity in, to take the most popular.")
    ] = None,
    columns: Annotated[str, typer.Option(help="Of --log: user=…,item=….")] = "",
    colour: Annotated[
        str, typer.Option(help="An attribute of the items (genres, year), or cluster.")
    ] = "cluster",
    clusters: Annotated[int, typer.Option(help="How many clusters.")] = CLUSTERS,
    perplexity: Annotated[
        float, typer.Option(help="About how many neighbours an item has on the map.")
    ] = 30.0,
    *,
    running: RunOptions,
    writing: TableOptions,
) -> None:
    """Draw a map of the items: near ones get like answers from the model."""
    from shoal.artifact import load
    from shoal.maps.item_map import item_map
    from shoal.maps.write import check_map, write_map

    check_map(out)
    writing.check(out, log, model)
    if log is None and columns:
        refuse(["--columns"], "without --log FILE: leave it out, or name the log")
    if colour != "cluster" and clusters != CLUSTERS:
        refuse(["--clusters"], f"with --colour {colour}: leave it out, or colour by cluster")
    if out.suffix != ".csv" and writing.guard_formulas:
        refuse(["--guard-formulas"], f"in {out.suffix} files: name one that ends in .csv")
    run = running.run()
    fitted = load(model, run)
    reading = LogOptions(columns=columns).like_training_log(fitted, quiet=True)
    drawn = item_map(
        fitted,
        items=items or None,
        log=None if log is None else reading.read(log, run),
        colour=colour,
        n_clusters=clusters,
        perplexity=perplexity,
        run=run,
    )
    write_map(drawn, out, guard_formulas=writing.guard_formulas)
    if running.json_output:
        has_groups = drawn.colouring.values is None  # otherwise it is a scale of numbers
        show.as_json(
            {
                "file": str(out),
                "model": fitted.name,
                "items": len(drawn),
                "catalogue": drawn.n_catalogue,
                "perplexity": drawn.perplexity,
                "panels": [
                    {"name": panel.name, "kept": panel.kept, "divergence": panel.divergence}
                    for panel in drawn.panels
                ],
                "colour": drawn.colouring.name,
                "groups": drawn.colouring.counts if has_groups else None,
                "notes": list(drawn.notes),
            }
        )
        return
    for note in drawn.notes:
        show.line(note, "yellow")
    show.line(f"{len(drawn):,} of {drawn.n_catalogue:,} items, coloured by {colour}: {out}")
    for panel in drawn.panels:
        show.line(
            f"{panel.name}: {panel.kept:.0%} of each item's ten nearest by answer are among its "
            "ten nearest on the map",
            "dim",
        )
