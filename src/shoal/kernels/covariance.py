"""The strongest covariances of each item, without storing all n × n of them.

G̃_ij = (Σ_u x_ui·x_uj − s_i·s_j/m)·v_i^(−α/2)·v_j^(−α/2), with the sums s and the squared deviations
v of the columns of a sparse X of m rows. Each thread computes one row of XᵀX at a time and keeps
the entries above a threshold. Pairs without a common user have negative entries that depend on the
sums only, so the strongest of them come first when items are sorted by s·v^(−α/2), descending.

The strongest pairs are found in two passes. The first estimates the threshold, for slightly more
than are wanted, from some rows. The second collects all pairs above it, row by row; if they are too
many, they are cut at the exact threshold. The result depends neither on the number of threads nor
on how the rows are divided. It takes about 24 bytes for each pair kept, and 8 per item in each
thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from shoal.kernels.arrays import Double, Float, Int, Long, Sparse
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.gram import by_column
from shoal.kernels.selection import (
    capacity,
    item_of,
    keep_best,
    key_of,
    offer,
    score_bits_of,
    sort_descending,
)

SAMPLE = 1024  # rows from which the threshold is estimated
SLACK = 1.05  # pairs to collect, relative to those wanted, since the estimate is not exact
_CHUNK = 16  # rows that a thread takes at a time
_LISTS = 2**22  # largest number of neighbours in the lists of a piece


class CentredGram(NamedTuple):
    """The arrays from which rows of G̃ are computed.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of X, shape (n_users, n_items)
    starts, users, values : CSR arrays of Xᵀ, that is X by column
    sums : (n_items,) float64
        s, the sum of each column.
    squares : (n_items,) float64
        v, the sum of squared deviations from the mean of each column.
    scale : (n_items,) float64
        v^(−α/2); 0 for a column that is constant.
    n_users : int
    """

    indptr: Long
    indices: Int
    data: Float
    starts: Long
    users: Int
    values: Float
    sums: Double
    squares: Double
    scale: Double
    n_users: int


class Neighbours(NamedTuple):
    """Lists of neighbours: those of item i are items[starts[i] : starts[i + 1]].

    Parameters
    ----------
    starts : (n_items + 1,) int64
    items : (total,) int32
        Item numbers, ascending within a list.
    strengths : (total,) float32
        |G̃| of each pair.
    threshold : float
        All strengths are above it.
    """

    starts: Long
    items: Int
    strengths: Float
    threshold: float

    def summary(self) -> dict[str, float]:
        """Return facts about the lists: the threshold, the share of pairs, neighbours per item."""
        sizes = np.diff(self.starts)
        return {
            "threshold": max(self.threshold, 0.0),
            "weights": float(sizes.sum()),
            "density": float(sizes.sum()) / sizes.size**2,
            "neighbours_min": float(sizes.min()),
            "neighbours_median": float(np.median(sizes)),
            "neighbours_max": float(sizes.max()),
        }


def centred_gram(
    indptr: Long, indices: Int, data: Float, n_items: int, alpha: float
) -> CentredGram:
    """Prepare G̃ of X, given as CSR arrays with values ≥ 0 and sorted indices.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of X (n_users, n_items)
    n_items : int
    alpha : float
        0 makes G̃ proportional to covariances, 1 to correlations.
    """
    starts, users, values = by_column(indptr, indices, data, n_items)
    n_users = indptr.size - 1
    sums, raw = _moments(starts, values)
    squares = raw - sums**2 / n_users
    varies = squares > 1e-9 * raw  # a constant column has v = 0 only up to rounding
    squares[~varies] = 0
    scale = np.zeros(n_items)
    scale[varies] = squares[varies] ** (-alpha / 2)
    return CentredGram(indptr, indices, data, starts, users, values, sums, squares, scale, n_users)


@jit()
def _moments(starts: Long, values: Float) -> tuple[Double, Double]:
    """Return the sum and the sum of squares of each column, (n_items,) float64 each."""
    sums, squares = np.zeros(starts.size - 1), np.zeros(starts.size - 1)
    for i in range(sums.size):
        for p in range(starts[i], starts[i + 1]):
            x = np.float64(values[p])
            sums[i] += x
            squares[i] += x * x
    return sums, squares


@jit()
def add_row(gram: CentredGram, i: int, row: Float, touched: Int) -> int:
    """Write row i of XᵀX into `row`, which is zero, and list its non-zero columns in `touched`.

    Returns
    -------
    int
        The number of these columns.
    """
    size = 0
    for p in range(gram.starts[i], gram.starts[i + 1]):
        u, x = gram.users[p], gram.values[p]
        for q in range(gram.indptr[u], gram.indptr[u + 1]):
            product = x * gram.data[q]
            if product > 0:
                j = gram.indices[q]
                if row[j] == 0:
                    touched[size] = j
                    size += 1
                row[j] += product
    return size


@jit(inline="always")
def entry(common: float, sums: float, scale: float, n_users: int) -> np.float32:
    """Return G̃_ij from Σ_u x_ui·x_uj (`common`), s_i·s_j (`sums`) and the product of scales."""
    return np.float32((common - sums / n_users) * scale)


@jit()
def _strongest(
    gram: CentredGram,
    i: int,
    order: Int,
    threshold: np.float32,
    k: int,
    row: Float,
    touched: Int,
    keys: Long,
    items: Int,
    strengths: Float,
) -> int:
    """Write the k strongest neighbours of item i above a threshold to `items` and `strengths`.

    They are sorted by item number. `order` lists items by s·v^(−α/2), descending; row (zeros),
    touched and keys are work space. Returns the number of neighbours.
    """
    cell = np.empty(1, np.float32)
    bits = cell.view(np.int32)
    size, floor = 0, np.int64(-1)
    n_touched = add_row(gram, i, row, touched)
    for at in range(n_touched + order.size):
        j = touched[at] if at < n_touched else order[at - n_touched]
        if at >= n_touched and row[j] != 0:
            continue  # it was in `touched`
        together = gram.scale[i] * gram.scale[j]
        strength = abs(entry(row[j], gram.sums[i] * gram.sums[j], together, gram.n_users))
        cell[0] = strength
        key = key_of(bits[0], j)
        if strength <= threshold or key >> 32 < floor >> 32:
            if at >= n_touched:
                break  # later items of `order` are weaker
            continue
        if i != j and together != 0:
            size, floor = offer(keys, size, floor, key, k)
    for at in range(n_touched):
        row[touched[at]] = 0
    if size > k:
        keep_best(keys, size, k)
        size = k
    for at in range(size):  # new keys with the item in the upper bits, the strength below
        keys[at] = -((np.int64(item_of(keys[at])) << 32) | np.int64(score_bits_of(keys[at])))
    sort_descending(keys, size)
    for at in range(size):
        items[at] = -keys[at] >> 32
        bits[0] = np.int32(-keys[at] & 0xFFFFFFFF)
        strengths[at] = cell[0]
    return size


@jit()
def _collect_some(
    gram: CentredGram,
    rows: Int,
    order: Int,
    threshold: np.float32,
    k: int,
    room: int,
    counts: Long,
    items: Int,
    strengths: Float,
) -> None:
    row = np.zeros(gram.sums.size, np.float32)
    touched = np.empty(gram.sums.size, np.int32)
    keys = np.empty(room, np.int64)
    for at in range(rows.size):
        counts[at] = _strongest(
            gram, rows[at], order, threshold, k, row, touched, keys, items[at], strengths[at]
        )


@parallel
def _collect(
    gram: CentredGram,
    rows: Int,
    order: Int,
    threshold: np.float32,
    k: int,
    room: int,
    counts: Long,
    items: Int,
    strengths: Float,
) -> None:
    for chunk in prange((rows.size + _CHUNK - 1) // _CHUNK):
        begin, end = chunk * _CHUNK, min(rows.size, (chunk + 1) * _CHUNK)
        some, found = rows[begin:end], counts[begin:end]
        lists = items[begin:end], strengths[begin:end]
        _collect_some(gram, some, order, threshold, k, room, found, *lists)


def _lists(
    gram: CentredGram,
    rows: Int,
    order: Int,
    threshold: float,
    k: int,
    done: Callable[[float], None],
) -> list[Sparse]:
    """Collect the neighbours of some rows, in pieces.

    Each piece is a tuple: number of neighbours of each row, their items, their strengths.
    """
    piece = max(_CHUNK, min(1024, _LISTS // k))
    items, strengths = np.empty((piece, k), np.int32), np.empty((piece, k), np.float32)
    pieces = []
    with chunks(1):
        for begin in range(0, rows.size, piece):
            some = rows[begin : begin + piece]
            counts = np.zeros(some.size, np.int64)
            _collect(
                gram, some, order, np.float32(threshold), k, capacity(k), counts, items, strengths
            )
            used = np.arange(k) < counts[:, None]
            pieces.append((counts, items[: some.size][used], strengths[: some.size][used]))
            done(some.size)
    return pieces


def _next_largest(strengths: Float, wanted: int) -> float:
    """Return the (wanted + 1)-th largest strength; −1 if there are not that many."""
    if strengths.size <= wanted:
        return -1.0
    return float(np.partition(strengths, strengths.size - wanted - 1)[-wanted - 1])


def by_strength(gram: CentredGram) -> Int:
    """Return the items by s·v^(−α/2), descending: the order of pairs without a common user."""
    return np.argsort(-gram.sums * gram.scale, kind="stable").astype(np.int32)


def estimated_threshold(
    gram: CentredGram, wanted: int, k: int, done: Callable[[float], None] = lambda _rows: None
) -> float:
    """Estimate a threshold that slightly more than `wanted` pairs are above; parameters as below.

    It comes from `SAMPLE` rows, evenly spaced in the order of popularity, and is exact if these are
    all rows.
    """
    n, order = gram.sums.size, by_strength(gram)
    sample = order[np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64)]
    first = _lists(gram, sample, order, -1.0, min(k, n - 1), done)
    share = 1.0 if sample.size == n else SLACK * sample.size / n
    return _next_largest(np.concatenate([s for _, _, s in first]), int(share * wanted))


def pairs_above(
    gram: CentredGram,
    threshold: float,
    k: int,
    begin: int,
    end: int,
    done: Callable[[float], None] = lambda _rows: None,
) -> list[Sparse]:
    """Collect the neighbours of items begin … end − 1 whose |G̃| is above a threshold.

    Parameters
    ----------
    gram : CentredGram
    threshold : float
    k : int
        Largest number of neighbours of one item. Of equally strong items the lower number is taken.
    begin, end : int
    done : callable
        Called with the number of rows finished since the last call.

    Returns
    -------
    list of pieces
        Of each: number of neighbours of each item, their items, their strengths.
    """
    rows = np.arange(begin, end, dtype=np.int32)
    return _lists(gram, rows, by_strength(gram), threshold, min(k, gram.sums.size - 1), done)


def strongest(pieces: list[Sparse], n_items: int, wanted: int, threshold: float) -> Neighbours:
    """Keep the pairs with the largest |G̃|, of all that were collected above a lower threshold.

    Parameters
    ----------
    pieces : list
        From `pairs_above`, of all items in their order.
    n_items : int
    wanted : int
        Largest number of pairs (i, j), i ≠ j, to keep; fewer are kept where several pairs are
        equally strong at the limit.
    threshold : float
        The one that they were collected with.
    """
    if sum(s.size for _, _, s in pieces) > wanted:
        threshold = _next_largest(np.concatenate([s for _, _, s in pieces]), wanted)
    return _joined(pieces, n_items, threshold)


def _joined(pieces: list[Sparse], n: int, threshold: float) -> Neighbours:
    """Join the pairs above the threshold from all pieces."""
    total = sum(int((s > threshold).sum()) for _, _, s in pieces)
    items, strengths = np.empty(total, np.int32), np.empty(total, np.float32)
    counts, size, begin = np.zeros(n, np.int64), 0, 0
    for lengths, near, strong in pieces:
        keep = strong > threshold
        rows = np.repeat(np.arange(lengths.size), lengths)[keep]
        counts[begin : begin + lengths.size] = np.bincount(rows, minlength=lengths.size)
        end = size + rows.size
        items[size:end], strengths[size:end] = near[keep], strong[keep]
        begin, size = begin + lengths.size, end
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Neighbours(starts, items, strengths, threshold)
