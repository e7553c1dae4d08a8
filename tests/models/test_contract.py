"""Every registered model keeps the contract; a new model's file is covered by being there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shoal.base.packed import PackedModel
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.models.registry import models
from shoal.testing import RecommenderContract

ALIKE_FOR_EVERYONE = {"popularity"}
RANKERS = [m for m in models().values() if m.task == "ranking"]  # others: test_rating_contract
FEW_STEPS = {"n_epochs": 40, "batch_size": 10, "lr": 0.01}
TINY_FLVAE = {"hidden": 16, "factors": 8, "depth": 2, "decoder_depth": 1}
TINY_PRODUCT = {
    "parts": "flvae(hidden=16;factors=8;depth=2;decoder_depth=1)+nease(loss=focal;lr=0.05)"
}
CONVERGED: dict[str, dict[str, Any]] = {"slim": {"tolerance": 1e-12}}  # fits agree to 1e-5
SMALLER: dict[str, dict[str, Any]] = {  # their own widths would take minutes here
    "cdae": {"factors": 32},
    "compressed-elsa": {"factors": 24, "nonzeros": 8, "pruning": 5, "n_epochs": 20},
    "elsa": {"factors": 8, "n_epochs": 20},
    "flvae": TINY_FLVAE | {"n_epochs": 20},
    "hvamp": {"hidden": 16, "factors": 8, "pseudo_users": 10, "warm_up": 5, "n_epochs": 10},
    "mult-dae": {"factors": 32},
    "mult-vae": {"hidden": 32, "factors": 16},
    "nease": {"start": "ease", "lr": 1e-4, "n_epochs": 10},
    "product": TINY_PRODUCT | {"mode": "alternating", "n_epochs": 15},
    "recvae": {"hidden": 16, "factors": 8, "depth": 2, "n_epochs": 10},
    "rvae": {"embedding": 16, "hidden": 16, "factors": 8},
    "svae": {"embedding": 32, "state_size": 32, "hidden": 32, "factors": 16},
    "vasp": TINY_PRODUCT | {"n_epochs": 20},
}


class TestEveryModel(RecommenderContract):
    @pytest.fixture(autouse=True, params=RANKERS, ids=[m.name for m in RANKERS])
    def _kind(self, request: pytest.FixtureRequest) -> None:
        self.kind: type[Recommender] = request.param
        self.personalised = self.kind.name not in ALIKE_FOR_EVERYONE
        self.exact = not self.kind.trained
        if self.kind.trained:
            pytest.importorskip("torch")

    def model(self) -> Recommender:
        few = FEW_STEPS | SMALLER.get(self.kind.name, {})
        return self.kind(**(few if self.kind.trained else CONVERGED.get(self.kind.name, {})))

    def data(self) -> Interactions:
        if not self.kind.trained:
            return super().data()
        log = super().data()
        return replace(log, values=None)

    def test_packed_for_another_process_it_ranks_alike(self) -> None:
        """Memory that processes share is locked against writing."""
        model, rows = self._shared(), self.histories()
        packed = PackedModel.of(model)
        locked = {name: array.copy() for name, array in packed.arrays.items()}
        for array in locked.values():
            array.flags.writeable = False
        other = replace(packed, arrays=locked).unpacked()
        np.testing.assert_array_equal(other.score(rows), model.score(rows))
        np.testing.assert_array_equal(other.known_items, model.known_items)
        for name, array in packed.arrays.items():
            np.testing.assert_array_equal(locked[name], array)


class TestPopularity(RecommenderContract):
    """As another package would write it: one class per model."""

    personalised = False

    def model(self) -> Recommender:
        return models()["popularity"]()
