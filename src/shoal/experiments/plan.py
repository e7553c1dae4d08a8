"""`plan`: estimate the memory, time and size of each model on a log before anything is fitted."""

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
from shoal.experiments.speeds import Busy, Speeds
from shoal.models.registry import create, models
from shoal.run import Run, available_memory

# Σ_u d_u² of histories whose lengths d_u are log-normal, divided by what it is where all have the
# mean length: 2.3
SPREAD = math.exp(SIGMA**2)


@dataclass(frozen=True)
class Estimate:
    """Estimated memory, time and size of one model.

    Parameters
    ----------
    model : str
        Its name.
    parameters : dict
        Its hyper-parameters.
    bytes_to_fit : int
        Peak memory of the fit beyond the log.
    bytes_of_model : int or None
        Size of the fitted arrays; None where it cannot be told here.
    seconds : float or None
        Duration of the fit; for models that train, of all `epochs`, without validation. None where
        the model cannot be fitted here.
    epochs : int or None
        Largest number of epochs, as stopping early makes fewer; None for models that do not train.
    work : dict of str to float
        Amounts of work by kind, as `Recommender.work_to_fit` gives them.
    refused : str
        Why the model would not be fitted; "" if it would.
    seconds_if_it_fitted : float or None
        Duration of a fit that is refused for its memory, if there were enough; None otherwise, and
        for models that train.
    """

    model: str
    parameters: dict[str, Any]
    bytes_to_fit: int
    bytes_of_model: int | None
    seconds: float | None
    epochs: int | None
    work: dict[str, float]
    refused: str = ""
    seconds_if_it_fitted: float | None = None

    @property
    def seconds_of_epoch(self) -> float | None:
        """Duration of one epoch, for models that train; else None."""
        return self.seconds / self.epochs if self.seconds is not None and self.epochs else None

    def to_dict(self) -> dict[str, Any]:
        """The estimate as a dictionary of plain values, for JSON."""
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
            "seconds_if_it_fitted": self.seconds_if_it_fitted,
        }


@dataclass(frozen=True)
class Plan:
    """The outcome of `plan`.

    Parameters
    ----------
    estimates : tuple of Estimate
        First the models that can be fitted, by time; then the refused ones, by memory.
    n_users, n_items, n_interactions : int
        Counts of the log.
    n_pairs : float
        Σ_u d_u² over the lengths d_u of the histories: the multiply-adds of XᵀX.
    budget : int
        Bytes that a fit may take.
    bytes_of_log : int
        Memory of the log. If only counts were given, the log is still to be loaded, and `budget` is
        a share of the memory that is then left, unless the run sets it.
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

    def refusals(self) -> dict[str, list[str]]:
        """Why models are refused: each reason once, with the names of its models."""
        reasons: dict[str, list[str]] = {}
        for estimate in self.estimates:
            if estimate.refused:
                reason = estimate.refused.removeprefix(f"{estimate.model} ")
                reasons.setdefault(reason, []).append(estimate.model)
        return reasons

    def __getitem__(self, model: str) -> Estimate:
        for estimate in self.estimates:
            if estimate.model == model:
                return estimate
        raise KeyError(model)

    def to_dict(self) -> dict[str, Any]:
        """The plan as dictionaries, lists and plain values, for JSON."""
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

    Each model says how much work its fit is; the time is that work divided by the speed of this
    machine, which is measured on small problems and takes seconds. For a model that trains, the
    time of an epoch is measured on small random data.

    Parameters
    ----------
    log : Interactions, optional
        The log, or give its counts instead:
    n_users, n_items, n_interactions : int
        Σ_u d_u² is then taken to be 2.3 (Σ_u d_u)² / n_users, as for log-normal histories.
    models : names or unfitted models, optional
        All registered models if not given.
    settings : mapping name → hyper-parameters, optional
        For models given by name.
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
        There is no such model or hyper-parameter.
    """
    run = run or Run()
    counts = (n_users, n_items, n_interactions)
    if (log is None) == (counts == (0, 0, 0)):
        raise DataError("give either a log, or its numbers of users, items and interactions")
    candidates = _create(models, settings or {})
    problem = _problem_of_log(log, run) if log is not None else _problem_of_counts(counts, run)
    speeds = Speeds(problem.size, run.threads)
    busy = Busy.now()
    estimates = []
    with run.progress.step("measuring", len(candidates)) as step:
        for model in candidates:
            step.note(model.name)
            estimates.append(_estimate(model, problem, speeds, run))
            step.advance()
    estimates.sort(
        key=lambda e: (bool(e.refused), e.bytes_to_fit if e.refused else e.seconds or 0.0)
    )
    notes = problem.notes + busy.notes(speeds.spreads())
    if any(e.epochs for e in estimates):
        notes += ("models that train: all epochs, without validation; stopping early makes fewer",)
    return Plan(
        tuple(estimates), *problem.size, problem.n_pairs, problem.budget,
        bytes_of_log(problem.size), speeds.measured(), notes,
    )  # fmt: skip


@dataclass(frozen=True)
class _Problem:
    """What models are to be fitted to, and the memory for it.

    Parameters
    ----------
    log : Interactions or None
        None where only its counts are known.
    size : Size
    n_pairs : float
        Σ_u d_u² over the lengths d_u of the histories.
    budget : int
        Bytes that a fit may take.
    notes : tuple of str
        What was assumed.
    """

    log: Interactions | None
    size: Size
    n_pairs: float
    budget: int
    notes: tuple[str, ...] = ()


def _problem_of_log(log: Interactions, run: Run) -> _Problem:
    n_pairs = float((np.diff(log.indptr).astype(np.float64) ** 2).sum())
    return _Problem(log, Size(log.n_users, log.n_items, len(log)), n_pairs, run.memory_budget)


def _problem_of_counts(counts: tuple[int, int, int], run: Run) -> _Problem:
    """Assume histories of log-normal lengths, and that the log itself still takes its memory."""
    check_counts(*counts)
    size = Size(*counts)
    longest = float(size.n_interactions) * min(size.n_items, size.n_interactions)
    n_pairs = min(SPREAD * size.n_interactions**2 / size.n_users, longest)
    note = (
        f"Σ d² of the histories is taken to be {SPREAD:.1f} times that of equal ones, as of "
        "log-normal ones: 2.3 in MovieLens-1M and Yelp2018; a log itself gives its own"
    )
    budget = run.memory_budget
    if run.memory is None:  # the log will be in memory when the fit begins
        budget = max(0, int(0.8 * (available_memory() - bytes_of_log(size))))
    return _Problem(None, size, n_pairs, budget, (note,))


def bytes_of_log(size: Size) -> int:
    """Memory of a binary log without times, its ids not counted."""
    return 4 * size.n_interactions + 8 * (size.n_users + 1)


def _create(
    choices: Iterable[str | Recommender] | None, settings: Mapping[str, Mapping[str, Any]]
) -> list[Recommender]:
    """Unfitted models of names and objects; all registered models for None."""
    choices = list(models()) if choices is None else list(choices)
    if not choices:
        raise DataError("no model is named")
    return [
        choice
        if isinstance(choice, Recommender)
        else create(choice, dict(settings.get(choice, {})))
        for choice in choices
    ]


def _estimate(model: Recommender, problem: _Problem, speeds: Speeds, run: Run) -> Estimate:
    log, size, n_pairs, budget = problem.log, problem.size, problem.n_pairs, problem.budget
    beside = 0 if log is None else model.bytes_beside(log)
    refused = model.refusal(size, budget, beside)
    work = model.work_to_fit(size, n_pairs)
    seconds: float | None = None
    seconds_if_it_fitted: float | None = None
    model_bytes: int | None = None
    try:
        model_bytes = model.bytes_of_model(size)
        if log is not None:  # it may lack what the model needs, such as times
            model.check_can_fit(log, replace(run, memory=budget))
        if refused and not model.trained_parts():
            seconds_if_it_fitted = seconds_of_work(work, size, speeds)
        if not refused:
            training = sum(
                part.work_to_fit(size, n_pairs)["epoch"] * seconds_of_epoch(part, size, run)
                for part in model.trained_parts()
            )
            seconds = training + seconds_of_work(work, size, speeds)
    except ShoalError as error:  # torch is not installed, there is no such accelerator, …
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
        seconds_if_it_fitted,
    )


def seconds_of_work(work: Mapping[str, float], size: Size, speeds: Speeds) -> float:
    """Seconds of all work but that of epochs."""
    rest = {kind: amount for kind, amount in work.items() if kind != "epoch"}
    rest["fingerprint"] = size.n_interactions  # every fit computes that of its data
    return sum(amount / speeds[kind] for kind, amount in rest.items())
