"""Every registered model keeps the contract; a new model's file is covered by being there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shoal.data.interactions import Interactions
from shoal.models.contract import Recommender
from shoal.models.registry import models
from shoal.testing import RecommenderContract

ALIKE_FOR_EVERYONE = {"popularity"}
RANKERS = [m for m in models().values() if m.task == "ranking"]  # others: test_rating_contract
FEW_STEPS = {"n_epochs": 40, "batch_size": 10, "lr": 0.01}


class TestEveryModel(RecommenderContract):
    @pytest.fixture(autouse=True, params=RANKERS, ids=[m.name for m in RANKERS])
    def _kind(self, request: pytest.FixtureRequest) -> None:
        self.kind: type[Recommender] = request.param
        self.personalised = self.kind.name not in ALIKE_FOR_EVERYONE
        self.exact = not self.kind.trained
        if self.kind.trained:
            pytest.importorskip("torch")

    def model(self) -> Recommender:
        return self.kind(**(FEW_STEPS if self.kind.trained else {}))

    def data(self) -> Interactions:
        if not self.kind.trained:
            return super().data()
        log = super().data()
        return replace(log, values=None)


class TestPopularity(RecommenderContract):
    """As another package would write it: one class per model."""

    personalised = False

    def model(self) -> Recommender:
        return models()["popularity"]()
