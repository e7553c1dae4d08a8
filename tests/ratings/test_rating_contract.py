"""Rating models keep the contract, as far as it is not about rankings of binary data."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.models.registry import models
from shoal.run import Run
from shoal.splitting.held_out import HeldOut
from shoal.testing import RecommenderContract
from shoal.testing.checks import arrays_in, random_dense
from shoal.testing.contract import N_USERS, from_dense


class _RatingContract(RecommenderContract):
    exact = False
    few_steps: ClassVar[dict[str, Any]] = {}
    name: ClassVar[str] = ""

    def model(self) -> Recommender:
        return models()[self.name](**self.few_steps)

    def test_a_training_user_without_items_does_no_harm(self) -> None:
        dense = random_dense(valued=True)
        dense[3] = 0
        assert np.isfinite(self._fitted(from_dense(dense)).score(self.histories())).all()

    def test_fitting_again_forgets_the_first_data(self) -> None:
        rows = self.histories()
        first = self._fitted(from_dense(random_dense(seed=3, valued=True)))
        again = first.fit(self.data(), run=Run(threads=1))
        np.testing.assert_array_equal(again.score(rows), self._fitted().score(rows))

    def test_recommends_within_community(self) -> None:
        pytest.skip("a rating model learns how much was liked, not what was touched")

    def test_no_training_data_are_kept(self) -> None:
        """It keeps a code of each user, and which ids they had; no log."""
        model = self._fitted()
        for name, array in model.state().items():
            if N_USERS in array.shape or N_USERS + 1 in array.shape:
                assert name in ("codes", "known.users"), name
        for path, held in arrays_in(model, model.name, set()):
            assert not isinstance(held, Interactions | HeldOut), f"{path} is a log"


class TestUAutoRec(_RatingContract):
    name = "u-autorec"
    few_steps: ClassVar[dict[str, Any]] = {"factors": 8, "n_epochs": 5, "batch_size": 20}


class TestUAutoRecByRprop(_RatingContract):
    name = "u-autorec"
    few_steps: ClassVar[dict[str, Any]] = {
        "factors": 8, "n_epochs": 5, "optimiser": "rprop", "lr": 0.03,
    }  # fmt: skip


class TestDeepRec(_RatingContract):
    name = "deeprec"
    few_steps: ClassVar[dict[str, Any]] = {"hidden": "12-8", "n_epochs": 5, "batch_size": 20}
