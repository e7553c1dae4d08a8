"""Products and divisions of tiles of a matrix: the steps of an inverse that is made tile by tile.

A tile is a C-ordered array of float32 or float64. Tiles that are given are not changed, since
several tasks read them at once; each function returns a new one. Tiles on the diagonal of a
triangular matrix have zeros below their diagonal. With A = UᵀU and S = U⁻¹, the inverse of A is
S·Sᵀ, and for tiles i < j

    U_ij = U_ii⁻ᵀ·(A_ij − Σ_{k<i} U_kiᵀ·U_kj)       U_ii of A_ii − Σ_{k<i} U_kiᵀ·U_ki
    S_ij = −(Σ_{i≤k<j} S_ik·U_kj)·U_jj⁻¹            S_ii = U_ii⁻¹
    P_ij = Σ_{k≥j} S_ik·S_jkᵀ

A sum may be cut into parts: each takes the sum so far, and pairs of tiles one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs

from shoal.kernels import spd

Number = TypeVar("Number", np.float32, np.float64)
Tile: TypeAlias = NDArray[Number]


def _blas(name: str, tile: NDArray[Any]) -> Callable[..., Any]:
    """A routine of BLAS. It takes column-major arrays, which the transposes of tiles are."""
    routine: Callable[..., Any] = get_blas_funcs(name, dtype=tile.dtype)
    return routine


def _pairs(tiles: tuple[Tile[Number], ...]) -> Iterator[tuple[Tile[Number], Tile[Number]]]:
    return zip(tiles[::2], tiles[1::2], strict=True)


# -- the triangle U of the Cholesky factorisation -------------------------------------------


def less_products(tile: Tile[Number], *pairs: Tile[Number]) -> Tile[Number]:
    """C − Σ AᵀB for pairs A, B."""
    out = tile.copy()
    gemm = _blas("gemm", out)
    for a, b in _pairs(pairs):
        gemm(-1, b.T, a.T, beta=1, c=out.T, trans_b=1, overwrite_c=1)
    return out


def less_squares(tile: Tile[Number], *tiles: Tile[Number]) -> Tile[Number]:
    """C − Σ AᵀA for a tile C on the diagonal; only its upper triangle is read and right."""
    out = tile.copy()
    syrk = _blas("syrk", out)
    for a in tiles:
        syrk(-1, a.T, beta=1, c=out.T, lower=1, overwrite_c=1)
    return out


def factor(tile: Tile[Number], *tiles: Tile[Number]) -> Tile[Number]:
    """U_ii of `less_squares`.

    Raises
    ------
    NotPositiveDefiniteError
        The matrix is singular or indefinite in its precision.
    """
    out = less_squares(tile, *tiles)
    spd.factor_upper(out)
    return np.triu(out)


def divided(tile: Tile[Number], triangle: Tile[Number], *pairs: Tile[Number]) -> Tile[Number]:
    """U_ii⁻ᵀ·(C − Σ AᵀB)."""
    out = less_products(tile, *pairs)
    trsm = _blas("trsm", out)
    trsm(1, triangle.T, out.T, side=1, lower=1, trans_a=1, overwrite_b=1)
    return out


# -- its inverse S --------------------------------------------------------------------------


def inverse_of_triangle(triangle: Tile[Number]) -> Tile[Number]:
    """S_ii of U_ii."""
    out = triangle.copy()
    spd.invert_triangle_upper(out)
    return out


def plus_products(tile: Tile[Number] | None, *pairs: Tile[Number]) -> Tile[Number]:
    """C + Σ AB for pairs A, B; without C, the first A is an upper triangle."""
    if tile is None:
        triangle, b, *rest = pairs
        out = b.copy()
        _blas("trmm", out)(1, triangle.T, out.T, side=1, lower=1, overwrite_b=1)
    else:
        out, rest = tile.copy(), list(pairs)
    gemm = _blas("gemm", out)
    for a, b in _pairs(tuple(rest)):
        gemm(1, b.T, a.T, beta=1, c=out.T, overwrite_c=1)
    return out


def negative_divided(
    tile: Tile[Number] | None, triangle: Tile[Number], *pairs: Tile[Number]
) -> Tile[Number]:
    """−(C + Σ AB)·U_jj⁻¹, with the sum as of `plus_products`."""
    out = plus_products(tile, *pairs)
    _blas("trsm", out)(-1, triangle.T, out.T, lower=1, overwrite_b=1)
    return out


# -- the product P = S·Sᵀ -------------------------------------------------------------------


def plus_transposed_products(tile: Tile[Number] | None, *pairs: Tile[Number]) -> Tile[Number]:
    """C + Σ ABᵀ for pairs A, B; without C, the first B is an upper triangle."""
    if tile is None:
        a, triangle, *rest = pairs
        out = a.copy()
        _blas("trmm", out)(1, triangle.T, out.T, lower=1, trans_a=1, overwrite_b=1)
    else:
        out, rest = tile.copy(), list(pairs)
    gemm = _blas("gemm", out)
    for a, b in _pairs(tuple(rest)):
        gemm(1, b.T, a.T, beta=1, c=out.T, trans_a=1, overwrite_c=1)
    return out


def plus_squares(tile: Tile[Number] | None, *tiles: Tile[Number]) -> Tile[Number]:
    """C + Σ AAᵀ, a whole symmetric tile; without C, the first A is an upper triangle."""
    out = (tiles[0] if tile is None else tile).copy()
    if tile is None:
        spd.square_upper(out)
    syrk = _blas("syrk", out)
    for a in tiles[tile is None :]:
        syrk(1, a.T, beta=1, c=out.T, trans=1, lower=1, overwrite_c=1)
    upper = np.triu(out)
    return upper + np.triu(upper, 1).T


# -- what is asked of a symmetric matrix in tiles -------------------------------------------


def with_diagonal(tile: Tile[Any], added: NDArray[np.float64]) -> NDArray[Any]:
    """A tile on the diagonal with numbers added to its diagonal, in the type of the tile."""
    out = tile.copy()
    np.einsum("ii->i", out)[:] += added.astype(tile.dtype)
    return out


def in_type(tile: Tile[Any], dtype: str) -> NDArray[Any]:
    """A tile in another type."""
    return tile.astype(dtype)


def diagonal(tile: Tile[Any]) -> NDArray[np.float64]:
    """The diagonal of a tile."""
    return tile.diagonal().astype(np.float64)


def positive_entries(tile: Tile[Any]) -> tuple[int, int]:
    """Count the entries above 0 of a tile, and those on its diagonal."""
    return int(np.count_nonzero(tile > 0)), int(np.count_nonzero(tile.diagonal() > 0))


def times_both(
    tile: Tile[Any], of_columns: NDArray[np.float64], of_rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A·v for the columns of a tile A, and Aᵀ·w for its rows, in float64."""
    exact = tile.astype(np.float64)
    return exact @ of_columns, of_rows @ exact
