"""One cell of a run: a model that is fitted and measured, here or by a worker; or why it is not."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shoal.base.recommender import Recommender
from shoal.errors import ShoalError, TrainingError
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.comparison.measure import measure
from shoal.run import Run
from shoal.splitting.held_out import Split


@dataclass(frozen=True)
class Failure:
    """Why a model was not measured.

    Parameters
    ----------
    why : str
        In a line or a few.
    fault : str
        The traceback, where it is a fault of the model; "" where the user can do something.
    """

    why: str
    fault: str = ""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Of what was raised."""
        if isinstance(error, ShoalError):
            return cls(str(error))
        lines = str(error).strip().splitlines() or [""]
        why = f"{type(error).__name__}: {lines[0][:200]}"
        return cls(why, "".join(traceback.format_exception(error)))


def fit_one_cell(
    entrant: Entrant, parts: Split, metrics: Sequence[str], run: Run, keeps: bool
) -> tuple[Cell | Failure, Recommender | None]:
    """Fit and measure a model, which goes on from its checkpoint if it has one.

    A fault in one model must not cost the results of the others, so nothing is raised but what
    ends a process.

    Parameters
    ----------
    entrant : Entrant
        With the settings to fit.
    parts : Split
    metrics : sequence of str
    run : Run
        Its checkpoint is used where the model is trained; its seed is that of the cell.
    keeps : bool
        Whether the fitted model is wanted.

    Returns
    -------
    Cell or Failure
    Recommender or None
    """
    try:
        if not entrant.unfitted().trained_parts():
            run = replace(run, checkpoint=None)
        goes_on = run.checkpoint is not None and run.checkpoint.is_dir()
        try:
            cell, model = measure(entrant, parts, metrics, run, run.seed)
        except TrainingError:
            if not goes_on or run.checkpoint is None:
                raise
            # of another version, say: what was trained so far is lost, and nothing else
            shutil.rmtree(run.checkpoint, ignore_errors=True)
            cell, model = measure(entrant, parts, metrics, run, run.seed)
    except Exception as error:
        return Failure.of(error), None
    # of a fit that was continued, the epochs before count, too
    epochs = sum(row.get("seconds", 0.0) for row in cell.curve)
    cell = replace(cell, fit_seconds=max(cell.fit_seconds, epochs))
    return cell, model if keeps else None
