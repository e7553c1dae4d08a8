"""What steering adds to scores, against numpy."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.ids import Ids
from shoal.data.interactions import CSR
from shoal.errors import HistoryError
from shoal.kernels.shifts import shift, unit_of
from shoal.models.compressed_elsa import CompressedELSA
from shoal.models.ease import EASE

N, K, S = 160, 6, 3


def sparse_model(*, signed: bool) -> tuple[CompressedELSA, np.ndarray]:
    """A compressed ELSA with vectors that are drawn here, and A as a dense array."""
    rng = np.random.default_rng(8)
    A = np.zeros((N, K))
    for row in A:
        row[rng.choice(K, S, replace=False)] = rng.random(S) + 0.1
    if signed:
        A *= rng.choice([-1, 1], A.shape)
    A = (A / np.linalg.norm(A, axis=1)[:, None]).astype(np.float32)
    model = CompressedELSA()
    V = CSR(A)
    arrays = {"indptr": V.indptr.astype(np.int64), "indices": V.indices.astype(np.int32)}
    model.restore({**arrays, "data": V.data, "width": np.array([K])})
    ids = pl.Series(range(N))
    counts = np.arange(1, N + 1)
    model.restore_catalogue(
        Ids(ids, "int"), pl.DataFrame({"item": ids}), "", {}, item_counts=counts
    )
    return model, A.astype(np.float64)


def unit_by_hand(scores: np.ndarray, history: list[int]) -> float:
    """The best score minus the 100th best, over items that are not in the history."""
    others = sorted((s for i, s in enumerate(scores) if i not in history), reverse=True)
    return float(others[0] - others[99])


def test_a_knob_of_a_sparse_model_shifts_one_unit_of_the_persons_vector() -> None:
    """ŷ = (u + δ·e_k)Aᵀ − x, with u = xA and δ = level · unit / max a_k."""
    model, A = sparse_model(signed=False)
    knobs = shoal.knobs(model)
    assert knobs.source == "units"
    assert len(knobs) == K
    history = [3, 50, 77]
    x = np.zeros(N)
    x[history] = 1
    unit = unit_by_hand(x @ A @ A.T - x, history)
    columns = set()
    for knob in knobs:
        (k,) = [k for k in range(K) if np.allclose(A[:, k] / A[:, k].max(), knob.weights)]
        columns.add(k)
        for level in (-2.0, 0.5, 3.0):
            u = x @ A
            u[k] += level * unit / A[:, k].max()
            expected = u @ A.T - x
            found = shoal.recommend(model, history, 30, steer=knobs.shifts({knob.name: level}))
            best = sorted((i for i in range(N) if i not in history), key=lambda i: -expected[i])
            np.testing.assert_allclose(
                [r.score for r in found], expected[best[:30]], rtol=1e-4, atol=1e-5
            )
            np.testing.assert_allclose(
                [r.score for r in found], expected[found.items], rtol=1e-4, atol=1e-5
            )
    assert columns == set(range(K))


def test_the_two_sides_of_a_unit_together_are_the_unit() -> None:
    model, A = sparse_model(signed=True)
    knobs = shoal.knobs(model)
    assert len(knobs) == 2 * K
    history = [3, 50, 77]
    x = np.zeros(N)
    x[history] = 1
    unit = unit_by_hand(x @ A @ A.T - x, history)
    by_side = {}
    for knob in knobs:
        for k in range(K):
            for sign in (1, -1):
                side = np.maximum(sign * A[:, k], 0)
                if np.allclose(side / side.max(), knob.weights):
                    by_side[k, sign] = knob.name, side.max()
    assert len(by_side) == 2 * K
    for k in range(K):
        (up, top), (down, bottom) = by_side[k, 1], by_side[k, -1]
        delta = 0.4 * unit
        levels = {
            up: 0.4 * top,
            down: -0.4 * bottom,
        }  # a knob's weights are A over its largest value
        u = x @ A
        u[k] += delta
        expected = u @ A.T - x
        found = shoal.recommend(model, history, 20, steer=knobs.shifts(levels))
        np.testing.assert_allclose(
            [r.score for r in found], expected[found.items], rtol=1e-4, atol=1e-5
        )


def test_lists_do_not_depend_on_the_scale_of_scores() -> None:
    rng = np.random.default_rng(4)
    B = rng.normal(size=(150, 150)).astype(np.float32)
    steer = rng.random(150).astype(np.float32) * (rng.random(150) < 0.2)
    lists = []
    for factor in (1.0, 1024.0, 2.0**-20):
        model = EASE()
        model.restore({"weights": B * np.float32(factor)})
        ids = pl.Series(range(150))
        model.restore_catalogue(Ids(ids, "int"), pl.DataFrame({"item": ids}), "", {})
        lists.append(shoal.recommend(model, [1, 2], 10, steer=steer).items)
    assert lists[0] == lists[1] == lists[2]
    assert lists[0] != shoal.recommend(model, [1, 2], 10).items


def test_shifts_come_after_boosts_and_filters_hold() -> None:
    B = np.zeros((4, 4), np.float32)
    B[0] = [0, 4, 2, 1]
    model = EASE()
    model.restore({"weights": B})
    table = pl.DataFrame({"item": [1, 2, 3, 4], "year": [1, 2, 3, 4]})
    model.restore_catalogue(Ids(table["item"], "int"), table, "", {})
    # the others have 4, 2 and 1; of three the median stands for the 100th best: the unit is 2
    found = shoal.recommend(model, [1], 3, steer=[0, 0, 0, 2])
    assert [(r.item, r.score) for r in found] == [(4, 5), (2, 4), (3, 2)]
    # boosted they have 4, 6 and 1, so that the unit is 6 − 4
    found = shoal.recommend(model, [1], 3, steer=[0, 0, 0, 2], boost={"year = 3": 3})
    assert [(r.item, r.score) for r in found] == [(3, 6), (4, 5), (2, 4)]
    # of 2 and 1 the median is 1.5
    found = shoal.recommend(model, [1], 3, steer=[0, 9, 0, 3], filter="year > 2")
    assert [(r.item, r.score) for r in found] == [(4, 2.5), (3, 2)]


def test_the_popular_list_is_steered_as_well() -> None:
    model = EASE()
    model.restore({"weights": np.eye(3, dtype=np.float32)})
    table = pl.DataFrame({"item": [1, 2, 3]})
    counts = np.array([9, 5, 4])
    model.restore_catalogue(Ids(table["item"], "int"), table, "", {}, item_counts=counts)
    found = shoal.recommend(model, ["nobody had this"], 3, steer=[0, 0, 2])
    # the unit is 9 − 5, the median
    assert [(r.item, r.score) for r in found] == [(3, 12), (1, 9), (2, 5)]
    assert found.fallback == "popularity"


@pytest.mark.parametrize(
    ("scores", "unit"),
    [
        (list(range(200)), 99),  # 199 and, as the 100th best, 100
        (list(range(100)), 99),
        (list(range(99)), 49),  # the median of 0 … 98 is 49
        ([5, 5, 5, 1], 4),  # the median is as good as the best
        ([2, 2, 2], 1),
        ([], 1),
        ([float("-inf"), 1, 2, 5], 3),
        ([float("nan"), 4], 1),
    ],
)
def test_the_unit_of_a_list(scores: list[float], unit: float) -> None:
    assert unit_of(np.array(scores, np.float32)) == unit


def test_what_is_not_finite_stays_and_nothing_overflows() -> None:
    scores = np.array([[1, 0, -np.inf, 3e38, 2]], np.float32)
    nothing = np.zeros(2, np.int64), np.empty(0, np.int32)
    shift(scores, np.array([1, 0, 5, 3e38, -3e38], np.float32), nothing, np.ones(5, np.bool_))
    assert scores[0, 1] == 0
    assert scores[0, 2] == -np.inf
    largest = np.finfo(np.float32).max
    assert scores[0, 3] == largest
    assert scores[0, 4] == -largest


@pytest.mark.parametrize(
    ("steer", "message"),
    [
        ([1.0, 2.0], "160 numbers"),
        ({"Comedy": 1}, "knobs"),
        ("Comedy", "numbers"),
        (np.full(N, np.nan), "NaN"),
        (np.zeros((N, 1)), "numbers"),
    ],
)
def test_other_arrays_are_refused(steer: object, message: str) -> None:
    model, _ = sparse_model(signed=False)
    with pytest.raises(HistoryError, match=message):
        shoal.recommend(model, [1], 5, steer=steer)
