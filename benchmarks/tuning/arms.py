"""The ways of tuning that are compared. Each makes a list of trials with the time each was done."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import optuna

import shoal
from benchmarks.harness.results import Row
from shoal.base.ranges import Range, declared
from shoal.datasets.synthetic import SyntheticLog
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.random import draw
from shoal.experiments.tuning.search import search
from shoal.experiments.tuning.trials import Budget, Trial
from shoal.models.registry import by_name
from shoal.run import Run

METRIC = "ndcg@100"
MANY = 10_000  # more settings than there is time for


def drawn(problem: Problem) -> Iterator[dict[str, Any]]:
    """The settings of a random search, the defaults first; as shoal tuned before."""
    yield from draw(problem.kind, MANY, problem.run.seed, {})


def at_random(problem: Problem, seconds: float) -> Iterator[tuple[float, Trial]]:
    """A fit of its own for each setting drawn at random."""
    began = time.perf_counter()
    for settings in drawn(problem):
        trial = problem.fit_and_score(settings)
        now = time.perf_counter() - began
        yield now, trial
        if now >= seconds:
            return


def optuna_alone(problem: Problem, seconds: float) -> Iterator[tuple[float, Trial]]:
    """Optuna's TPE as its documentation shows it: a fit of its own for each trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=problem.run.seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = declared(problem.kind)
    defaults = problem.all_settings({})
    study.enqueue_trial({name: defaults[name] for name in space})
    began = time.perf_counter()
    while True:
        asked = study.ask()
        settings = {name: _suggested(asked, name, values) for name, values in space.items()}
        trial = problem.fit_and_score(settings)
        study.tell(asked, trial.score)
        now = time.perf_counter() - began
        yield now, trial
        if now >= seconds:
            return


def _suggested(asked: optuna.Trial, name: str, values: Range) -> float | int:
    log = values.scale == "log"
    if values.whole:
        return asked.suggest_int(name, int(values.low), int(values.high), log=log)
    return asked.suggest_float(name, values.low, values.high, log=log)


def ours(problem: Problem, seconds: float) -> Iterator[tuple[float, Trial]]:
    """`search` of this library, with the same minutes."""
    done: list[tuple[float, Trial]] = []
    began = time.perf_counter()

    def seen(trials: Sequence[Trial]) -> None:
        now = time.perf_counter() - began
        done.extend((now, trial) for trial in trials)

    search(
        problem.kind, problem.train, problem.validation,
        budget=Budget(None, seconds / 60), metric=problem.metric, run=problem.run, seen=seen,
    )  # fmt: skip
    yield from done


Arm = Callable[[Problem, float], Iterator[tuple[float, Trial]]]
ARMS: dict[str, Arm] = {"random": at_random, "optuna": optuna_alone, "shoal": ours}


def measure(arm: str, model: str, split: shoal.Split, minutes: float, run: Run) -> Row:
    """Tune a model by one of the ways for so many minutes; what came of it and when."""
    kind = by_name(model)
    _warm(arm, model, run)
    problem = Problem.of(kind, split.train, split.validation, metric=METRIC, run=run)
    began, rows = time.perf_counter(), []
    for at, trial in ARMS[arm](problem, 60 * minutes):
        settings = {name: trial.settings[name] for name in declared(kind)}
        row = {"at": round(at, 2), "score": trial.score, "state": trial.state}
        rows.append(row | {"source": trial.source, "settings": settings})
    return {
        "model": model,
        "minutes": minutes,
        "seconds": round(time.perf_counter() - began, 2),
        "trials": rows,
        "users": split.train.n_users,
        "items": split.train.n_items,
        "interactions": len(split.train),
        "validation_users": problem.validation.n_users,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _warm(arm: str, model: str, run: Run) -> None:
    """Compile or load the kernels on a small log, so that no arm pays for it."""
    small = shoal.split(SyntheticLog(300, 200, 4_000).interactions(), "strong", seed=0)
    epochs = {"n_epochs": 1} if by_name(model).trained else {}
    problem = Problem.of(by_name(model), small.train, small.validation, fixed=epochs, run=run)
    problem.fit_and_score(epochs)
    if arm == "shoal":
        search(
            model, small.train, small.validation,
            budget=Budget(1), fixed=epochs, metric=METRIC, run=run,
        )  # fmt: skip
