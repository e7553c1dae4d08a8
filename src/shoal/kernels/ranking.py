"""The k best of each row of X·B in one pass, without storing the scores.

B is read in tiles of columns that stay in the cache while all rows of X are multiplied with them.
The scores of one row in one tile are summed in registers and compared with the row's floor; those
above it go to the row's buffer (`selection`). The tile is in huge pages where the system has them:
its rows are read in random order, and looking up small pages would take as long as the sums.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shoal.kernels.arrays import Bool, Float, Int, Long, Ranking, Sparse
from shoal.kernels.compiling import chunks, parallel, prange
from shoal.kernels.selection import capacity, keep_best, key_of, score_bits_of, sorted_lists
from shoal.kernels.vector import WIDTH, add_up, lowest_bit

Pack = Callable[[int, int, Float], None]

_ROWS = 64  # rows of X that a thread takes at a time
_HUGE = 2**21  # bytes of a huge page


def tile_buffer(n: int) -> Float:
    """Allocate (n, WIDTH) float32 at the boundary of a huge page.

    numpy asks the system for huge pages from 4 MB on.
    """
    size = 4 * n * WIDTH
    raw = np.empty(max(size + _HUGE, 2 * _HUGE), np.uint8)
    begin = -raw.ctypes.data % _HUGE
    return raw[begin : begin + size].view(np.float32).reshape(n, WIDTH)


@parallel
def pack(B: Float, begin: int, end: int, tile: Float) -> None:
    """Write columns begin … end − 1 of B to tile[:, : end − begin]."""
    for j in prange(B.shape[0]):
        for t in range(end - begin):
            tile[j, t] = B[j, begin + t]


@parallel
def _offer(
    indptr: Long,
    indices: Int,
    data: Float,
    tile: Float,
    begin: int,
    end: int,
    seen_indptr: Long,
    seen: Int,
    cursor: Long,
    allowed: Bool,
    k: int,
    keys: Long,
    sizes: Long,
    floors: Float,
    broken: Bool,
) -> None:
    """Add the scores of columns begin … end − 1 that are above a row's floor to its buffer."""
    m = indptr.size - 1
    for chunk in prange((m + _ROWS - 1) // _ROWS):
        scores = np.empty(WIDTH, np.float32)
        bits = scores.view(np.int32)
        floor_bits = np.empty(1, np.int32)
        for r in range(chunk * _ROWS, min(m, (chunk + 1) * _ROWS)):
            mask = add_up(indices, data, indptr[r], indptr[r + 1], tile, scores, floors[r])
            at = cursor[r]
            while at < seen_indptr[r + 1] and seen[at] < end:
                mask &= ~(np.int64(1) << (seen[at] - begin))
                at += 1
            cursor[r] = at
            while mask != 0:
                t = lowest_bit(mask)
                mask &= mask - 1
                if begin + t >= end or not allowed[begin + t]:
                    continue
                if scores[t] != scores[t]:
                    broken[r] = True
                    continue
                size = sizes[r]
                keys[r, size] = key_of(bits[t], begin + t)
                size += 1
                if size == keys.shape[1]:
                    keep_best(keys[r], size, k)
                    size = k
                    floor_bits[0] = score_bits_of(keys[r, k - 1])
                    floors[r] = floor_bits.view(np.float32)[0]
                sizes[r] = size


@parallel
def _lists(keys: Long, sizes: Long, items: Int, score_bits: Int) -> None:
    for r in prange(sizes.size):
        sorted_lists(keys[r], sizes[r], items[r], score_bits[r])


def best_of_product(
    x: Sparse,
    B: Float,
    k: int,
    seen_indptr: Long,
    seen: Int,
    allowed: Bool,
) -> Ranking:
    """Find the k highest entries of each row of X·B.

    Parameters
    ----------
    x : CSR arrays of X (m, n): indptr, indices, data
    B : (n, c) float32
    k : int
    seen_indptr, seen : indptr and indices of a CSR matrix with m rows
        Columns that must not be chosen, for each row, ascending.
    allowed : (c,) bool
        Columns that may be chosen in any row.

    Returns
    -------
    items : (m, k) int32, best first, −1 where fewer than k could be chosen
    scores : (m, k) float32, −inf where fewer than k could be chosen

    Raises
    ------
    FloatingPointError
        A score is NaN.

    Notes
    -----
    The result is equal, bit by bit, to `linear.sparse_times_dense` followed by `topk.best`, for any
    number of threads. Beyond the result this takes 4·n·WIDTH bytes, and `bytes_per_row` per row.
    """

    def pack_columns(begin: int, end: int, tile: Float) -> None:
        pack(B, begin, end, tile)

    return best_of_tiles(x, B.shape, pack_columns, k, seen_indptr, seen, allowed)


def bytes_per_row(k: int) -> int:
    """Return the bytes that a row of X takes while it is ranked, its two lists included."""
    return 8 * capacity(k) + 8 * k + 24


def best_of_tiles(
    x: Sparse,
    shape: tuple[int, ...],
    pack: Pack,
    k: int,
    seen_indptr: Long,
    seen: Int,
    allowed: Bool,
) -> Ranking:
    """Do what `best_of_product` does, for a B whose columns are made when they are needed.

    Parameters
    ----------
    x, k, seen_indptr, seen, allowed
        As in `best_of_product`.
    shape : (n, c)
        Shape of B.
    pack : callable
        ``pack(begin, end, tile)`` writes columns begin … end − 1 of B to tile[:, : end − begin].
    """
    m, (n, c) = x[0].size - 1, shape
    items = np.full((m, k), -1, np.int32)
    scores = np.full((m, k), -np.inf, np.float32)
    keys = np.empty((m, capacity(k)), np.int64)
    sizes, cursor = np.zeros(m, np.int64), seen_indptr[:-1].copy()
    floors, broken = np.full(m, -np.inf, np.float32), np.zeros(m, np.bool_)
    tile = tile_buffer(n)
    rules = seen_indptr, seen, cursor, allowed
    for begin in range(0, c, WIDTH):
        end = min(c, begin + WIDTH)
        with chunks(64):
            pack(begin, end, tile)
        with chunks(1):
            _offer(*x, tile, begin, end, *rules, k, keys, sizes, floors, broken)  # type: ignore[arg-type]
    if broken.any():
        raise FloatingPointError("a score is NaN")
    with chunks(64):
        _lists(keys, sizes, items, scores.view(np.int32))
    return items, scores
