"""``complement``."""

from __future__ import annotations

from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.answering import RankOptions, ids_of
from shoal.cli.app import app
from shoal.cli.item_rules import ItemRules
from shoal.cli.options import Folder, HowMany, takes


@app.command()
@takes(ItemRules, RankOptions)
def complement(
    model: Folder,
    items: Annotated[str, typer.Option(help="Ids of the cart: with commas, or @FILE.")],
    k: HowMany = 10,
    because: Annotated[
        bool, typer.Option("--because", help="Say what each history item adds.")
    ] = False,
    exclude: Annotated[
        str, typer.Option(help="Ids never to recommend: with commas, or @FILE.")
    ] = "",
    only: Annotated[str, typer.Option(help="Ids to choose among: with commas, or @FILE.")] = "",
    *,
    favouring: ItemRules,
    running: RankOptions,
) -> None:
    """Show the items that go with all items of a cart together."""
    from shoal.artifact import load
    from shoal.inference.complement import complement as complement_items

    run = running.run()
    answer = complement_items(
        load(model, run),
        ids_of(items, "--items"),
        k,
        exclude=ids_of(exclude, "--exclude"),
        only=ids_of(only, "--only") or None,
        because=show.how_many_reasons(running.json_output) if because else False,
        run=run,
        **favouring.keywords(),
    )
    show.recommendations(answer, running.json_output)
