"""``similar``."""

from __future__ import annotations

from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.answering import RankOptions
from shoal.cli.app import app
from shoal.cli.item_rules import ItemRules
from shoal.cli.options import Folder, HowMany, takes


@app.command()
@takes(ItemRules, RankOptions)
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
    rules: ItemRules,
    running: RankOptions,
) -> None:
    """Show the items that the presence of one item speaks for most."""
    from shoal.artifact import load
    from shoal.inference.similar import dissimilar as dissimilar_items
    from shoal.inference.similar import similar as similar_items

    run = running.run()
    if opposite:
        rules.refuse_any("does not go with --dissimilar")
        items = dissimilar_items(load(model, run), item, k, run=run)
    else:
        items = similar_items(load(model, run), item, k, run=run, **rules.keywords())
    show.recommendations(items, running.json_output)
