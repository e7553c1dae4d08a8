"""The tables of a comparison, as text: in one of several shapes, by the width there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isnan

from shoal.experiments.comparison.entry import Entry, SeedScore
from shoal.experiments.text_table import table_lines
from shoal.run import duration, human_bytes


def leaderboard(entries: Sequence[Entry], width: int | None = None) -> list[str]:
    """Lines of two tables: what each model reaches, the best one first, and what it costs.

    Parameters
    ----------
    entries : sequence of Entry
        Of a comparison.
    width : int, optional
        Characters of a line; None for no limit. Of these shapes the first is taken that fits: a
        row for each model, with standard errors (and, of several seeds, the spread over them);
        without them; a row for each metric, with standard errors; without them; a list. Numbers are
        never cut.

    Returns
    -------
    list of str
    """
    if not entries:
        return []
    costs: tuple[Callable[[], list[list[str]]], ...] = (
        lambda: cost_rows(entries),
        lambda: [list(column) for column in zip(*cost_rows(entries), strict=True)],
    )
    return [*_fitting(_shapes(entries), width), "", *_fitting(costs, width)]


def _shapes(entries: Sequence[Entry]) -> tuple[Callable[[], list[list[str]]], ...]:
    return (
        lambda: _by_model(entries, errors=True),
        lambda: _by_model(entries, errors=False),
        lambda: _by_metric(entries, errors=True),
        lambda: _by_metric(entries, errors=False),
    )


def _fitting(shapes: Sequence[Callable[[], list[list[str]]]], width: int | None) -> list[str]:
    """The lines of the first shape that is not too wide; else the first one as a list."""
    for shape in shapes:
        lines = table_lines(shape())
        if width is None or max(map(len, lines)) <= width:
            return lines
    return table_lines(shapes[0](), width)


def _name(entry: Entry) -> str:
    return entry.label + (" =" if entry.tied else "")


def _mean(score: SeedScore) -> str:
    """The mean; a dash if the metric counts no user."""
    return "–" if isnan(score.mean) else f"{score.mean:.4f}"


def _errors(score: SeedScore) -> list[str]:
    """The standard error over users and, of several seeds, the spread over them."""
    errors = [] if score.se is None else [f"±{score.se:.4f}"]
    return errors if score.spread is None else [*errors, f"~{score.spread:.4f}"]


def _by_model(entries: Sequence[Entry], *, errors: bool) -> list[list[str]]:
    """A row for each model; standard errors and spreads stand below the means."""
    names = list(entries[0].scores)
    # headers broken where a person would, so that seven metrics fit 80 columns
    rows = [[n.replace("@", "\n@").replace(":", "\n:") for n in ("model", *names)]]
    for entry in entries:
        cells = [
            "\n".join([_mean(score), *(_errors(score) if errors else [])])
            for score in entry.scores.values()
        ]
        rows.append([_name(entry), *cells])
    return rows


def _by_metric(entries: Sequence[Entry], *, errors: bool) -> list[list[str]]:
    """A row for each metric; standard errors and spreads stand behind the means."""
    rows = [["", *map(_name, entries)]]
    for name in entries[0].scores:
        scores = [entry.scores[name] for entry in entries]
        rows.append(
            [name] + [" ".join([_mean(s), *(_errors(s) if errors else [])]) for s in scores]
        )
    return rows


def cost_rows(entries: Sequence[Entry]) -> list[list[str]]:
    """Rows of a table: what each model costs. Columns of which nothing is known are left out."""
    columns = {
        "costs": [entry.label for entry in entries],
        "fit": [duration(entry.fit_seconds) for entry in entries],
        "tuning": [duration(e.tune_seconds) if e.tune_seconds else "" for e in entries],
        "peak memory": ["" if e.peak_bytes is None else human_bytes(e.peak_bytes) for e in entries],
        "model size": [human_bytes(entry.model_bytes) for entry in entries],
        "a request": [
            "" if e.request_seconds is None else duration(e.request_seconds) for e in entries
        ],
    }
    shown = [[title, *cells] for title, cells in columns.items() if any(cells)]
    return [list(row) for row in zip(*shown, strict=True)]
