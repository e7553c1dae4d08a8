"""Every registered model keeps the contract; a new model's file is covered by being there."""

from __future__ import annotations

import pytest

from shoal.models.contract import Recommender
from shoal.models.registry import models
from shoal.testing import RecommenderContract

ALIKE_FOR_EVERYONE = {"popularity"}


class TestEveryModel(RecommenderContract):
    @pytest.fixture(autouse=True, params=list(models().values()), ids=list(models()))
    def _kind(self, request: pytest.FixtureRequest) -> None:
        self.kind: type[Recommender] = request.param
        self.personalised = self.kind.name not in ALIKE_FOR_EVERYONE

    def model(self) -> Recommender:
        return self.kind()


class TestPopularity(RecommenderContract):
    """As another package would write it: one class per model."""

    personalised = False

    def model(self) -> Recommender:
        return models()["popularity"]()
