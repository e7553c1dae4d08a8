"""`plan`: what each model would take on a log, before any of it is taken."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.datasets.synthetic import SIGMA, check_counts
from shoal.errors import DataError, ShoalError
from shoal.experiments.rehearsal import seconds_of_epoch
from shoal.experiments.speeds import Speeds
from shoal.models.registry import create, models
from shoal.run import Run, available_memory

SPREAD = math.exp(SIGMA**2)  # 2.3: Σ_u d_u² by Σ_u d_u² of equal d_u, for log-normal histories


@dataclass(frozen=True)
class Estimate:
    """What one model would take.

    Parameters
    ----------
    model : str
    parameters : dict
        Its hyper-parameters.
    bytes_to_fit : int
        Peak memory of the fit beyond the log.
    bytes_of_model : int or None
        Of the fitted arrays.
    seconds : float or None
        Of the fit; for models that train, of all `epochs`, without validation. None where it
        cannot be fitted here.
    epochs : int or None
        At most; stopping early makes fewer.
    work : dict of str to float
        By kind, as `Recommender.work_to_fit` says.
    refused : str
        Why it would not be fitted; "" if it would.
    """

    model: str
    parameters: dict[str, Any]
    bytes_to_fit: int
    bytes_of_model: int | None
    seconds: float | None
    epochs: int | None
    work: dict[str, float]
    refused: str = ""

    @property
    def seconds_of_epoch(self) -> float | None:
        """Of one epoch, for models that train."""
        return self.seconds / self.epochs if self.seconds is not None and self.epochs else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "bytes_to_fit": self.bytes_to_fit,
            "bytes_of_model": self.bytes_of_model,
            "seconds": self.seconds,
            "epochs": self.epochs,
            "seconds_of_epoch": self.seconds_of_epoch,
            "work": self.work,
            "refused": self.refused or None,
        }


@dataclass(frozen=True)
class Plan:
    """The outcome of `plan`: models that fit by seconds, then those refused by memory.

    Parameters
    ----------
    estimates : tuple of Estimate
    n_users, n_items, n_interactions : int
    n_pairs : float
        Σ_u d_u², the work of XᵀX.
    budget : int
        Bytes that a fit may take.
    bytes_of_log : int
        Of the log in memory; with counts alone, the budget is what is left beside it.
    speeds : dict of str to float
        Work per second by kind, as measured here; only the kinds that were needed.
    notes : tuple of str
        What was assumed.
    """

    estimates: tuple[Estimate, ...]
    n_users: int
    n_items: int
    n_interactions: int
    n_pairs: float
    budget: int
    bytes_of_log: int
    speeds: dict[str, float]
    notes: tuple[str, ...]

    def __getitem__(self, model: str) -> Estimate:
        for estimate in self.estimates:
            if estimate.model == model:
                return estimate
        raise KeyError(model)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "users": self.n_users,
            "items": self.n_items,
            "interactions": self.n_interactions,
            "pairs": self.n_pairs,
            "budget": self.budget,
            "bytes_of_log": self.bytes_of_log,
            "speeds": self.speeds,
            "notes": list(self.notes),
            "models": [estimate.to_dict() for estimate in self.estimates],
        }


def plan(
    log: Interactions | None = None,
    *,
    n_users: int = 0,
    n_items: int = 0,
    n_interactions: int = 0,
    models: Iterable[str | Recommender] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    run: Run | None = None,
) -> Plan:
    """Estimate memory, time and size of models on a log, without fitting them to it.

    Time is what a model has to do by its own account, divided by the speeds of this machine, which
    are measured on small problems (seconds). A model that trains is trained for a moment on small
    random data, for one epoch's time.

    Parameters
    ----------
    log : Interactions, optional
        Or its counts:
    n_users, n_items, n_interactions : int
        Then Σ_u d_u² is taken to be 2.3 (Σ_u d_u)² / n_users, that of log-normal histories.
    models : names or unfitted models, optional
        All that are there, if not given.
    settings : mapping name → hyper-parameters, optional
        Of models given by name.
    run : Run, optional
        Threads, memory budget and device of the fits.

    Returns
    -------
    Plan

    Raises
    ------
    DataError
        Neither a log nor counts, both, or counts that no log can have.
    ModelError
        A model or a hyper-parameter that is not there.
    """
    run = run or Run()
    given = (n_users, n_items, n_interactions)
    if (log is None) == (given == (0, 0, 0)):
        raise DataError("give either a log, or its numbers of users, items and interactions")
    chosen = _create(models, settings or {})
    if log is not None:
        n_users, n_items, n_interactions = log.n_users, log.n_items, len(log)
        n_pairs = float((np.diff(log.indptr).astype(np.float64) ** 2).sum())
        notes: tuple[str, ...] = ()
        budget = run.memory_budget
    else:
        check_counts(n_users, n_items, n_interactions)
        longest = float(n_interactions) * min(n_items, n_interactions)
        n_pairs = min(SPREAD * n_interactions**2 / n_users, longest)
        notes = (
            f"Σ d² of the histories is taken to be {SPREAD:.1f} times that of equal ones, as of "
            "log-normal ones: 2.3 in MovieLens-1M and Yelp2018; a log itself gives its own",
        )
        budget = run.memory_budget
    size = Size(n_users, n_items, n_interactions)
    kept = bytes_of_log(size)
    if log is None and run.memory is None:  # the log will be there when the fit begins
        budget = max(0, int(0.8 * (available_memory() - kept)))
    speeds = Speeds(size, run.threads)
    estimates = []
    with run.progress.step("measuring", len(chosen)) as step:
        for model in chosen:
            step.note(model.name)
            estimates.append(_estimate(model, log, size, n_pairs, budget, speeds, run))
            step.advance()
    estimates.sort(
        key=lambda e: (bool(e.refused), e.bytes_to_fit if e.refused else e.seconds or 0.0)
    )
    if any(e.epochs for e in estimates):
        notes += ("models that train: all epochs, without validation; stopping early makes fewer",)
    return Plan(
        tuple(estimates), n_users, n_items, n_interactions, n_pairs, budget, kept,
        speeds.measured(), notes,
    )  # fmt: skip


def bytes_of_log(size: Size) -> int:
    """Memory of a binary log without times, its ids not counted."""
    return 4 * size.n_interactions + 8 * (size.n_users + 1)


def _create(
    chosen: Iterable[str | Recommender] | None, settings: Mapping[str, Mapping[str, Any]]
) -> list[Recommender]:
    names = list(models()) if chosen is None else list(chosen)
    if not names:
        raise DataError("no model is named")
    return [
        one if isinstance(one, Recommender) else create(one, dict(settings.get(one, {})))
        for one in names
    ]


def _estimate(
    model: Recommender,
    log: Interactions | None,
    size: Size,
    n_pairs: float,
    budget: int,
    speeds: Speeds,
    run: Run,
) -> Estimate:
    beside = 0 if log is None else model.bytes_beside(log)
    refused = model.refusal(size, budget, beside)
    work = model.work_to_fit(size, n_pairs)
    seconds: float | None = None
    model_bytes: int | None = None
    try:
        model_bytes = model.bytes_of_model(size)
        if log is not None:  # it may lack what a model needs
            model.check_can_fit(log, replace(run, memory=budget))
        if not refused:
            training = sum(
                part.work_to_fit(size, n_pairs)["epoch"] * seconds_of_epoch(part, size, run)
                for part in model.trained_parts()
            )
            rest = {kind: amount for kind, amount in work.items() if kind != "epoch"}
            rest["fingerprint"] = size.n_interactions  # of the data, in every fit
            seconds = training + sum(amount / speeds[kind] for kind, amount in rest.items())
    except ShoalError as error:  # an extra that is missing, an accelerator that is not there
        refused = refused or str(error)
    return Estimate(
        model.name,
        model.model_dump(),
        model.bytes_taken(size, budget) + beside,
        model_bytes,
        seconds,
        int(work["epoch"]) if "epoch" in work else None,
        {kind: float(amount) for kind, amount in work.items()},
        refused,
    )
