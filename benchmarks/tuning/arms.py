"""The ways of tuning that are compared. Each makes a list of trials with the time each was done."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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

Moment = tuple[float, float]  # seconds on the wall, and of the processor
Done = Iterator[tuple[Moment, Trial]]

METRIC = "ndcg@100"
MANY = 10_000  # more settings than there is time for


def drawn(problem: Problem) -> Iterator[dict[str, Any]]:
    """The settings of a random search, the defaults first; as shoal tuned before."""
    yield from draw(problem.kind, MANY, problem.run.seed, {})


@dataclass
class Watch:
    """Seconds on the wall and of the processor since it was made."""

    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)

    def now(self) -> Moment:
        """Both."""
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def at_random(problem: Problem, seconds: float) -> Done:
    """A fit of its own for each setting drawn at random."""
    watch = Watch()
    for settings in drawn(problem):
        trial = problem.fit_and_score(settings)
        yield watch.now(), trial
        if watch.now()[0] >= seconds:
            return


def optuna_alone(problem: Problem, seconds: float) -> Done:
    """Optuna's TPE as its documentation shows it: a fit of its own for each trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=problem.run.seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = declared(problem.kind)
    defaults = problem.all_settings({})
    study.enqueue_trial({name: defaults[name] for name in space})
    watch = Watch()
    while watch.now()[0] < seconds:
        asked = study.ask()
        settings = {name: _suggested(asked, name, values) for name, values in space.items()}
        trial = problem.fit_and_score(settings)
        study.tell(asked, trial.score)
        yield watch.now(), trial


def _suggested(asked: optuna.Trial, name: str, values: Range) -> float | int:
    log = values.scale == "log"
    if values.whole:
        return asked.suggest_int(name, int(values.low), int(values.high), log=log)
    return asked.suggest_float(name, values.low, values.high, log=log)


def ours(problem: Problem, seconds: float) -> Done:
    """`search` of this library, with the same minutes."""
    done: list[tuple[Moment, Trial]] = []
    watch = Watch()

    def seen(trials: Sequence[Trial]) -> None:
        now = watch.now()
        done.extend((now, trial) for trial in trials)

    search(
        problem.kind, problem.train, problem.validation,
        budget=Budget(None, seconds / 60), metric=problem.metric, run=problem.run, seen=seen,
    )  # fmt: skip
    yield from done


Arm = Callable[[Problem, float], Done]
ARMS: dict[str, Arm] = {"random": at_random, "optuna": optuna_alone, "shoal": ours}


def measure(arm: str, model: str, split: shoal.Split, minutes: float, run: Run) -> Row:
    """Tune a model by one of the ways for so many minutes; what came of it and when."""
    kind = by_name(model)
    _warm(arm, model, run)
    problem = Problem.of(kind, split.train, split.validation, metric=METRIC, run=run)
    watch, rows = Watch(), []
    for (at, cpu), trial in ARMS[arm](problem, 60 * minutes):
        settings = {name: trial.settings[name] for name in declared(kind)}
        row: Row = {"at": round(at, 2), "cpu": round(cpu, 2), "score": trial.score}
        row |= {"state": trial.state, "epochs": trial.epochs, "source": trial.source}
        rows.append(row | {"settings": settings})
    seconds, of_processor = watch.now()
    return {
        "model": model,
        "minutes": minutes,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(of_processor, 2),
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
