"""What `compare` writes: its results as a table, JSON or a page, and the values of each user."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.experiments.plain_data import finite

if TYPE_CHECKING:
    from shoal.data.interactions import Interactions
    from shoal.experiments.comparison.conclude import Comparison
    from shoal.run import Run
    from shoal.splitting.held_out import Split

ENDINGS = (".csv", ".json", ".tex", ".html")


def check_results(path: Path) -> None:
    """Check before long work whether results can be written under a name.

    Raises
    ------
    ArtifactError
    """
    from shoal.files import check_table  # here, since it loads polars

    check_table(path, ENDINGS)


def write_results(comparison: Comparison, path: Path, name: str) -> None:
    """Write a comparison, in the form that the ending of the file's name says.

    Parameters
    ----------
    comparison : Comparison
    path : Path
        ``.csv`` and ``.tex`` hold the table, ``.json`` everything, ``.html`` a page that shows it.
    name : str
        What the comparison is called.
    """
    from shoal._version import __version__
    from shoal.files import replacing

    results = {
        "made_by": f"shoal {__version__}",
        "format": 1,
        "name": name,
        "comparisons": [finite(comparison.to_dict())],
    }
    with replacing(path) as unfinished:
        unfinished.write_text(_text(results, path.suffix), encoding="utf-8")


def add_extras(
    comparison: Comparison, path: Path, parts: Split, log: Interactions, run: Run
) -> None:
    """Write a page again, with what the models that the comparison kept have learned.

    Parameters
    ----------
    comparison : Comparison
    path : Path
        Which `write_results` wrote.
    parts : Split
        Of the first seed.
    log : Interactions
    run : Run
    """
    from shoal.experiments.report.extras import make_extras

    extras = make_extras(
        comparison.models, parts, log, run, seed=comparison.seeds[0], metric=comparison.metric
    )
    write_results(replace(comparison, extras=extras), path, str(comparison.data["name"]))


def _text(results: dict[str, Any], ending: str) -> str:
    if ending == ".json":
        return json.dumps(results, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    if ending == ".html":
        from shoal.experiments.report.page import report_page

        return report_page(results)
    from shoal.experiments.report.tables import csv_table, latex_document

    if ending == ".csv":
        return csv_table(results["comparisons"])
    from shoal.files import LATEX_MARK

    return f"{LATEX_MARK}\n{latex_document(results['comparisons'])}"


def write_per_user(comparison: Comparison, path: Path, *, guard_formulas: bool) -> None:
    """Write the values of each user: columns seed, model, user, history, and one per metric."""
    from shoal.files import write_table

    frame = comparison.per_user_frame()
    write_table(frame, path, guard_formulas=guard_formulas)
