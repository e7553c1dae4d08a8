"""``map``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.app import app
from shoal.cli.options import Folder, LogOptions, RunOptions, takes


@app.command("map")
@takes(RunOptions)
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
    clusters: Annotated[int, typer.Option(help="How many clusters.")] = 8,
    perplexity: Annotated[
        float, typer.Option(help="About how many neighbours an item has on the map.")
    ] = 30.0,
    *,
    running: RunOptions,
) -> None:
    """Draw a map of the items: near ones get like answers from the model."""
    from shoal.artifact import load
    from shoal.cli import show
    from shoal.maps.item_map import item_map
    from shoal.maps.write import check_map, write_map

    check_map(out)
    run = running.run()
    fitted = load(model, run)
    read_as = LogOptions(columns=columns, min_value=fitted.preparation.get("min_value"))
    found = item_map(
        fitted,
        items=items or None,
        log=None if log is None else read_as.read(log, run),
        colour=colour,
        n_clusters=clusters,
        perplexity=perplexity,
        run=run,
    )
    write_map(found, out)
    if running.json_output:
        scale = found.colouring.values is not None
        show.as_json(
            {
                "file": str(out),
                "model": fitted.name,
                "items": len(found),
                "catalogue": found.n_catalogue,
                "perplexity": found.perplexity,
                "panels": [
                    {"name": p.name, "kept": p.kept, "divergence": p.divergence}
                    for p in found.panels
                ],
                "colour": found.colouring.name,
                "groups": None if scale else found.colouring.counts,
                "notes": list(found.notes),
            }
        )
        return
    for note in found.notes:
        show.line(note, "yellow")
    show.line(f"{len(found):,} of {found.n_catalogue:,} items, coloured by {colour}: {out}")
    for panel in found.panels:
        show.line(
            f"{panel.name}: {panel.kept:.0%} of each item's ten nearest by answer are among its "
            "ten nearest on the map",
            "dim",
        )
