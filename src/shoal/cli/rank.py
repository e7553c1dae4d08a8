"""``rank``."""

from __future__ import annotations

from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.answering import RankOptions, ids_of
from shoal.cli.app import app
from shoal.cli.one_history import HistoryOptions
from shoal.cli.options import Folder, ReadOptions, takes


@app.command()
@takes(HistoryOptions, ReadOptions, RankOptions)
def rank(
    model: Folder,
    candidates: Annotated[str, typer.Option(help="Ids to put in order: with commas, or @FILE.")],
    because: Annotated[
        bool, typer.Option("--because", help="Say what each history item adds.")
    ] = False,
    *,
    asking: HistoryOptions,
    reading: ReadOptions,
    running: RankOptions,
) -> None:
    """Put given items into the order of their scores for one person, seen ones too."""
    from shoal.artifact import load
    from shoal.inference.rank import rank as rank_items

    asking.check(reading)
    run = running.run()
    fitted = load(model, run)
    history = asking.read(fitted, reading, run, quiet=running.json_output)
    reasons = show.how_many_reasons(running.json_output) if because else False
    answer = rank_items(
        fitted,
        history,
        ids_of(candidates, "--candidates"),
        user=asking.user,
        because=reasons,
        run=run,
    )
    show.recommendations(answer, running.json_output)
