"""The table of a comparison, as text: in one of several shapes, by the width there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shoal.experiments.text_table import table_lines
from shoal.run import human_bytes


def leaderboard(entries: Sequence[Any], width: int | None = None) -> list[str]:
    """Lines of a table: what each model reaches and costs, the best one first.

    Parameters
    ----------
    entries : sequence of Entry
        Of a comparison.
    width : int, optional
        Characters of a line; None for no limit. Of these shapes the first is taken that fits: a
        row for each model, with standard errors; without them; a row for each metric, with
        standard errors; without them; a list. Numbers are never cut.

    Returns
    -------
    list of str
    """
    if not entries:
        return []
    shapes: tuple[Callable[[], list[list[str]]], ...] = (
        lambda: _by_model(entries, errors=True),
        lambda: _by_model(entries, errors=False),
        lambda: _by_metric(entries, errors=True),
        lambda: _by_metric(entries, errors=False),
    )
    for shape in shapes:
        lines = table_lines(shape())
        if width is None or max(map(len, lines)) <= width:
            return lines
    return table_lines(_by_model(entries, errors=True), width)


def _name(entry: Any) -> str:
    return str(entry.evaluation.model) + (" =" if entry.tied else "")


def _cost(entry: Any) -> list[str]:
    return [f"{entry.fit_seconds:.3g}s", human_bytes(entry.model_bytes)]


def _by_model(entries: Sequence[Any], *, errors: bool) -> list[list[str]]:
    """A row for each model; standard errors stand below the means."""
    names = list(entries[0].evaluation.scores)
    # headers broken where a person would, so that six metrics fit 80 columns
    rows = [[n.replace("@", "\n@").replace(":", "\n:") for n in ("model", *names, "fit", "size")]]
    for entry in entries:
        cells = [
            f"{score.mean:.4f}" + (f"\n±{score.se:.4f}" if errors and score.se is not None else "")
            for score in entry.evaluation.scores.values()
        ]
        rows.append([_name(entry), *cells, *_cost(entry)])
    return rows


def _by_metric(entries: Sequence[Any], *, errors: bool) -> list[list[str]]:
    """A row for each metric; standard errors stand behind the means."""
    rows = [["", *map(_name, entries)]]
    for name in entries[0].evaluation.scores:
        scores = [entry.evaluation.scores[name] for entry in entries]
        rows.append(
            [name]
            + [
                f"{score.mean:.4f}"
                + (f" ±{score.se:.4f}" if errors and score.se is not None else "")
                for score in scores
            ]
        )
    for place, label in enumerate(("fit", "size")):
        rows.append([label, *(_cost(entry)[place] for entry in entries)])
    return rows
