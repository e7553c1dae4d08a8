"""``explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.answering import RankOptions
from shoal.cli.app import app
from shoal.cli.one_history import HistoryOptions
from shoal.cli.options import Folder, ReadOptions, takes

if TYPE_CHECKING:
    from shoal.inference.explain import Explanation


@app.command()
@takes(HistoryOptions, ReadOptions, RankOptions)
def explain(
    model: Folder,
    item: Annotated[str, typer.Argument(help="Item id.")],
    *,
    asking: HistoryOptions,
    reading: ReadOptions,
    running: RankOptions,
) -> None:
    """Show what of a history speaks for one item and what against it, and its rank."""
    from shoal.artifact import load
    from shoal.inference.explain import explain as explain_item

    asking.check(reading)
    run = running.run()
    fitted = load(model, run)
    history = asking.read(fitted, reading, run, quiet=running.json_output)
    explanation = explain_item(fitted, history, item, user=asking.user)
    if running.json_output:
        show.as_json(_as_dict(explanation))
    else:
        show.paragraph(str(explanation))


def _as_dict(explanation: Explanation) -> dict[str, Any]:
    """Plain data for JSON."""
    return {
        "item": explanation.item,
        "id": explanation.item,  # the same, for programs that know it by this name
        "score": explanation.score,
        "rank": explanation.rank,
        "ranked": explanation.n_ranked,
        "seen": explanation.seen,
        "cold": explanation.cold,
        "attributes": explanation.attributes,
        "exact": explanation.exact,
        "evidence": explanation.evidence,
        "contributions": [
            {
                "item": reason.item,
                "id": reason.item,
                "contribution": reason.contribution,
                "attributes": reason.attributes,
            }
            for reason in explanation.contributions
        ],
        "unknown": list(explanation.unknown),
    }
