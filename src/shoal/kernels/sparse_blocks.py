"""Ridge regression of each item i on its neighbours N: (G̃[N, N] + λI)·b = G̃[N, i].

G̃[N, N] needs Σ_u x_up·x_uq of all pairs in N. These come from rows of XᵀX that are kept in memory
for items with many users that are in many blocks; for all other pairs they are computed from the
users of the block's items. Both ways are exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shoal.kernels.arrays import Double, Float, Int, Long
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.covariance import CentredGram, Neighbours, add_row, entry
from shoal.kernels.vector import BLOCK_COLUMNS, BLOCK_ROWS, subtract_products

_CHUNK = 16  # blocks that a thread takes at a time
_PIECE = 4096  # blocks between two reports of progress
USERS = 2**16  # users whose items are counted together, so that work space stays in the cache


@jit(error_model="numpy", fastmath={"contract"})
def factorise(U: Float, n: int, width: int) -> None:
    """Replace [A | G] by [U | U⁻ᵀ·G] with A = UᵀU (Cholesky), in place.

    Parameters
    ----------
    U : (n, at least width) float32, C-ordered
        On entry the upper triangle of A and the columns of G. Numbers below the diagonal are
        overwritten. If A is not positive definite, the result has NaN.
    n : int
        Rows of A, a multiple of BLOCK_ROWS; the columns of U are a multiple of BLOCK_COLUMNS.
    width : int
        n plus the number of columns of G.
    """
    for begin in range(0, n, BLOCK_ROWS):
        for column in range(begin // BLOCK_COLUMNS * BLOCK_COLUMNS, width, BLOCK_COLUMNS):
            subtract_products(U, begin, column)
        for i in range(begin, begin + BLOCK_ROWS):
            row = U[i, i:width]
            for p in range(begin, i):
                above, x = U[p, i:width], U[p, i]
                for c in range(row.size):
                    row[c] -= x * above[c]
            inverse = np.float32(1) / np.sqrt(U[i, i])
            for c in range(row.size):
                row[c] *= inverse


# "reassoc" lets the compiler vectorise the sum; its order does not depend on the threads
@jit(fastmath={"reassoc", "contract"})
def _dot(a: Float, b: Double) -> float:
    total = 0.0
    for q in range(a.size):
        total += a[q] * b[q]
    return total


@jit(fastmath={"contract"})
def _add(a: Float, x: float, out: Double) -> None:
    for q in range(a.size):
        out[q] += x * a[q]


@jit(error_model="numpy")
def _back(U: Float, k: int, y: Double) -> None:
    """Solve U[:k, :k]·b = y for an upper triangle U; y (k,) is overwritten by b."""
    for p in range(k - 1, -1, -1):
        y[p] = (y[p] - _dot(U[p, p + 1 : k], y[p + 1 : k])) / U[p, p]


@jit(error_model="numpy")
def solve(A: Float, U: Float, k: int, b: Double, r: Double) -> float:
    """Solve A[:k, :k]·b = A[:k, k], with one step of refinement in float64.

    Parameters
    ----------
    A : (rows, columns) float32
        Upper triangle of a symmetric matrix; rows from k on are those of the identity. The right
        side g = A[:k, k] is column k.
    U : float32, of the same shape
        Work space.
    k : int
        Number of unknowns.
    b : (k,) float64
        Output: the solution.
    r : (k,) float64
        Work space.

    Returns
    -------
    float
        max |A·b − g|.
    """
    n = A.shape[0]
    for p in range(n):
        for q in range(p, n):
            U[p, q] = A[p, q] if q < k or p >= k else 0.0
        U[p, n] = A[p, k] if p < k else 0.0
    factorise(U, n, n + 1)
    for p in range(k):
        b[p] = U[p, n]
    _back(U, k, b)
    for last in (False, True):
        for p in range(k):
            r[p] = A[p, k]
        for p in range(k):  # the lower triangle is read from the upper one
            r[p] -= A[p, p] * b[p] + _dot(A[p, p + 1 : k], b[p + 1 : k])
            _add(A[p, p + 1 : k], -b[p], r[p + 1 : k])
        if last:
            break
        for p in range(k):
            r[p] /= U[p, p]
            _add(U[p, p + 1 : k], -r[p], r[p + 1 : k])
        _back(U, k, r)
        for p in range(k):
            b[p] += r[p]
    worst = 0.0
    for p in range(k):
        if not abs(r[p]) <= worst:  # also true for NaN
            worst = abs(r[p])
    return worst


@jit()
def _count(
    gram: CentredGram, members: Int, there: Long, A: Float, n_of: Int, ends: Long, seen: Int
) -> None:
    """Add Σ_u x_up·x_uq to A[p, q], p < q, for those members whose positions are in `there`.

    Users are processed in ranges of `USERS`. For each user who has two or more of these items, the
    items are listed and the products of all pairs added to A. n_of (zeros), ends and seen, (USERS,)
    each, are work space.
    """
    at = np.empty(there.size, np.int64)
    for t in range(there.size):
        at[t] = gram.starts[members[there[t]]]
    places, values = np.empty(1024, np.int32), np.empty(1024, np.float32)
    for begin in range(0, gram.n_users, USERS):
        end, n_seen = begin + USERS, 0
        for t in range(there.size):
            p, stop = at[t], gram.starts[members[there[t]] + 1]
            while p < stop and gram.users[p] < end:
                u = gram.users[p] - begin
                if n_of[u] == 0:
                    seen[n_seen] = u
                    n_seen += 1
                n_of[u] += 1
                p += 1
        total = 0
        for s in range(n_seen):
            u = seen[s]
            ends[u] = total
            if n_of[u] > 1:
                total += n_of[u]
        if total > places.size:
            places, values = np.empty(2 * total, np.int32), np.empty(2 * total, np.float32)
        for t in range(there.size):
            stop = gram.starts[members[there[t]] + 1]
            while at[t] < stop and gram.users[at[t]] < end:
                u = gram.users[at[t]] - begin
                if n_of[u] > 1:
                    places[ends[u]], values[ends[u]] = there[t], gram.values[at[t]]
                    ends[u] += 1
                at[t] += 1
        for s in range(n_seen):
            u = seen[s]
            if n_of[u] > 1:
                for p in range(ends[u] - n_of[u], ends[u] - 1):
                    row, x = A[places[p]], values[p]
                    for q in range(p + 1, ends[u]):
                        row[places[q]] += x * values[q]
            n_of[u] = 0


@jit()
def _fill(
    gram: CentredGram,
    members: Int,
    l2: float,
    slots: Int,
    kept: Float,
    A: Float,
    n_of: Int,
    ends: Long,
    seen: Int,
) -> None:
    """Write G̃[N, N] + λI, the upper triangle, and in column k G̃[N, i] to A.

    `members` (k + 1,) are the neighbours N, then item i. `kept` has some rows of XᵀX; slots[j] is
    the number of item j's row in it, or −1.
    """
    k = members.size - 1
    there, size = np.empty(members.size, np.int64), 0
    sums, scale = np.empty(members.size), np.empty(members.size)
    for p in range(members.size):
        sums[p], scale[p] = gram.sums[members[p]], gram.scale[members[p]]
        if p < k:
            for q in range(p, k + 1):
                A[p, q] = 0.0
        if slots[members[p]] < 0:
            there[size] = p
            size += 1
    if size > 1:
        _count(gram, members, there[:size], A, n_of, ends, seen)
    for p in range(k + 1):
        slot = slots[members[p]]
        if slot >= 0:
            common = kept[slot]
            for q in range(p + 1, k + 1):
                A[p, q] = common[members[q]]
            for t in range(size):
                if there[t] < p:
                    A[there[t], p] = common[members[there[t]]]
    for p in range(k):
        for q in range(p + 1, k + 1):
            A[p, q] = entry(A[p, q], sums[p] * sums[q], scale[p] * scale[q], gram.n_users)
        A[p, p] = np.float32(gram.squares[members[p]] * scale[p] ** 2 + l2)
    for p in range(k, A.shape[0]):
        for q in range(p, A.shape[0]):
            A[p, q] = 1.0 if q == p else 0.0


@jit()
def _solve_some(
    gram: CentredGram,
    l2: float,
    slots: Int,
    kept: Float,
    some: Int,
    first: int,
    starts: Long,
    items: Int,
    weights: Float,
    residuals: Double,
) -> None:
    n_of, seen = np.zeros(USERS, np.int32), np.empty(USERS, np.int32)
    ends = np.empty(USERS, np.int64)
    most = 0
    for i in some:
        most = max(most, starts[i + 1] - starts[i])
    rows = (most + BLOCK_ROWS) // BLOCK_ROWS * BLOCK_ROWS
    room = rows * (rows + BLOCK_COLUMNS)
    whole, factor = np.empty(room, np.float32), np.empty(room, np.float32)
    b, r = np.empty(most), np.empty(most)
    for i in some:
        k = starts[i + 1] - starts[i]
        if k == 0:
            continue
        members = np.empty(k + 1, np.int32)
        for p in range(k):
            members[p] = items[starts[i] + p]
        members[k] = i
        n = (k + BLOCK_ROWS - 1) // BLOCK_ROWS * BLOCK_ROWS
        columns = (n + BLOCK_COLUMNS) // BLOCK_COLUMNS * BLOCK_COLUMNS  # at least n + 1
        A = whole[: n * columns].reshape(n, columns)
        U = factor[: n * columns].reshape(n, columns)
        _fill(gram, members, l2, slots, kept, A, n_of, ends, seen)
        residuals[i - first] = solve(A, U, k, b, r)
        out = weights[starts[i] - starts[first] : starts[i + 1] - starts[first]]
        for p in range(k):
            out[p] = np.float32(gram.scale[members[p]] * b[p] / gram.scale[i])


@parallel
def _solve_all(
    gram: CentredGram,
    l2: float,
    slots: Int,
    kept: Float,
    order: Int,
    first: int,
    starts: Long,
    items: Int,
    weights: Float,
    residuals: Double,
) -> None:
    for chunk in prange((order.size + _CHUNK - 1) // _CHUNK):
        some = order[chunk * _CHUNK : (chunk + 1) * _CHUNK]
        _solve_some(gram, l2, slots, kept, some, first, starts, items, weights, residuals)


@parallel
def _keep_rows(gram: CentredGram, rows: Int, kept: Float) -> None:
    for at in prange(rows.size):
        for j in range(kept.shape[1]):
            kept[at, j] = 0.0
        add_row(gram, rows[at], kept[at], np.empty(kept.shape[1], np.int32))


def items_to_keep(gram: CentredGram, near: Neighbours, room: int) -> Int:
    """Return the items whose rows of XᵀX save most when they are kept, in `room` bytes."""
    n = gram.sums.size
    users = np.diff(gram.starts)
    saved = (np.bincount(near.items, minlength=n) + 1) * users
    costly = np.argsort(-saved, kind="stable")[: room // (4 * n)].astype(np.int32)
    return costly[saved[costly] > n]  # clearing a row takes n steps


def kept_rows(gram: CentredGram, items: Int) -> Float:
    """Return the rows of XᵀX of some items, (len(items), n) float32."""
    kept = np.empty((items.size, gram.sums.size), np.float32)
    with chunks(1):
        _keep_rows(gram, items, kept)
    return kept


def block_weights(
    gram: CentredGram,
    near: Neighbours,
    l2: float,
    keeps: Int,
    kept: Float,
    begin: int,
    end: int,
    done: Callable[[float], None] = lambda _items: None,
) -> tuple[Float, float]:
    """Compute the weights of the neighbours of items begin … end − 1, one ridge regression each.

    b_i = (G̃[N, N] + λI)⁻¹·G̃[N, i] and B[N, i] = diag(v_N^(−α/2))·b_i·v_i^(α/2), which is column i
    of −P/diag(P) for the inverse P of the block with i in it (Steck, NeurIPS 2019, section 3.2
    with r = 0).

    Parameters
    ----------
    gram : CentredGram
    near : Neighbours
        The lists of neighbours of all items.
    l2 : float
        The ridge λ.
    keeps, kept : Int, Float
        Some items, and their rows of XᵀX.
    begin, end : int
    done : callable
        Called with the share of the work, as a number of items, finished since the last call.

    Returns
    -------
    weights : (total,) float32
        B[N, i] of these items, in the order of ``near.items``.
    residual : float
        The largest |(G̃[N, N] + λI)·b − G̃[N, i]|; not finite where a block is not positive definite.
    """
    slots = np.full(gram.sums.size, -1, np.int32)
    slots[keeps] = np.arange(keeps.size)
    starts = near.starts[begin : end + 1]
    weights, residuals = np.empty(starts[-1] - starts[0], np.float32), np.zeros(end - begin)
    sizes = np.diff(starts)
    work = block_work(sizes)
    per_work = (end - begin) / max(work.sum(), 1)
    # the largest blocks come first, so that no thread ends late
    order = (begin + np.argsort(-sizes, kind="stable")).astype(np.int32)
    with chunks(1):
        for first in range(0, order.size, _PIECE):
            some = order[first : first + _PIECE]
            lists = begin, near.starts, near.items, weights, residuals
            _solve_all(gram, l2, slots, kept, some, *lists)
            done(float(work[some - begin].sum()) * per_work)
    return weights, float(residuals.max(initial=0))


def block_work(sizes: Long) -> Double:
    """Return about how many nanoseconds of one thread blocks of these sizes take, (n,) float64."""
    work: Double = sizes.astype(np.float64) + 8
    return work * work
