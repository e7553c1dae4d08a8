"""What people hand over in place of a log: frames, matrices, paths, and things that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from shoal.data.read import read
from shoal.errors import DataError, HistoryError
from shoal.inference.recommend import recommend, recommend_all
from shoal.models.item_knn import ItemKNN
from shoal.models.popularity import Popularity
from shoal.splitting.split import split

PAIRS = {"user": [1, 1, 2, 2, 3, 3, 4], "item": [7, 8, 7, 9, 8, 9, 7]}


def test_a_frame_a_matrix_and_a_path_are_read_as_read_would(tmp_path: Path) -> None:
    pl.DataFrame(PAIRS).write_csv(tmp_path / "log.csv")
    expected = Popularity().fit(read(pl.DataFrame(PAIRS)))
    dense = np.zeros((5, 10))
    dense[PAIRS["user"], PAIRS["item"]] = 1
    for log in (
        *(pl.DataFrame(PAIRS), pd.DataFrame(PAIRS), pl.DataFrame(PAIRS).to_arrow()),
        *(tmp_path / "log.csv", str(tmp_path / "log.csv"), sp.csr_array(dense)),
    ):
        fitted = Popularity().fit(log)
        assert fitted.items == expected.items
        assert fitted.item_counts is not None
        assert fitted.item_counts.tolist() == [3, 2, 2]  # of 7, 8, 9
        assert recommend_all(fitted, log, 1).height == 4
        assert split(log, "weak", validation=0).test.n_users > 0


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (pl.DataFrame(PAIRS | {"rating": [1, 2, 3, 4, 5, 1, 2]}), "'rating'.*min_value"),
        (sp.csr_array(np.array([[1.0, 2.0], [3.0, 0.0]])), r"shoal\.read\(matrix, values='keep'"),
        (np.ones((3, 3)), r"this is ndarray.*shoal\.read"),
        ([[1, 2]], r"this is list.*shoal\.read"),
        (None, r"shoal\.read"),
        (3, "cannot read a log from int"),
    ],
)
def test_what_leaves_something_open_is_refused_with_the_way_out(log: Any, said: str) -> None:
    for use in (lambda: Popularity().fit(log), lambda: split(log)):
        with pytest.raises(DataError, match=said):
            use()


def test_a_split_is_not_a_log() -> None:
    parts = split(read(pl.DataFrame(PAIRS)), "weak", validation=0)
    for wrong in (parts, parts.test):
        with pytest.raises(DataError, match=r"give split\.train"):
            Popularity().fit(wrong)  # type: ignore[arg-type]


def test_histories_as_people_have_them() -> None:
    model = ItemKNN(k=2).fit(read(pl.DataFrame(PAIRS)))
    plain = recommend(model, [7], 2)
    row = sp.csr_array(np.array([[1.0, 0.0, 0.0]]))
    for history in (np.array([7]), pl.Series([7]), pd.Series([7]), row, (7,)):
        assert recommend(model, history, 2).items == plain.items
    assert recommend(model, pl.DataFrame(PAIRS), 1, user=4).items == plain.items[:1]
    with pytest.raises(HistoryError, match="needs user="):
        recommend(model, pd.DataFrame(PAIRS), 1)
    with pytest.raises(HistoryError, match="one row over the 3 items"):
        recommend(model, sp.csr_array(np.ones((2, 3))), 1)
    with pytest.raises(HistoryError, match=r"shoal\.load"):
        recommend("models/ease", [7], 1)  # type: ignore[arg-type]
