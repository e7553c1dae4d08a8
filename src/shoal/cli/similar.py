"""``similar``."""

from __future__ import annotations

from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.answering import RankOptions
from shoal.cli.app import app
from shoal.cli.options import Folder, HowMany, takes


@app.command()
@takes(RankOptions)
def similar(
    model: Folder,
    item: Annotated[str, typer.Argument(help="Item id.")],
    k: HowMany = 10,
    opposite: Annotated[
        bool,
        typer.Option(
            "--dissimilar", help="Those it speaks against: negative weights of a linear model."
        ),
    ] = False,
    *,
    running: RankOptions,
) -> None:
    """Show the items that the presence of one item speaks for most."""
    from shoal.artifact import load
    from shoal.inference.similar import dissimilar as dissimilar_items
    from shoal.inference.similar import similar as similar_items

    run = running.run()
    items_like = dissimilar_items if opposite else similar_items
    show.recommendations(items_like(load(model, run), item, k, run=run), running.json_output)
