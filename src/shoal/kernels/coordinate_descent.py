"""Non-negative elastic nets for all columns of a matrix, by coordinate descent on its Gram matrix.

    min over w ≥ 0, w_j = 0 of  f(w) = ½‖x_j − Xw‖² + (l2/2)‖w‖² + l1·Σw       for each column j

With r = g − Gw, where G = XᵀX and g is its column j, one coordinate's minimum is
w_k = max(0, r_k + G_kk·w_k − l1) / (G_kk + l2) (Friedman et al., J. Stat. Software 2010, §2.2).

* Candidates. X ≥ 0 and w ≥ 0 imply r_k ≤ g_k, so w_k = 0 wherever G_kj ≤ l1. This is exact and
  known in advance; all steps below work on the other coordinates of a column, its candidates.
* Working set. Sweeps run over the weights above zero and the candidates that violate optimality
  most, on a small dense copy of their part of G; then r is computed anew for all candidates.
* Stop. f(w) exceeds the minimum by at most the duality gap (dual point x_j − Xw): the sum over k
  of (r_k − l1 − l2·w_k)²/(2·l2) where r_k ≥ l1, and of (l1 − r_k)·w_k + l2·w_k²/2 elsewhere.

Each column is solved by one thread in one order: results do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shoal.kernels.arrays import Double, Float, Int, Long, Ranking, Seen, Sparse
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.gram import BLOCK, gram_of_columns
from shoal.kernels.selection import item_of, keep_best, key_of

Done = Callable[[float], None]

PIECE = 512  # columns between two reports of progress
_CHUNK = 8  # columns that a thread takes at a time
_ROOM = 2048  # coordinates of the largest working set
_NEWCOMERS = 32  # candidates that join the first working set
_ROUNDS = 200  # largest number of working sets of a column
_SWEEPS = 1000  # largest number of sweeps over one working set


# -- one column -----------------------------------------------------------------------------


@jit()
def _gap(r: Float, w: Float, l1: float, l2: float) -> float:
    """Return the duality gap of the weights w with r = g − Gw, both (p,)."""
    total = 0.0
    for k in range(w.size):
        s = np.float64(r[k]) - l1
        if s >= 0:
            total += (s - l2 * w[k]) ** 2 / (2 * l2)
        elif w[k] > 0:
            total += w[k] * (l2 / 2 * w[k] - s)
    return total


@jit(fastmath={"contract"})
def _residuals(G: Float, candidates: Int, g: Float, w: Float, full: Float, r: Float) -> None:
    """Write g − Gw of the candidates into r; g, w and r are (p,), `full` is (n,) work space."""
    r[:] = g
    if 4 * r.size < full.size:
        for k in range(w.size):
            if w[k] > 0:
                row, wk = G[candidates[k]], w[k]
                for b in range(r.size):
                    r[b] -= wk * row[candidates[b]]
        return
    full[:] = 0  # from about n/4 candidates on, whole rows are faster than picking columns
    for k in range(w.size):
        if w[k] > 0:
            row, wk = G[candidates[k]], w[k]
            for b in range(full.size):
                full[b] += wk * row[b]
    for b in range(r.size):
        r[b] -= full[candidates[b]]


@jit()
def _working_set(
    r: Float, w: Float, l1: float, l2: float, off: Float, keys: Long, active: Int
) -> int:
    """Write all weights above zero and the worst violators of optimality to `active`, ascending.

    Returns their number; `off` and `keys`, (p,) each, are work space.
    """
    positive = 0
    for k in range(w.size):
        positive += w[k] > 0
    # if more weights are above zero than fit, take those furthest from optimality
    crowded = 2 * positive > active.size
    bits, size = off.view(np.int32), 0
    for k in range(w.size):
        off[k] = abs(r[k] - np.float32(l1) - np.float32(l2) * w[k])
        if (w[k] == 0 and r[k] > l1) or (w[k] > 0 and crowded):
            keys[size] = key_of(bits[k], k)
            size += 1
    most = active.size if crowded else min(max(_NEWCOMERS, positive), active.size - positive)
    if size > most:
        keep_best(keys, size, most)
        size = most
    for at in range(size):
        active[at] = item_of(keys[at])
    if not crowded:
        for k in range(w.size):
            if w[k] > 0:
                active[size] = k
                size += 1
    active[:size].sort()
    return size


@jit(fastmath={"contract"})
def _sweeps(
    table: Float, r: Float, w: Float, l1: float, l2: float, target: float
) -> tuple[int, np.bool_]:
    """Minimise f over a working set, whose part of G is `table`; update its r and w in place.

    Returns the number of sweeps, and whether the last one changed weights by rounding only.
    """
    a = w.size
    for sweep in range(_SWEEPS):
        moved, largest = np.float32(0), np.float32(0)
        for k in range(a):
            old = w[k]
            s = r[k] - np.float32(l1)
            if old == 0 and s <= 0:
                continue
            row = table[k * a : (k + 1) * a]
            new = max(np.float32(0), (s + row[k] * old) / (row[k] + np.float32(l2)))
            step = new - old
            if step != 0:
                w[k] = new
                for b in range(a):
                    r[b] -= step * row[b]
            moved = max(moved, abs(step))
            largest = max(largest, new)
        still = moved <= np.float32(2e-7) * largest
        if still or _gap(r, w, l1, l2) <= target:
            return sweep + 1, still
    return _SWEEPS, still


@jit()
def _column(
    G: Float,
    candidates: Int,
    g: Float,
    w: Float,
    l1: float,
    l2: float,
    limit: float,
    full: Float,
    table: Float,
) -> tuple[float, int]:
    """Solve one column from the weights w, in place; return the duality gap and the sweeps."""
    p = w.size
    r, off, keys = np.empty(p, np.float32), np.empty(p, np.float32), np.empty(p, np.int64)
    active = np.empty(min(p, _ROOM), np.int32)
    part, weights = np.empty(active.size, np.float32), np.empty(active.size, np.float32)
    _residuals(G, candidates, g, w, full, r)
    gap, sweeps = _gap(r, w, l1, l2), 0
    for _ in range(_ROUNDS):
        if gap <= limit:
            break
        a = _working_set(r, w, l1, l2, off, keys, active)
        for x in range(a):
            k = active[x]
            row = G[candidates[k]]
            part[x], weights[x] = r[k], w[k]
            for y in range(a):
                table[x * a + y] = row[candidates[active[y]]]
        target = max(0.3 * limit, 0.03 * gap)
        count, still = _sweeps(table, part[:a], weights[:a], l1, l2, target)
        if still and count == 1:
            break
        sweeps += count
        for x in range(a):
            w[active[x]] = weights[x]
        _residuals(G, candidates, g, w, full, r)
        gap = _gap(r, w, l1, l2)
    return gap, sweeps


# -- a piece of columns ---------------------------------------------------------------------


@parallel
def _count(G: Float, l1: float, begin: int, counts: Long) -> None:
    """Count the candidates of columns from `begin` on: k ≠ j with G_kj > l1."""
    for at in prange(counts.size):
        j = begin + at
        row, count = G[j], 0
        for k in range(row.size):
            count += row[k] > l1
        counts[at] = count - (row[j] > l1)


@parallel
def _screen(G: Float, l1: float, begin: int, extents: Long, candidates: Int) -> None:
    """List the candidates of columns from `begin` on, one column after the other."""
    for at in prange(extents.size - 1):
        j = begin + at
        row, q = G[j], extents[at]
        for k in range(row.size):
            if row[k] > l1 and k != j:
                candidates[q] = k
                q += 1


def _screened(G: Float, l1: float, begin: int, end: int) -> Seen:
    """Return the candidates of columns begin … end − 1: their extents, and numbers ascending."""
    counts = np.empty(end - begin, np.int64)
    _count(G, l1, begin, counts)
    extents = np.concatenate([[0], np.cumsum(counts)])
    candidates = np.empty(extents[-1], np.int32)
    _screen(G, l1, begin, extents, candidates)
    return extents, candidates


@parallel
def _start(
    extents: Long, candidates: Int, begin: int, known: Long, rows: Int, values: Float, w: Float
) -> None:
    """Copy the values of sparse columns (known, rows, values) at the candidates into w."""
    for at in prange(extents.size - 1):
        q, end = known[begin + at], known[begin + at + 1]
        for k in range(extents[at], extents[at + 1]):
            while q < end and rows[q] < candidates[k]:
                q += 1
            if q < end and rows[q] == candidates[k]:
                w[k] = values[q]


@parallel
def _solve(
    G: Float,
    begin: int,
    extents: Long,
    candidates: Int,
    w: Float,
    l1: float,
    l2: float,
    tolerance: float,
    gaps: Double,
    sweeps: Long,
) -> None:
    n = gaps.size
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        first, last = chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)
        most = 0
        for at in range(first, last):
            most = max(most, extents[at + 1] - extents[at])
        full = np.empty(G.shape[0], np.float32)
        table = np.empty(min(most, _ROOM) ** 2, np.float32)
        for at in range(first, last):
            here = slice(extents[at], extents[at + 1])
            if here.start == here.stop:
                continue
            own, row = candidates[here], G[begin + at]
            half = np.float64(row[begin + at]) / 2  # f(0) = ½‖x_j‖²
            gap, sweeps[at] = _column(
                G, own, row[own], w[here], l1, l2, tolerance * half, full, table
            )
            gaps[at] = gap / half


# -- the same from sparse columns -----------------------------------------------------------


@parallel
def _solve_sparse(
    starts: Long,
    rows: Int,
    values: Float,
    begin: int,
    extents: Long,
    candidates: Int,
    w: Float,
    l1: float,
    l2: float,
    tolerance: float,
    gaps: Double,
    sweeps: Long,
) -> None:
    n = gaps.size
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        first, last = chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)
        p, entries = 0, 0
        for at in range(first, last):
            p = max(p, extents[at + 1] - extents[at] + 1)
            length = starts[begin + at + 1] - starts[begin + at]
            for q in range(extents[at], extents[at + 1]):
                length += starts[candidates[q] + 1] - starts[candidates[q]]
            entries = max(entries, min(length, p * BLOCK))
        slots = np.full(BLOCK, -1, np.int32)
        used, counts = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
        members, weights = np.empty(entries, np.int32), np.empty(entries, np.float32)
        cursors = np.empty(p, np.int64)
        full, table = np.empty(p, np.float32), np.empty(min(p, _ROOM) ** 2, np.float32)
        squares = np.empty(p * p, np.float32)
        for at in range(first, last):
            here = slice(extents[at], extents[at + 1])
            p = here.stop - here.start
            if p == 0:
                continue
            columns = np.empty(p + 1, np.int32)
            columns[:p] = candidates[here]
            columns[p] = begin + at
            G = squares[: (p + 1) ** 2].reshape(p + 1, p + 1)
            X, room = (starts, rows, values), (slots, used, counts, members, weights, cursors)
            gram_of_columns(*X, columns, *room, G)  # type: ignore[arg-type]
            half = np.float64(G[p, p]) / 2
            own = np.arange(p).astype(np.int32)
            gap, sweeps[at] = _column(
                G, own, G[p, :p], w[here], l1, l2, tolerance * half, full[: p + 1], table
            )
            gaps[at] = gap / half


# -- all columns ----------------------------------------------------------------------------


def _norms(starts: Long, values: Float) -> Float:
    """Return the norm ‖x_j‖ of each sparse column, (n,) float32."""
    running = np.concatenate([[0], np.cumsum(values.astype(np.float64) ** 2)])
    return np.sqrt(np.diff(running[starts])).astype(np.float32)


def nonnegative_columns(
    source: Float | Sparse,
    near: Ranking | None,
    l1: float,
    l2: float,
    tolerance: float,
    start: Sparse | None = None,
    done: Done = lambda _columns: None,
) -> tuple[Sparse, dict[str, float]]:
    """Solve the elastic net of every column.

    Parameters
    ----------
    source : (n, n) float32, C-ordered, or (starts, rows, values)
        G = XᵀX with both triangles; or X ≥ 0 by column, rows ascending, which needs `near`.
    near : (items, cosines), both (n, k), or None
        The only candidates of each column, −1 where there are fewer, and their cosine similarity.
        None makes all items candidates.
    l1 : float ≥ 0
    l2 : float > 0
    tolerance : float
        A column is solved when its duality gap is at most tolerance·½‖x_j‖² (½‖x_j‖² is the loss
        of w = 0), or when no weight changes any more in float32.
    start : sparse columns, optional
        Weights to begin with, such as the solution of a similar l1.
    done : callable
        Called with the number of columns finished since the last call.

    Returns
    -------
    weights : extents of columns, row numbers (ascending), values above zero
    facts : dict
        ``weights``: the number of weights above zero; ``duality_gap``: the largest gap of a column,
        relative to ½‖x_j‖²; ``sweeps``: mean number of sweeps of a column.
    """
    dense = source if isinstance(source, np.ndarray) else None
    n = len(source) if dense is not None else source[0].size - 1
    norms = np.sqrt(dense.diagonal()) if dense is not None else _norms(source[0], source[2])
    lengths = np.zeros(n + 1, np.int64)
    parts: list[Ranking] = []
    gaps, sweeps = np.zeros(n), np.zeros(n, np.int64)
    with chunks(1):
        for begin in range(0, n, PIECE):
            part = slice(begin, min(n, begin + PIECE))
            if near is None:
                assert dense is not None
                extents, rows = _screened(dense, l1, begin, part.stop)
            else:
                items, cosines = near[0][part], np.maximum(near[1][part], 0)
                common = cosines * norms[part, None] * norms[items]  # G_kj, up to rounding
                items = np.sort(np.where(common > (1 - 1e-4) * l1, items, -1), axis=1)
                extents = np.concatenate([[0], np.cumsum((items >= 0).sum(axis=1))])
                rows = items[items >= 0]
            w = np.zeros(rows.size, np.float32)
            if start is not None:
                _start(extents, rows, begin, *start, w)
            arguments = begin, extents, rows, w, l1, l2, tolerance, gaps[part], sweeps[part]
            if dense is not None:
                _solve(dense, *arguments)
            else:
                _solve_sparse(*source, *arguments)  # type: ignore[call-arg]
            kept = w > 0
            parts.append((rows[kept], w[kept]))
            running = np.concatenate([[0], np.cumsum(kept)])
            lengths[begin + 1 : part.stop + 1] = np.diff(running[extents])
            done(part.stop - begin)
    rows = np.concatenate([r for r, _ in parts])
    values = np.concatenate([v for _, v in parts])
    facts = {
        "weights": float(values.size),
        "duality_gap": float(gaps.max()),
        "sweeps": float(sweeps.mean()),
    }
    return (np.cumsum(lengths), rows, values), facts
