"""Successive halving: who is stopped at a rung, and what becomes of a trial that is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.base.ranges import Choices
from shoal.base.recommender import Recommender
from shoal.experiments.tuning.halving import Rungs, Watch, epochs_of, first_rung, rule_of
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.search import search
from shoal.experiments.tuning.trials import Budget, Trial, best_of
from shoal.models.registry import by_name, create
from shoal.run import Run
from shoal.testing.contract import from_dense

SMALL = {"n_epochs": 9, "batch_size": 16, "factors": 8, "patience": 0}


def test_the_better_half_goes_on_at_each_rung() -> None:
    rungs = Rungs(first=2)
    # half of those that have come, rounded up, this one among them: 1, 1, 2, 2, 3, 3 places
    come = [0.30, 0.20, 0.25, 0.28, 0.27, 0.26]
    stopped = [False, True, False, False, False, True]  # at last 0.30, 0.28 and 0.27 have them
    assert [rungs.behind(2, value) for value in come] == stopped
    assert not rungs.behind(4, 0.1)  # nobody else has come to this rung
    assert rungs.behind(4, 0.05)


def test_equal_ones_go_on() -> None:
    rungs = Rungs(first=1)
    assert [rungs.behind(1, 0.5) for _ in range(4)] == [False] * 4


def test_between_two_rungs_nobody_is_stopped() -> None:
    rungs = Rungs(first=3)
    for epoch in range(1, 13):
        rungs.behind(epoch, 0.5)
    assert [epoch for epoch in range(1, 13) if rungs.behind(epoch, 0.1)] == [3, 6, 12]


def test_the_first_rung_comes_after_a_quarter_of_the_epochs() -> None:
    assert [first_rung(n) for n in (1, 4, 5, 30, 100, 400)] == [1, 1, 2, 8, 25, 100]


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
    # the rungs are after 3 and 6 epochs; with two trainings there is one place
    behind = [e for e in (3, 6) if max(curves[1][:e]) < max(curves[0][:e])]
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


@pytest.mark.parametrize("kept", [True, False])
def test_a_study_compares_the_trainings_of_all_processes(tmp_path: Path, kept: bool) -> None:
    optuna = pytest.importorskip("optuna")
    url = f"sqlite:///{tmp_path / 'study.sqlite'}" if kept else None
    study = optuna.create_study(storage=url, study_name="a", direction="maximize")
    same = optuna.load_study(study_name="a", storage=url) if kept else study
    good, bad, middle = study.ask(), same.ask(), study.ask()
    assert not any(rule_of(good, 3)(epoch, 0.4) for epoch in range(1, 7))
    assert [rule_of(bad, 3)(epoch, 0.2) for epoch in (1, 2, 3)] == [False, False, True]
    assert not rule_of(middle, 3)(3, 0.3)  # the second of three
    assert rule_of(middle, 3)(6, 0.3)  # the second of two


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_search_stops_who_is_behind_and_never_the_defaults(sampler: Any) -> None:
    if sampler == "tpe":
        pytest.importorskip("optuna")
    one = problem(by_name("mult-dae"), **SMALL)
    found = search(
        "mult-dae", one.train, one.validation, budget=Budget(8), fixed=SMALL, metric="ndcg@10",
        space={"lr": Choices((1e-9, 1e-3, 3e-2))}, sampler=sampler, run=one.run,
    )  # fmt: skip
    states = {trial.state for trial in found.trials}
    assert states == {"complete", "pruned"}
    assert found.trials[0].source == "default"
    assert found.trials[0].state == "complete"
    assert {t.epochs for t in found.trials if t.state == "pruned"} <= {3, 6}
    assert {t.epochs for t in found.trials if t.state == "complete"} == {9}
    assert found.best.score == max(t.score for t in found.trials if t.state == "complete")
    assert any("stopped early" in note for note in found.notes)
