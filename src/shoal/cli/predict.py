"""``predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.answering import LoadOptions, ids_of
from shoal.cli.app import app
from shoal.cli.options import takes


@app.command()
@takes(LoadOptions)
def predict(
    model: Annotated[
        Path, typer.Argument(help="Model folder of a model that rates, or a store of its versions.")
    ],
    user: Annotated[str, typer.Option(help="Id of a user that it was trained on.")],
    items: Annotated[str, typer.Option(help="Item ids: with commas, or @FILE.")],
    *,
    running: LoadOptions,
) -> None:
    """Predict how a user would rate some items."""
    from shoal.artifact import load
    from shoal.inference.predict import predict as predict_ratings
    from shoal.inference.recommendations import label

    predictions = predict_ratings(load(model, running.run()), user, ids_of(items, "--items"))
    if running.json_output:
        show.as_json(
            {
                "user": predictions.user,
                "range": [predictions.low, predictions.high],
                "items": [
                    {
                        "item": p.item,
                        "id": p.item,
                        "rating": p.rating,
                        "cold": p.cold,
                        "attributes": p.attributes,
                    }
                    for p in predictions
                ],
            }
        )
        return
    for p in predictions:
        show.line(f"{p.rating:.2f}  {label(p.item, p.attributes)}{' (cold)' if p.cold else ''}")
    if any(p.cold for p in predictions):
        show.line("cold: without a training rating of the user or the item; a default", "dim")
