"""`measure`: fit one entrant with one seed, and measure what it reaches and costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shoal.base.recommender import Recommender
from shoal.errors import ShoalError
from shoal.evaluation.evaluate import evaluate_with_lists
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.costs import peak_memory, request_seconds
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.comparison.groups import LIST_LENGTH, by_popularity
from shoal.experiments.machine import hardware
from shoal.experiments.warmup import warm_up
from shoal.run import Run
from shoal.splitting.held_out import Split


def measure(
    entrant: Entrant, parts: Split, metrics: Sequence[str], run: Run, seed: int
) -> tuple[Cell, Recommender]:
    """Fit an entrant to the training data, and evaluate it on the test users.

    Parameters
    ----------
    entrant : Entrant
        With the settings to fit; nothing is searched here.
    parts : Split
        The split of this seed.
    metrics : sequence of str
    run : Run
    seed : int
        Of the fit, in place of the run's.

    Returns
    -------
    Cell
    Recommender
        The fitted model.

    Raises
    ------
    ShoalError
        The model cannot be fitted: too large for the memory budget, an optional package is not
        installed, or the data lack something that it needs.
    """
    run = replace(run, seed=seed)
    model = entrant.unfitted() if entrant.model is None else entrant.model
    warm_up(model, parts.train, run)
    with peak_memory() as peak:
        began = time.perf_counter()
        model.fit(parts.train, parts.validation, run)
        seconds = time.perf_counter() - began
    evaluation, lists, hits = evaluate_with_lists(
        model, parts.test, metrics, run, at_least=LIST_LENGTH
    )
    here, divided = peak.n_bytes, run.executor is not None
    model_bytes = sum(array.nbytes for array in model.state().values())
    cell = Cell(
        entrant.label,
        kind_of(model),
        seed,
        evaluation,
        seconds,
        model_bytes,
        # memory that was freed before and is used again escapes the measurement
        None if here is None or divided else max(here, model_bytes),
        request_seconds(model, parts.test, run),
        model.facts,
        tuple(getattr(model, "curve", ())),
        by_popularity(lists, hits, parts.test),
        np.diff(parts.test.history.indptr).astype(np.int64),
        hardware(model, run),
    )
    return cell, model


@dataclass(frozen=True)
class Refusal:
    """Why a model was not measured; what a task returns, since one that raises ends all."""

    error: ShoalError


def measure_or_refuse(
    entrant: Entrant, parts: Split, metrics: Sequence[str], run: Run, seed: int, keeps: bool
) -> tuple[Cell | Refusal, Recommender | None]:
    """The same as a task: a refusal in place of the cell, and the model if it is kept."""
    try:
        cell, model = measure(entrant, parts, metrics, run, seed)
    except ShoalError as error:
        return Refusal(error), None
    return cell, model if keeps else None


def kind_of(model: Recommender) -> str:
    """Whether a model is "deep", "linear", or a "baseline" with the same scores for everyone."""
    if model.deep:
        return "deep"
    return "linear" if model.personal else "baseline"
