"""The k best of each row of U·Vᵀ, tile by tile, without storing all scores.

V has a row for each item. It is dense (products by BLAS) or sparse (products by `linear`). A tile
of scores stays in the cache while `selection` picks the scores above the floor of their row.
"""

from __future__ import annotations

import numpy as np

from shoal.kernels import linear, one_row
from shoal.kernels.arrays import Bool, Float, Int, Long, Ranking, Seen, Sparse
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.selection import capacity, keep_best, key_of, score_bits_of, sorted_lists

_ROWS = 1024  # rows of U at a time
_SCORES = 2**21  # scores of a tile: 8 MB
_LOOK = 32  # scores that are compared with the floor at once


@jit()
def _any_above(scores: Float, floor: float) -> bool:
    """Return whether any score is above the floor, or NaN; without a branch, to be vectorised."""
    above = False
    for i in range(scores.size):
        above |= not (scores[i] <= floor)
    return above


@jit()
def _offer_row(
    scores: Float,
    begin: int,
    floor: float,
    allowed: Bool,
    keys: Long,
    size: int,
    k: int,
) -> tuple[int, float, bool]:
    """Add the scores of a row that are above its floor to the buffer `keys`.

    Returns the new size of the buffer, the new floor, and whether a score is NaN.
    """
    bits, broken = scores.view(np.int32), False
    floor_bits = np.empty(1, np.int32)
    for c in range(0, scores.size, _LOOK):
        if not _any_above(scores[c : c + _LOOK], floor):
            continue
        for i in range(c, min(scores.size, c + _LOOK)):
            if scores[i] <= floor or not allowed[begin + i]:
                continue
            if scores[i] != scores[i]:
                broken = True
                continue
            keys[size] = key_of(bits[i], begin + i)
            size += 1
            if size == keys.size:
                keep_best(keys, size, k)
                size = k
                floor_bits[0] = score_bits_of(keys[k - 1])
                floor = floor_bits.view(np.float32)[0]
    return size, floor, broken


@parallel
def _offer(
    scores: Float,
    first: int,
    begin: int,
    plus: Sparse,
    plus_at: Long,
    seen: Seen,
    seen_at: Long,
    allowed: Bool,
    k: int,
    keys: Long,
    sizes: Long,
    floors: Float,
    broken: Bool,
) -> None:
    """Add the scores of a tile (r, w) to the buffers of its rows.

    The tile begins at row `first` and column `begin` of the scores; entries of `plus` are added to
    it and columns in `seen` set to −inf before.
    """
    for r in prange(scores.shape[0]):
        row, end = scores[r], begin + scores.shape[1]
        at, last = plus_at[r], plus[0][first + r + 1]
        while at < last and plus[1][at] < end:
            row[plus[1][at] - begin] += plus[2][at]
            at += 1
        plus_at[r] = at
        at, last = seen_at[r], seen[0][first + r + 1]
        while at < last and seen[1][at] < end:
            row[seen[1][at] - begin] = -np.inf
            at += 1
        seen_at[r] = at
        found = _offer_row(row, begin, floors[r], allowed, keys[r], sizes[r], k)
        sizes[r], floors[r] = found[0], found[1]
        broken[r] |= found[2]


@parallel
def _lists(keys: Long, sizes: Long, items: Int, score_bits: Int) -> None:
    for r in prange(sizes.size):
        sorted_lists(keys[r], sizes[r], items[r], score_bits[r])


def best_of_product(
    U: Float,
    V: Float | Sparse,
    k: int,
    seen_indptr: Long,
    seen: Int,
    allowed: Bool,
    plus: Sparse | None = None,
) -> Ranking:
    """Find the k highest entries of each row of U·Vᵀ, or of U·Vᵀ + S.

    Parameters
    ----------
    U : (m, d) float32
    V : (n, d) float32, C-ordered; or its CSR arrays: indptr, indices, data
    k : int
    seen_indptr, seen : indptr and indices of a CSR matrix with m rows
        Columns that must not be chosen, for each row, ascending.
    allowed : (n,) bool
        Columns that may be chosen in any row.
    plus : CSR arrays of S (m, n), optional
        S, added to the products; columns ascending within each row.

    Returns
    -------
    items : (m, k) int32, best first, −1 where fewer than k could be chosen
    scores : (m, k) float32, −inf where fewer than k could be chosen

    Raises
    ------
    FloatingPointError
        A score of a column that may be chosen is NaN.

    Notes
    -----
    The result is that of `products` followed by `topk.best`, up to the rounding of BLAS, which may
    differ with the shape of a tile, and the same bits for a single row; equal scores are ordered by
    column. Beyond the result this
    takes about 8 MB (three times that for a sparse V), for any m and n.
    """
    m, n = len(U), allowed.size
    items = np.full((m, k), -1, np.int32)
    scores = np.full((m, k), -np.inf, np.float32)
    if plus is None:
        plus = np.zeros(m + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    rows = min(_ROWS, max(m, 1))
    width = min(n, _SCORES // rows)
    tile = np.empty((rows, width), np.float32)
    keys = np.empty((rows, capacity(k)), np.int64)
    for first in range(0, m, rows):
        block = U[first : first + rows]
        r = len(block)
        columns = np.ascontiguousarray(block.T) if isinstance(V, tuple) else block.T
        ends = plus[0][first : first + r].copy(), seen_indptr[first : first + r].copy()
        sizes, floors = np.zeros(r, np.int64), np.full(r, -np.inf, np.float32)
        broken = np.zeros(r, np.bool_)
        for begin in range(0, n, width):
            end = min(n, begin + width)
            part = tile[:r, : end - begin]
            if isinstance(V, tuple):
                indptr = V[0][begin : end + 1]
                np.copyto(part, linear.sparse_times_dense(indptr, V[1], V[2], columns).T)
            elif m == 1:
                part[0] = one_row.dots(V[begin:end], U[0])
            else:
                np.matmul(block, V[begin:end].T, out=part)
            with chunks(8):
                _offer(
                    *(part, first, begin, plus, ends[0], (seen_indptr, seen), ends[1]),
                    *(allowed, k, keys, sizes, floors, broken),
                )
        if broken.any():
            raise FloatingPointError("a score is NaN")
        with chunks(8):
            _lists(keys, sizes, items[first : first + r], scores[first : first + r].view(np.int32))
    return items, scores


def products(U: Float, V: Float | Sparse) -> Float:
    """Return U·Vᵀ, (m, n) float32, for U (m, d) and V (n, d), dense or CSR arrays."""
    if isinstance(V, tuple):
        return np.ascontiguousarray(linear.sparse_times_dense(*V, np.ascontiguousarray(U.T)).T)
    return one_row.dots(V, U[0])[None] if len(U) == 1 else U @ V.T


def bytes_per_row(k: int, d: int) -> int:
    """Return the bytes that a row of U and its lists take while it is ranked."""
    return 4 * d + 8 * k
