"""The end of a run: results, report and trackers, none of which can cost what was measured."""

from __future__ import annotations

import warnings
from pathlib import Path

from shoal.experiments.runs.ending import write_results
from shoal.experiments.runs.folder import COMPLETE, RunFolder, now
from shoal.experiments.runs.order import Order


def finish(folder: RunFolder, order: Order, status: str, seconds: float) -> None:
    """Write results and the report of all that was measured, and report to trackers.

    Parameters
    ----------
    folder : RunFolder
    order : Order
    status : {"complete", "partial", "interrupted", "failed"}
        Trackers are told of complete runs alone.
    seconds : float
        How long the run took, with the processes before.
    """
    comparisons = write_results(folder)
    folder.set(status=status, ended=now(), seconds=seconds)
    output = order.experiment.output
    if output.report and comparisons:
        try:
            write_report_of(folder)
        except Exception as error:
            warnings.warn(
                f"the report could not be written ({type(error).__name__}: {error}): all results "
                f"are in {folder.path}, and `shoal report {folder.path}` writes it again",
                stacklevel=2,
            )
    if status == COMPLETE and output.trackers:
        from shoal.experiments.trackers import track

        for warning in track(output.trackers, folder.path).warnings:
            warnings.warn(warning, stacklevel=2)


def write_report_of(
    folder: RunFolder, out: Path | None = None, *, without_items: bool = False
) -> list[Path]:
    """Write the report of a run, and its tables; gives the files.

    Parameters
    ----------
    folder : RunFolder
    out : Path, optional
        Where to write; the folder of the run, unless given.
    without_items : bool
        Leave out what shows items and histories of the data: example people and the item map.
    """
    from shoal.experiments.report.write import write_report

    results = folder.results
    if without_items:
        for comparison in results["comparisons"]:
            for part in ("people", "map"):
                comparison["extras"].pop(part, None)
    return list(write_report(results, out or folder.path, run_folder=folder.path))
