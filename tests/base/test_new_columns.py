"""Columns of weights to new items are those of the model that `add_items` makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from shoal.base.new_columns import new_columns
from shoal.errors import DataError, ModelError
from shoal.models.registry import create
from shoal.run import Run
from shoal.testing.toys import from_dense, two_groups, two_kinds

NEW = 4
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("l3ae", {"l2": 20, "text": 5, "text_l2": 3}),
    ("l3ae", {"l2": 20, "text": 5, "text_l2": 3, "cold": "log", "alpha": 0.3, "xi": 0.2}),
    ("l3ae", {"l2": 20, "text": 5, "text_l2": 3, "alpha": 0.3, "dropout": 0.2}),
    ("cease", {}),
    ("add-ease", {"l2": 20, "text": 0.5, "text_l2": 3}),
    ("ease-text", {"text_l2": 3}),
    ("text-similarity", {}),
]


@pytest.mark.parametrize(("name", "settings"), MODELS)
def test_weights_are_those_of_the_larger_model(name: str, settings: dict[str, Any]) -> None:
    dense, vectors = two_groups(), two_kinds(24 + NEW)
    log = from_dense(dense)
    known = log.with_vectors(log.items.take(range(24)), vectors[:24])
    model = create(name, settings).fit(known, None, Run(threads=1))
    larger = model.add_items(list(range(900, 900 + NEW)), vectors[24:])
    expected = larger.score(csr_array(np.eye(24, 24 + NEW, dtype=np.float32)))[:, 24:]
    columns = new_columns(model, vectors[24:])
    assert columns.shape == (24, NEW)
    np.testing.assert_allclose(columns, expected, atol=5e-6)
    assert np.abs(columns).max() > 0.01


def test_what_cannot_be_scored() -> None:
    log = from_dense(two_groups())
    with pytest.raises(ModelError, match="ease knows items by their interactions alone"):
        new_columns(create("ease", {}).fit(log), np.ones((1, 5), np.float32))
    known = log.with_vectors(log.items.take(range(24)), two_kinds(24))
    model = create("text-similarity", {}).fit(known)
    with pytest.raises(DataError, match="have 4 numbers, those of the model 5"):
        new_columns(model, np.ones((1, 4), np.float32))
    with pytest.raises(DataError, match="not finite"):
        new_columns(model, np.full((1, 5), np.nan, np.float32))
