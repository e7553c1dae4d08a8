"""Products x·h(S) of rows x with a polynomial of S = R̃ᵀR̃, by products with the sparse X alone.

R̃ = diag(w)^½·X·diag(c), (m, n), is a scaled X. S (n, n) is never made. What is repeated is the
product with the (m, m) matrix M = diag(w)·X·diag(c²)·Xᵀ, which has the eigenvalues of S above 0:

    x·h(S) = h(0)·x + diag(c)·Xᵀ·q(M)·diag(w)·X·diag(c)·x,   q(s) = (h(s) − h(0)) / s

The spectrum lies in [0, 1], and q is a series of Chebyshev polynomials of 2s − 1, which Clenshaw's
recurrence adds up. Rows are taken in tiles of `WIDTH`, which stay in the cache, and a tile is read
by column: so one pass over X serves all rows of a tile. A row alone makes a tile of one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shoal.kernels.arrays import Double, Float, Int, Long, Sparse
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.vector import WIDTH, add_up

_ROWS = 256  # rows of X or Xᵀ that a thread takes at a time
FEW = 3  # up to so many rows of x are taken one by one, which is faster than a tile


class Scaled(NamedTuple):
    """X with the scales that make it R̃.

    Parameters
    ----------
    X, Xt : (indptr, indices, data)
        CSR arrays of X (m, n) and of Xᵀ.
    users : (m,) float32
        w.
    items : (n,) float32
        c.
    """

    X: Sparse
    Xt: Sparse
    users: Float
    items: Float


@jit(fastmath={"contract"})
def _add_row(indices: Int, data: Float, begin: int, end: int, tile: Float, sums: Float) -> None:
    """Write Σ x·tile[j] over the entries (j, x) of a sparse row to `sums`."""
    if tile.shape[1] == WIDTH:
        add_up(indices, data, begin, end, tile, sums, np.float32(0))
    else:
        total = np.float32(0)
        for q in range(begin, end):
            total += data[q] * tile[indices[q], 0]
        sums[0] = total


@parallel
def _times(
    indptr: Long, indices: Int, data: Float, tile: Float, factors: Float, out: Float
) -> None:
    """Write diag(factors)·A·tile to `out`, for a CSR A."""
    rows, width = out.shape
    for block in prange((rows + _ROWS - 1) // _ROWS):
        sums = np.empty(width, np.float32)
        for r in range(block * _ROWS, min(rows, (block + 1) * _ROWS)):
            _add_row(indices, data, indptr[r], indptr[r + 1], tile, sums)
            for t in range(width):
                out[r, t] = sums[t] * factors[r]


@parallel
def _recur(
    indptr: Long,
    indices: Int,
    data: Float,
    tile: Float,
    factors: Float,
    twice: float,
    sources: Float,
    coefficients: Float,
    later: Float,
    out: Float,
) -> None:
    """One step of Clenshaw's recurrence, which replaces what is in `out` (two steps before).

    out ← Σ_s coefficients_s·sources_s + twice·(2·diag(factors)·A·tile − later) − out
    """
    rows, width = out.shape
    step = np.float32(twice)
    for block in prange((rows + _ROWS - 1) // _ROWS):
        sums = np.empty(width, np.float32)
        for r in range(block * _ROWS, min(rows, (block + 1) * _ROWS)):
            _add_row(indices, data, indptr[r], indptr[r + 1], tile, sums)
            scale = step * np.float32(2) * factors[r]
            for t in range(width):
                out[r, t] = scale * sums[t] - step * later[r, t] - out[r, t]
            for s in range(coefficients.size):
                for t in range(width):
                    out[r, t] += coefficients[s] * sources[s, r, t]


@parallel
def _to_rows(
    indptr: Long, indices: Int, data: Float, tile: Float, factors: Float, first: int, out: Float
) -> None:
    """Add (diag(factors)·A·tile)ᵀ to the rows of `out` from `first` on."""
    height = min(tile.shape[1], out.shape[0] - first)
    for block in prange((factors.size + _ROWS - 1) // _ROWS):
        sums = np.empty(tile.shape[1], np.float32)
        for i in range(block * _ROWS, min(factors.size, (block + 1) * _ROWS)):
            _add_row(indices, data, indptr[i], indptr[i + 1], tile, sums)
            for t in range(height):
                out[first + t, i] += sums[t] * factors[i]


@jit()
def _spread(x: Sparse, first: int, Xt: Sparse, users: Float, items: Float, out: Float) -> None:
    """Write (x·diag(items)·Xᵀ·diag(users))ᵀ to `out`, for the rows of a sparse x from `first` on.

    It takes no more than the entries of X in the columns of the items of x.
    """
    indptr, indices, data = x
    starts, rows, values = Xt
    out[:] = 0
    for t in range(min(out.shape[1], indptr.size - 1 - first)):
        for p in range(indptr[first + t], indptr[first + t + 1]):
            j = indices[p]
            weight = data[p] * items[j]
            for q in range(starts[j], starts[j + 1]):
                out[rows[q], t] += weight * values[q] * users[rows[q]]


def add_filtered(
    scaled: Scaled, x: Sparse, series: Double, dense: Float | None, more: Double, out: Float
) -> None:
    """Add x·(h(S) − h(0)) to `out`, and z·(f(S) − f(0)) for dense rows z if there are any.

    Parameters
    ----------
    scaled : Scaled
        X and its scales.
    x : CSR arrays, (b, n)
    series : (K,) float64
        Coefficients of q(s) = (h(s) − h(0))/s as a Chebyshev series on [0, 1].
    dense : (b, n) float32 or None
        z.
    more : (L,) float64
        The same for f, of any length.
    out : (b, n) float32
    """
    length = max(len(series), len(more))
    coefficients = np.zeros((length, 1 if dense is None else 2), np.float32)
    coefficients[: len(series), 0] = series
    if dense is not None:
        coefficients[: len(more), 1] = more
    (m, n), rows = (scaled.users.size, scaled.items.size), len(out)
    width = 1 if rows <= FEW else WIDTH
    sources = np.empty((coefficients.shape[1], m, width), np.float32)
    later, last = np.empty((m, width), np.float32), np.empty((m, width), np.float32)
    tile = np.empty((n, width), np.float32)
    for first in range(0, rows, width):
        _spread(x, first, scaled.Xt, scaled.users, scaled.items, sources[0])
        with chunks(1):
            if dense is not None:
                tile[:] = 0
                block = dense[first : first + width]
                np.multiply(block.T, scaled.items[:, None], out=tile[:, : len(block)])
                _times(*scaled.X, tile, scaled.users, sources[1])
            np.multiply(sources[0], coefficients[-1, 0], out=later)
            if dense is not None:
                later += coefficients[-1, 1] * sources[1]
            last[:] = 0
            for step in range(length - 2, -1, -1):
                _times(*scaled.Xt, later, scaled.items**2, tile)
                twice = 2.0 if step else 1.0
                _recur(
                    *scaled.X, tile, scaled.users, twice, sources, coefficients[step], later, last
                )
                later, last = last, later
            _to_rows(*scaled.Xt, later, scaled.items, first, out)
