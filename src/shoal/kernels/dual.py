"""Products for the dual form of a linear model: with Xᵀ (items × users), and with a symmetric M.

Xᵀ (n, m) comes as CSR arrays: the users of item i, ascending, are rows[indptr[i] : indptr[i + 1]],
and `data` has their values. M (m, m) is symmetric and large. Both products read the other operand
in tiles of `WIDTH` columns that stay in the cache, as `ranking` does.
"""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Double, Float, Int, Long
from shoal.kernels.compiling import chunks, parallel, prange
from shoal.kernels.ranking import tile_buffer
from shoal.kernels.vector import WIDTH, add_up

_ITEMS = 512  # items that a thread takes at a time
_ROWS = 16  # rows that a thread takes at a time


@parallel
def _quadratic_forms(indptr: Long, rows: Int, data: Float, M: Float, out: Double) -> None:
    for i in prange(out.size):
        total = 0.0
        for p in range(indptr[i], indptr[i + 1]):
            row, x = M[rows[p]], data[p]
            part = 0.5 * x * row[rows[p]]
            for q in range(p + 1, indptr[i + 1]):
                part += data[q] * row[rows[q]]
            total += x * part
        out[i] = 2 * total


def quadratic_forms(indptr: Long, rows: Int, data: Float, M: Float) -> Double:
    """Return x_iᵀ M x_i for each item i, (n,) float64, x_i being its column of X.

    It takes Σ c_i² / 2 multiply-adds, c_i being the number of users of item i.

    Parameters
    ----------
    indptr, rows, data : CSR arrays of Xᵀ (n, m)
    M : (m, m) float32
        Symmetric; only its upper triangle is read.
    """
    out = np.empty(indptr.size - 1)
    with chunks(64):
        _quadratic_forms(indptr, rows, data, M, out)
    return out


@parallel
def _times_tile(
    indptr: Long, indices: Int, data: Float, tile: Float, begin: int, end: int, out: Float
) -> None:
    m = out.shape[0]
    for chunk in prange((m + _ROWS - 1) // _ROWS):
        sums = np.empty(WIDTH, np.float32)
        for r in range(chunk * _ROWS, min(m, (chunk + 1) * _ROWS)):
            add_up(indices, data, indptr[r], indptr[r + 1], tile, sums, np.float32(0))
            for t in range(end - begin):
                out[r, begin + t] = sums[t]


@parallel
def _pack_columns(M: Float, begin: int, end: int, tile: Float) -> None:
    """Copy the columns begin … end − 1 of M to `tile`.

    They are read as rows of M, which is symmetric, since a row is contiguous in memory.
    """
    for j in prange(M.shape[0]):
        for t in range(end - begin):
            tile[j, t] = M[begin + t, j]


def sparse_times_symmetric(indptr: Long, indices: Int, data: Float, M: Float) -> Float:
    """Return Y·M, (b, m) float32, for a CSR Y (b, m) and a symmetric M (m, m).

    The result has the same bits as that of `linear.sparse_times_dense`, which reads a row of M from
    memory for each entry of Y; this reads M only once, in tiles of columns.
    """
    m = len(M)
    out = np.empty((indptr.size - 1, m), np.float32)
    tile = tile_buffer(m)
    for begin in range(0, m, WIDTH):
        end = min(m, begin + WIDTH)
        with chunks(64):
            _pack_columns(M, begin, end, tile)
        with chunks(1):
            _times_tile(indptr, indices, data, tile, begin, end, out)
    return out


@parallel
def _pack_rows(Z: Float, tiles: Float) -> None:
    for u in prange(Z.shape[1]):
        for r in range(tiles.shape[0] * WIDTH):
            tiles[r // WIDTH, u, r % WIDTH] = Z[r, u] if r < Z.shape[0] else np.float32(0)


@parallel
def _by_item(indptr: Long, rows: Int, data: Float, tiles: Float, factor: Float, out: Float) -> None:
    b, n = out.shape
    blocks = (n + _ITEMS - 1) // _ITEMS
    for part in prange(tiles.shape[0] * blocks):
        chunk, block = part // blocks, part % blocks
        first = chunk * WIDTH
        height = min(WIDTH, b - first)
        sums = np.empty(WIDTH, np.float32)
        for i in range(block * _ITEMS, min(n, (block + 1) * _ITEMS)):
            add_up(rows, data, indptr[i], indptr[i + 1], tiles[chunk], sums, np.float32(0))
            for t in range(height):
                out[first + t, i] = sums[t] * factor[i]


def products_by_item(indptr: Long, rows: Int, data: Float, Z: Float, factor: Float) -> Float:
    """Return Z·X·diag(factor), (b, n) float32, each entry summed over the users of its item.

    Parameters
    ----------
    indptr, rows, data : CSR arrays of Xᵀ (n, m)
    Z : (b, m) float32
    factor : (n,) float32
    """
    b, m = Z.shape
    out = np.empty((b, indptr.size - 1), np.float32)
    tiles = np.empty(((b + WIDTH - 1) // WIDTH, m, WIDTH), np.float32)
    with chunks(64):
        _pack_rows(Z, tiles)
    with chunks(1):
        _by_item(indptr, rows, data, tiles, factor, out)
    return out
