"""The inverse of a matrix in tiles: against numpy, on both executors, whatever is killed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.cluster import tiles
from shoal.cluster.local import LocalExecutor
from shoal.executor import Executor
from shoal.kernels.arrays import Double
from shoal.kernels.spd import NotPositiveDefiniteError
from tests.cluster.killing import kills


def gram(n: int, seed: int = 5, ridge: float = 20.0) -> Double:
    """A Gram matrix like those of logs, with ridge: whole numbers, so float32 holds it exactly."""
    X = (np.random.default_rng(seed).random((3 * n, n)) < 0.2).astype(np.float64)
    return X.T @ X + ridge * np.eye(n)


def cut(
    executor: Executor, matrix: Double, edges: list[int], dtype: str = "float32"
) -> tiles.Tiles:
    """Its upper tiles; below the diagonal of a tile on the diagonal stands nothing of use."""
    cells = list(itertools.pairwise(edges))
    out = {}
    for i, (a, b) in enumerate(cells):
        for j, (c, d) in enumerate(cells[i:], i):
            tile = matrix[a:b, c:d].astype(dtype)
            if i == j:
                tile[np.tril_indices(b - a, -1)] = np.nan
            out[i, j] = executor.put(tile)
    return out


def joined(executor: Executor, P: tiles.Tiles, edges: list[int]) -> Double:
    """The whole symmetric matrix of upper tiles."""
    out = np.full((edges[-1], edges[-1]), np.nan)
    for (i, j), handle in P.items():
        tile = executor.get(handle)
        out[edges[i] : edges[i + 1], edges[j] : edges[j + 1]] = tile
        out[edges[j] : edges[j + 1], edges[i] : edges[i + 1]] = tile.T
    return out


@settings(deadline=None, max_examples=60)
@given(
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_any_division_into_tiles_gives_the_inverse(widths: list[int], dtype: str) -> None:
    here = LocalExecutor(threads=1)
    edges = [0, *itertools.accumulate(widths)]
    matrix = gram(edges[-1])
    P = joined(here, tiles.invert(here, cut(here, matrix, edges, dtype), edges), edges)
    error = np.abs(P @ matrix - np.eye(len(matrix))).max()
    assert error < (1e-4 if dtype == "float32" else 1e-11)


def test_sums_longer_than_one_task_have_the_same_inverse(executor: Executor) -> None:
    matrix, edges = gram(160), tiles.edges_of(160, 7)  # 23 tiles a side
    flops: list[float] = []
    P = tiles.invert(executor, cut(executor, matrix, edges), edges, flops.append)
    assert set(P) == {(i, j) for i in range(23) for j in range(i, 23)}
    assert joined(executor, P, edges) == pytest.approx(np.linalg.inv(matrix), abs=1e-6)
    assert sum(flops) == pytest.approx(160**3, rel=0.25)


def test_executors_give_the_same_bits(two_nodes: object) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    matrix, edges = gram(150), tiles.edges_of(150, 32)
    results = [
        joined(each, tiles.invert(each, cut(each, matrix, edges), edges), edges)
        for each in (LocalExecutor(threads=1), RayExecutor())
    ]
    assert np.array_equal(*results)


def test_a_matrix_that_is_not_positive_definite_is_told(executor: Executor) -> None:
    matrix, edges = gram(40), tiles.edges_of(40, 8)
    matrix[:, 30] = matrix[30] = matrix[2]
    matrix[30, 30] = matrix[2, 2]  # column 30 is column 2
    matrix[2, 30] = matrix[30, 2] = matrix[2, 2] + 1
    with pytest.raises(NotPositiveDefiniteError):
        tiles.invert(executor, cut(executor, matrix, edges), edges)


def test_tiles_are_let_go_when_nothing_needs_them() -> None:
    here = LocalExecutor(threads=1)
    matrix, edges = gram(60), tiles.edges_of(60, 10)
    given_tiles = cut(here, matrix, edges)
    tiles.invert(here, given_tiles, edges)
    assert not given_tiles


def test_diagonal_and_product_with_a_vector(executor: Executor) -> None:
    matrix, edges = gram(50), tiles.edges_of(50, 16)
    whole = {
        at: executor.put(
            np.nan_to_num(matrix)[edges[at[0]] : edges[at[0] + 1], edges[at[1]] : edges[at[1] + 1]]
        )
        for at in itertools.combinations_with_replacement(range(4), 2)
    }
    v = np.random.default_rng(0).normal(size=50)
    assert tiles.symmetric_times(executor, whole, edges, v) == pytest.approx(matrix @ v)
    assert np.array_equal(tiles.diagonal(executor, whole, edges), np.diag(matrix))
    added = tiles.with_ridge(executor, whole, edges, np.arange(50.0))
    assert joined(executor, added, edges) == pytest.approx(matrix + np.diag(np.arange(50.0)))
    assert executor.get(tiles.in_float32(executor, added)[0, 1]).dtype == np.float32


def test_the_size_of_tiles_follows_from_the_matrix() -> None:
    assert tiles.tile_size(100) == 100
    assert tiles.tile_size(3_000) == 512
    assert tiles.tile_size(24 * 960) == 960
    assert tiles.tile_size(20_000) == 800  # 25 tiles a side, as 24 would be no multiples of 32
    assert tiles.tile_size(250_000) == 4_928
    # two rows of 192 × 20,000 of them
    assert tiles.tile_size(20_000, memory=2 * 4 * 192 * 20_000) == 192
    # 19 tiles of 320 × 320
    assert tiles.tile_size(1_280, memory=19 * 4 * 320**2 + 1) == 320
    assert tiles.edges_of(10, 4) == [0, 4, 8, 10]


@pytest.mark.timeout(240)
def test_whatever_is_killed_the_bits_are_those_of_this_process(two_nodes: object) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    matrix, edges = gram(600), tiles.edges_of(600, 60)
    here, there = LocalExecutor(threads=1), RayExecutor()
    expected = joined(here, tiles.invert(here, cut(here, matrix, edges), edges), edges)
    assert expected == pytest.approx(np.linalg.inv(matrix), abs=1e-6)
    killed: list[str] = []
    for seed in range(20):
        with kills(seed, times=10 - len(killed), within=0.5) as now:
            P = tiles.invert(there, cut(there, matrix, edges), edges)
            assert np.array_equal(joined(there, P, edges), expected)
        killed += now
        if len(killed) == 10:
            break
    assert len(killed) == 10
