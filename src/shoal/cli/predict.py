"""``predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.answering import LoadOptions, ids_of
from shoal.cli.app import app
from shoal.cli.options import takes
from shoal.cli.parse import pairs
from shoal.errors import HistoryError


@app.command()
@takes(LoadOptions)
def predict(
    model: Annotated[
        Path, typer.Argument(help="Model folder of a model that rates, or a store of its versions.")
    ],
    items: Annotated[str, typer.Option(help="Item ids: with commas, or @FILE.")],
    user: Annotated[str | None, typer.Option(help="Id of a user that it was trained on.")] = None,
    ratings: Annotated[
        str, typer.Option(help="Or a person's own ratings: ID=RATING,ID=RATING,…")
    ] = "",
    *,
    running: LoadOptions,
) -> None:
    """Predict how a person would rate some items."""
    from shoal.artifact import load
    from shoal.inference.predict import predict as predict_ratings
    from shoal.inference.recommendations import label

    if (user is None) == (not ratings):
        raise HistoryError("give either --user ID or --ratings ID=RATING,…")
    predictions = predict_ratings(
        load(model, running.run()),
        user,
        ids_of(items, "--items"),
        history=_ratings(ratings) if ratings else None,
    )
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
                "unknown": list(predictions.unknown),
            }
        )
        return
    for p in predictions:
        show.line(f"{p.rating:.2f}  {label(p.item, p.attributes)}{' (cold)' if p.cold else ''}")
    if any(p.cold for p in predictions):
        show.line("cold: without a training rating of the user or the item; a default", "dim")
    if predictions.unknown:
        show.line(f"unknown, left out: {', '.join(map(str, predictions.unknown))}", "yellow")


def _ratings(text: str) -> dict[str, float]:
    """The ratings that a person has given, by item id."""
    given = {}
    for item, rating in pairs(text, "--ratings").items():
        try:
            given[item] = float(rating)
        except ValueError:
            raise HistoryError(f"--ratings {item}={rating}: write a number, such as 4.5") from None
    return given
