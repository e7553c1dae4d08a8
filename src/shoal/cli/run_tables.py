"""What `run` and `runs show` print of a run: tables, verdicts, and the figures of papers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from shoal.cli import show

if TYPE_CHECKING:
    from shoal.experiments.runs.folder import RunFolder


def print_comparisons(folder: RunFolder, *, sizes: bool = False) -> None:
    """Print the table and the verdict of each data set, and what is not finished.

    Parameters
    ----------
    folder : RunFolder
    sizes : bool
        Whether the size of each data set is said.
    """
    from shoal.experiments.runs.ending import comparisons_of, not_begun
    from shoal.experiments.runs.folder import PARTIAL

    later = folder.about["status"] == PARTIAL
    for comparison in comparisons_of(folder):
        data = comparison.data
        show.line()
        show.line(str(data["name"]), "bold")
        if sizes:
            show.line(
                f"{data['users']:,} users × {data['items']:,} items, {data['interactions']:,} "
                f"interactions ({data['density']:.2%} dense)",
                "dim",
            )
        show.comparison_table(comparison)
        for text in comparison.about_unfinished(later=later):
            show.line(text, "yellow")
        _print_published(comparison.to_dict()["published"])
    missing = not_begun(folder)
    if missing:
        show.line()
        show.line(f"data not begun: {', '.join(missing)}", "yellow")


def _print_published(figures: list[dict[str, Any]]) -> None:
    """Print figures of papers beside ours; a note of several rows stands below, once."""
    from shoal.experiments.comparison.words import signed

    if not figures:
        return
    counts = Counter(str(figure.get("note") or "") for figure in figures)
    repeated = [note for note, count in counts.items() if note and count > 1]
    marks = {note: f"[{number}]" for number, note in enumerate(repeated, start=1)}
    rows = [["model", "metric", "published", "ours", "difference", "source", "note"]]
    for figure in figures:
        value, ours = figure["value"], figure["ours"]
        note = str(figure.get("note") or "")
        rows.append(
            [
                *(str(figure["model"]), str(figure["metric"]), f"{value:.4g}"),
                "–" if ours is None else f"{ours:.4f}",
                "–" if ours is None else signed(ours - value),
                *(str(figure.get("source") or ""), marks.get(note, note)),
            ]
        )
    show.line()
    show.line("published figures beside ours", "bold")
    show.table(rows)
    for note, mark in marks.items():
        show.line(f"{mark} {note}", "dim")
