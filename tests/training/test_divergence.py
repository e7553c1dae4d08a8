"""Training that diverges: no weights, scores or metric that are not finite are ever kept."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import shoal
from shoal.errors import TrainingError, TrainingWarning
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.training.divergence import rows_to_check, weights_are_finite
from shoal.training.learner import TrainingPlan
from shoal.training.loop import train

from .test_loop import Counting, data, examples

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize("wrong", [NAN, INFINITE, -INFINITE])
def test_a_metric_that_is_no_number_is_no_good_epoch(wrong: float) -> None:
    with pytest.raises(TrainingError, match=r"validation.*after epoch 1.*lower lr"):
        train(Counting(), examples(), TrainingPlan(3, 20), lambda: wrong)


def test_after_a_metric_that_is_no_number_the_best_weights_come_back() -> None:
    learner, values = Counting(), iter([0.1, 0.5, 0.4, NAN, 0.9])
    with pytest.warns(TrainingWarning, match=r"after epoch 4: kept the weights of epoch 2"):
        outcome = train(learner, examples(), TrainingPlan(5, 20), lambda: next(values))
    assert (outcome.best_epoch, outcome.best, learner.value) == (2, 0.5, 2)
    assert [row["epoch"] for row in outcome.curve] == [1, 2, 3]


@pytest.mark.parametrize("wrong", [NAN, INFINITE, -INFINITE])
def test_without_validation_the_scores_of_training_rows_are_checked(wrong: float) -> None:
    learner = Counting(scores=[0.0, 0.0, wrong])
    with pytest.warns(TrainingWarning, match=r"score.*after epoch 3: kept the weights of epoch 2"):
        outcome = train(learner, examples(), TrainingPlan(5, 20))
    assert (outcome.best_epoch, learner.value) == (2, 2)
    with pytest.raises(TrainingError, match=r"score.*after epoch 1"):
        train(Counting(scores=[wrong]), examples(), TrainingPlan(5, 20))


class _Spoilt(Counting):
    """The third update makes a weight that is not finite, and the loss does not show it."""

    def losses(self, batch: Any, clock: Any, generator: Any) -> Any:
        yield from super().losses(batch, clock, generator)
        if clock.updates == 3:
            with torch.no_grad():
                self.network.weight.fill_(INFINITE)

    def scores(self, rows: Any) -> Any:
        return np.zeros(rows.shape, np.float32)


def test_without_validation_the_weights_are_checked() -> None:
    learner = _Spoilt()
    with pytest.warns(TrainingWarning, match=r"weight.*after epoch 3: kept the weights of epoch 2"):
        train(learner, examples(), TrainingPlan(5, 20))
    assert learner.value == 2


@pytest.mark.parametrize("weight", [NAN, INFINITE, -INFINITE, 1e19])
def test_weights_whose_squares_are_finite_are_good(weight: float) -> None:
    network = torch.nn.BatchNorm1d(3)  # with a buffer of whole numbers, which are always finite
    assert weights_are_finite(network)
    network.running_mean[1] = weight
    assert not weights_are_finite(network)


def test_the_longest_row_is_among_those_checked() -> None:
    matrix = sp.csr_array(np.eye(200, 50, dtype=np.float32))
    matrix = sp.csr_array(sp.vstack([matrix, np.ones((1, 50)), matrix]))
    rows = rows_to_check(matrix)
    assert rows.shape == (32, 50)
    assert np.diff(rows.indptr).max() == 50
    wide = sp.csr_array((np.ones(3), ([0, 1, 1], [0, 0, 1])), shape=(3, 2**21))
    assert rows_to_check(wide).nnz == 2  # one row only: the longest


# -- models ----------------------------------------------------------------------------------

SETTINGS = {
    "vasp": {"lr": 1e6},
    "product": {"lr": 1e6, "mode": "alternating"},
    "hvamp": {"lr": 1e6, "pseudo_users": 20},
    "flvae": {"lr": 1e6},
    "elsa": {"lr": 1e30},
    "compressed-elsa": {"lr": 1e30},
    "nease": {"lr": 1e30},
    "mult-vae": {"lr": 1e30},
    "deeprec": {"lr": 1e6},
    "u-autorec": {"lr": 1e30},
    "i-autorec": {"lr": 1e30, "optimiser": "adam"},
}


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_model_that_diverges_at_once_is_an_error(name: str, validated: bool) -> None:
    log, kind = data(), by_name(name)
    train_part, validation = log, None
    if kind.task == "rating":
        ratings = np.random.default_rng(0).integers(1, 6, len(log)).astype(np.float32)
        train_part = log = replace(log, values=ratings)
        if validated:
            rated = shoal.split_ratings(log)
            train_part, validation = rated.train, rated.validation
    elif validated:
        ranked = shoal.split(log, "strong", test=0.2, validation=0.2)
        train_part, validation = ranked.train, ranked.validation
    model = kind(**{"n_epochs": 3} | SETTINGS[name])
    with pytest.raises(TrainingError, match="lower lr"):
        model.fit(train_part, validation, Run(threads=1))
    assert not model.fitted


def test_scores_of_a_model_that_overflow_are_no_ndcg_of_0() -> None:
    log = data()
    parts = shoal.split(log, "strong", test=0.2, validation=0.2)
    model = by_name("mult-dae")(n_epochs=1, factors=8).fit(parts.train, run=Run(threads=1))
    judge = model._validation_metric(parts.validation)
    assert 0 < judge() < 1
    with torch.no_grad():
        model._network["decode"].bias[0] = INFINITE
    assert math.isnan(judge())


def test_a_rating_that_overflows_is_no_error_of_a_clipped_one() -> None:
    log = data()
    ratings = np.random.default_rng(0).integers(1, 6, len(log)).astype(np.float32)
    parts = shoal.split_ratings(replace(log, values=ratings))
    model = by_name("u-autorec")(n_epochs=1, factors=8)
    model.fit(parts.train, run=Run(threads=1))
    model._training = parts.train
    judge = model._validation_metric(parts.validation)
    assert math.isfinite(judge())
    with torch.no_grad():
        model._network["decode"].bias[parts.validation.indices[0]] = INFINITE
    assert math.isnan(judge())


@pytest.mark.parametrize("name", ["vasp", "hvamp"])
def test_the_command_saves_no_model_that_diverged(
    name: str, tmp_path: Path, shoal_command: Any
) -> None:
    """The case of a stranger: both models scored NaN, and were saved with a metric of 0."""
    pairs = [(u, i) for u in range(12) for i in range(8) if (u + i) % 3]
    (tmp_path / "log.csv").write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in pairs))
    settings = ("--model", name, "--set", "n_epochs=6", "--set", "lr=1e6")
    code, _, err = shoal_command(
        "train", tmp_path / "log.csv", *settings, "--out", tmp_path / "model"
    )
    assert code == 2
    assert "not a number any more after epoch 1" in err
    assert "lower lr" in err
    assert not (tmp_path / "model").exists()
