"""Successive halving: who is stopped at a rung, and what becomes of a trial that is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.base.recommender import Recommender
from shoal.experiments.tuning.halving import Rungs, Watch, epochs_of, first_rung, pruner, rule_of
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.trials import Trial, best_of
from shoal.models.registry import by_name, create
from shoal.run import Run
from shoal.testing.contract import from_dense

SMALL = {"n_epochs": 9, "batch_size": 16, "factors": 8, "patience": 0}


def test_the_best_third_goes_on_at_each_rung() -> None:
    rungs = Rungs(first=2, reduction=3)
    # there are max(1, number / 3) places at each moment, this one's number among them:
    # the sixth finds two, held by 0.40 and 0.39; the ninth three, held by 0.41, 0.40 and 0.39
    come = [0.30, 0.20, 0.40, 0.35, 0.39, 0.38, 0.10, 0.41, 0.385]
    stopped = [False, True, False, True, True, True, True, False, True]
    assert [rungs.behind(2, value) for value in come] == stopped
    assert not rungs.behind(6, 0.1)  # nobody else has come to this rung
    assert rungs.behind(6, 0.05)


def test_between_two_rungs_nobody_is_stopped() -> None:
    rungs = Rungs(first=2, reduction=3)
    for epoch in range(1, 19):
        rungs.behind(epoch, 0.5)
    assert [epoch for epoch in range(1, 19) if rungs.behind(epoch, 0.1)] == [2, 6, 18]


def test_the_first_rung_comes_after_a_27th_of_the_epochs() -> None:
    assert [first_rung(n) for n in (1, 20, 27, 28, 100, 400)] == [1, 1, 1, 2, 4, 15]


def test_the_best_metric_so_far_counts_and_the_last_epoch_stops_nothing() -> None:
    told: list[tuple[int, float]] = []

    def rule(epoch: int, best: float) -> bool:
        told.append((epoch, best))
        return epoch == 3

    watch = Watch(rule, n_epochs=3)
    assert [watch(1, 0.2), watch(2, 0.1), watch(3, 0.3)] == [False, False, False]
    assert told == [(1, 0.2), (2, 0.2), (3, 0.3)]
    assert (watch.epochs, watch.stopped) == (3, False)
    longer = Watch(rule, n_epochs=4)
    assert [longer(epoch, 0.1) for epoch in (1, 2, 3)] == [False, False, True]
    assert longer.stopped


@pytest.mark.parametrize(
    ("model", "epochs"),
    [("ease", 0), ("mult-vae", 100), ("elsa", 30), ("popularity", 0)],
)
def test_only_what_trains_has_epochs(model: str, epochs: int) -> None:
    assert epochs_of(by_name(model)()) == epochs


def test_members_of_an_ensemble_train_for_themselves() -> None:
    ensemble = create("product", {"parts": "mult-dae+ease", "mode": "ensemble"})
    assert epochs_of(ensemble) == 0


# -- with a model ---------------------------------------------------------------------------


def parts() -> shoal.Split:
    rng = np.random.default_rng(1)
    log = from_dense((rng.random((90, 30)) < 0.25).astype(float))
    return shoal.split(log, "strong", test=0.2, validation=0.2)


def problem(kind: type[Recommender], **fixed: Any) -> Problem:
    pytest.importorskip("torch")
    split = parts()
    return Problem.of(
        kind, split.train, split.validation, fixed=fixed, metric="ndcg@10", run=Run(threads=1)
    )


def test_a_trial_that_is_stopped_is_kept_with_its_score_then_and_never_chosen() -> None:
    searched = problem(by_name("mult-dae"), **SMALL)
    stopped = searched.fit_and_score(searched.fixed, rule=lambda epoch, best: epoch == 2)
    short = searched.fit_and_score({**SMALL, "n_epochs": 2})
    assert (stopped.state, stopped.epochs) == ("pruned", 2)
    assert stopped.score == short.score  # what a fit of two epochs has
    assert stopped.settings["n_epochs"] == 9  # the number of epochs is not what was chosen
    assert (short.state, short.epochs) == ("complete", 2)
    assert stopped.seconds > 0
    better = Trial({}, stopped.score + 1, state="pruned")
    assert best_of((better, stopped, short)) == short
    assert Trial.from_dict(stopped.to_dict()) == stopped


def test_who_is_behind_at_a_rung_trains_no_further() -> None:
    searched = problem(by_name("mult-dae"), **SMALL)
    slow = {**SMALL, "lr": 1e-9}
    curves = [
        [row["ndcg@100"] for row in fit_in_full(searched, settings)] for settings in (SMALL, slow)
    ]
    # the rungs are after 1 and 3 epochs; with two trainings there is one place
    behind = [e for e in (1, 3) if max(curves[1][:e]) < max(curves[0][:e])]
    rungs = Rungs(first_rung(9))
    first = searched.fit_and_score(SMALL, "default", rungs.behind)
    second = searched.fit_and_score(slow, rule=rungs.behind)
    assert (first.state, first.epochs) == ("complete", 9)
    assert behind  # or this test shows nothing
    assert (second.state, second.epochs) == ("pruned", behind[0])


def fit_in_full(searched: Problem, settings: Any) -> Any:
    model: Any = searched.kind(**settings)
    return model.fit(searched.train, searched.validation, searched.run).curve


def test_a_model_that_does_not_train_is_not_asked() -> None:
    def rule(epoch: int, best: float) -> bool:
        raise AssertionError("it has no epochs")

    searched = problem(by_name("ease"))
    trial = searched.fit_and_score({"l2": 5.0}, rule=rule)
    assert (trial.state, trial.epochs) == ("complete", None)
    assert math.isfinite(trial.score)


def test_optuna_stops_by_the_trials_of_its_study() -> None:
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study(direction="maximize", pruner=pruner(create("mult-dae", SMALL)))
    good, bad = study.ask(), study.ask()
    assert not any(rule_of(good)(epoch, 0.4) for epoch in (1, 2, 3))
    assert rule_of(bad)(1, 0.3)  # 1/27 of 9 epochs, rounded up
    plain = optuna.create_study(direction="maximize", pruner=pruner(by_name("ease")()))
    asked = [plain.ask() for _ in range(3)]
    assert not any(rule_of(trial)(1, -0.1 * number) for number, trial in enumerate(asked))
