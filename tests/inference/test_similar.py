"""The most negative weights of an item, over weights that are written down."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shoal.data.ids import Ids
from shoal.errors import HistoryError, ModelError, NotFittedError
from shoal.inference.similar import dissimilar
from shoal.models.ease import EASE
from shoal.models.lae import LAE
from shoal.models.popularity import Popularity
from shoal.testing import from_dense

# B[j, i], from history item j to candidate i; not symmetric
B = np.array(
    [
        [-9, -1, 2, -4, 0],
        [3, 0, -1, -1, 0],
        [5, 2, 0, 1, 1],
        [1, 1, 1, 0, 1],
        [-3, -2, -1, -5, 0],
    ],
    dtype=np.float32,
)


@pytest.fixture
def model() -> LAE:
    model = LAE()
    model.restore({"weights": B})
    table = pl.DataFrame({"item": [10, 20, 30, 40, 50], "title": list("abcde")})
    model.restore_catalogue(Ids(table["item"], "int"), table, "", {})
    return model


def test_the_most_negative_weights_of_its_row_without_itself(model: LAE) -> None:
    """Row 1 is (−9, −1, 2, −4, 0), and its −9 is the diagonal, which LAE leaves free."""
    found = dissimilar(model, 10, 2)
    assert [(r.rank, r.item, r.score) for r in found] == [(1, 40, -4), (2, 20, -1)]
    assert found[0].attributes == {"title": "d"}
    assert found.shortfall == ""
    assert dissimilar(model, "50", 3).items == [40, 10, 20]


def test_ties_keep_the_order_of_the_catalogue(model: LAE) -> None:
    assert dissimilar(model, 20, 2).items == [30, 40]


def test_fewer_and_none_are_said(model: LAE) -> None:
    found = dissimilar(model, 10, 10)
    assert len(found) == 2
    assert "2 instead of 10" in found.shortfall
    found = dissimilar(model, 30)
    assert len(found) == 0
    assert "never counts item 30 against others" in found.shortfall


def test_what_cannot_be_asked(model: LAE) -> None:
    with pytest.raises(HistoryError, match="not in the model"):
        dissimilar(model, 11)
    with pytest.raises(HistoryError, match="1 or more"):
        dissimilar(model, 10, 0)
    with pytest.raises(NotFittedError):
        dissimilar(EASE(), 10)
    with pytest.raises(ModelError, match="no weights between items"):
        dissimilar(Popularity().fit(from_dense(np.triu(np.ones((3, 3))))), 1)
