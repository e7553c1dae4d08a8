"""`write_report`: a report as HTML and Markdown, and its tables as LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shoal.errors import ArtifactError
from shoal.experiments.report.markdown import report_markdown
from shoal.experiments.report.page import report_page
from shoal.experiments.report.run_files import read_run_files
from shoal.experiments.report.tables import csv_table, latex_document
from shoal.files import replacing

PAGE, TEXT, LATEX, TABLE = "report.html", "report.md", "table.tex", "table.csv"
_FORMAT = 1  # of results


def write_report(
    results: Mapping[str, Any], folder: str | Path, *, run_folder: str | Path | None = None
) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``table.tex`` and ``table.csv``.

    Parameters
    ----------
    results : mapping
        What ``results.json`` of a run holds: one comparison for each data set.
    folder : str or Path
        Where to write; it is made if it is not there. Each file is written whole or not at all.
    run_folder : str or Path, optional
        The folder of the run, which has the experiment file, the environment and the trials;
        `folder`, unless given.

    Returns
    -------
    list of Path
        The files, in the order of above.

    Raises
    ------
    ArtifactError
        The results are of a newer shoal or no results, a file of the run cannot be read, or the
        folder cannot be written to.
    """
    check_results(results)
    folder = Path(folder)
    run_files = read_run_files(Path(run_folder) if run_folder is not None else folder)
    texts = {
        PAGE: report_page(results, run_files),
        TEXT: report_markdown(results, run_files),
        LATEX: latex_document(results["comparisons"]),
        TABLE: csv_table(results["comparisons"]),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with replacing(folder / name) as unfinished:
                unfinished.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        raise ArtifactError(f"the report cannot be written to {folder}: {error}") from error
    return [folder / name for name in texts]


def check_results(results: Mapping[str, Any]) -> None:
    """Refuse what is no results of a run.

    Raises
    ------
    ArtifactError
        A key is missing, or a newer shoal wrote them.
    """
    if results.get("format", _FORMAT) != _FORMAT:
        raise ArtifactError(
            f"the results have format {results['format']!r}, this shoal reads {_FORMAT}: "
            "update shoal"
        )
    comparisons = results.get("comparisons")
    if not isinstance(comparisons, list) or not all(isinstance(c, Mapping) for c in comparisons):
        raise ArtifactError("these are no results of a run: they have no list `comparisons`")
    for number, comparison in enumerate(comparisons, start=1):
        missing = [key for key in ("data", "metric", "models") if key not in comparison]
        if missing or "name" not in comparison["data"]:
            what = ", ".join(missing) or "data.name"
            raise ArtifactError(f"comparison {number} of the results has no {what}")
