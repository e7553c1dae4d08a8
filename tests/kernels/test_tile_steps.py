"""Steps of an inverse in tiles, each against numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from shoal.kernels import tiles
from shoal.kernels.arrays import Double
from shoal.kernels.spd import NotPositiveDefiniteError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def triangle(rng: np.random.Generator, n: int) -> Double:
    return np.triu(rng.normal(size=(n, n))) + 4 * np.eye(n)


def test_products_are_subtracted_and_divided_without_changing_what_is_given(
    rng: np.random.Generator,
) -> None:
    C, U = rng.normal(size=(5, 7)), triangle(rng, 5)
    a, b, c, d = (rng.normal(size=shape) for shape in ((4, 5), (4, 7), (6, 5), (6, 7)))
    given = [array.copy() for array in (C, U, a, b, c, d)]
    difference = C - a.T @ b - c.T @ d
    assert tiles.less_products(C, a, b, c, d) == pytest.approx(difference)
    assert tiles.divided(C, U, a, b, c, d) == pytest.approx(np.linalg.inv(U).T @ difference)
    for before, after in zip(given, (C, U, a, b, c, d), strict=True):
        assert np.array_equal(before, after)


def test_the_factor_of_a_tile_on_the_diagonal(rng: np.random.Generator) -> None:
    X, a = rng.normal(size=(9, 5)), rng.normal(size=(4, 5))
    C = X.T @ X + np.eye(5)
    upper_only = np.triu(C + a.T @ a) + np.tril(np.full((5, 5), np.nan), -1)
    U = tiles.factor(upper_only, a)
    assert np.allclose(U.T @ U, C)
    assert np.array_equal(U, np.triu(U))
    with pytest.raises(NotPositiveDefiniteError):
        tiles.factor(a.T @ a, a, a)


def test_sums_of_the_inverse_begin_with_a_triangle(rng: np.random.Generator) -> None:
    S, U = triangle(rng, 5), triangle(rng, 7)
    b, c, d = rng.normal(size=(5, 7)), rng.normal(size=(5, 4)), rng.normal(size=(4, 7))
    total = S @ b + c @ d
    assert tiles.plus_products(None, S, b, c, d) == pytest.approx(total)
    assert tiles.plus_products(S @ b, c, d) == pytest.approx(total)
    assert tiles.negative_divided(None, U, S, b, c, d) == pytest.approx(-total @ np.linalg.inv(U))
    assert tiles.inverse_of_triangle(U) == pytest.approx(np.linalg.inv(U))


def test_sums_of_the_product_are_transposed_and_symmetric(rng: np.random.Generator) -> None:
    S = triangle(rng, 5)
    a, b, c = rng.normal(size=(7, 5)), rng.normal(size=(7, 4)), rng.normal(size=(5, 4))
    assert tiles.plus_transposed_products(None, a, S, b, c) == pytest.approx(a @ S.T + b @ c.T)
    assert tiles.plus_transposed_products(a @ S.T, b, c) == pytest.approx(a @ S.T + b @ c.T)
    assert tiles.plus_squares(None, S, c) == pytest.approx(S @ S.T + c @ c.T)
    assert tiles.plus_squares(S @ S.T, c) == pytest.approx(S @ S.T + c @ c.T)


def test_what_is_asked_of_tiles_is_computed_in_float64() -> None:
    tile = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    down, across = tiles.times_both(tile, np.array([1.0, 0, 2]), np.array([1.0, -1]))
    assert down.tolist() == [7, 16]
    assert across.tolist() == [-3, -3, -3]
    square = np.full((2, 2), 2.0**24)
    exact = tiles.with_diagonal(square, np.array([1.0, 3.0]))
    assert exact.tolist() == [[2**24 + 1, 2**24], [2**24, 2**24 + 3]]
    assert tiles.diagonal(tile).tolist() == [1, 5]
    assert tiles.diagonal(tile).dtype == np.float64
    assert tiles.positive_entries(np.array([[0.5, -1.0], [2.0, -3.0]])) == (2, 1)
