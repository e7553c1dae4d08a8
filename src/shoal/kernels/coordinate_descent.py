"""Non-negative elastic nets for all columns of a matrix, by coordinate descent on its Gram matrix.

    min over w ≥ 0, w_j = 0 of  f(w) = ½‖x_j − Xw‖² + (l2/2)‖w‖² + l1·Σw       for each column j

With G = XᵀX, X ≥ 0 and w ≥ 0 imply G_kj − (Gw)_k ≤ G_kj, so w_k = 0 wherever G_kj ≤ l1. This is
exact and known in advance; the other coordinates of a column are its candidates, and
`elastic_net` solves the problem over them.

Each column is solved by one thread in one order: results depend neither on the number of threads
nor on how the columns are divided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from shoal.kernels.arrays import Double, Float, Int, Long, Ranking, Seen, Sparse
from shoal.kernels.compiling import chunks, parallel, prange
from shoal.kernels.elastic_net import ROOM, solve_column
from shoal.kernels.gram import BLOCK, gram_of_columns

Done = Callable[[float], None]

PIECE = 512  # columns between two reports of progress
_CHUNK = 8  # columns that a thread takes at a time


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
        table = np.empty(min(most, ROOM) ** 2, np.float32)
        for at in range(first, last):
            here = slice(extents[at], extents[at + 1])
            if here.start == here.stop:
                continue
            own, row = candidates[here], G[begin + at]
            half = np.float64(row[begin + at]) / 2  # f(0) = ½‖x_j‖²
            gap, sweeps[at] = solve_column(
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
        full, table = np.empty(p, np.float32), np.empty(min(p, ROOM) ** 2, np.float32)
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
            gap, sweeps[at] = solve_column(
                G, own, G[p, :p], w[here], l1, l2, tolerance * half, full[: p + 1], table
            )
            gaps[at] = gap / half


# -- all columns ----------------------------------------------------------------------------


def _norms(starts: Long, values: Float) -> Float:
    """Return the norm ‖x_j‖ of each sparse column, (n,) float32."""
    running = np.concatenate([[0], np.cumsum(values.astype(np.float64) ** 2)])
    return np.sqrt(np.diff(running[starts])).astype(np.float32)


class Nets(NamedTuple):
    """Elastic nets of some consecutive columns.

    Parameters
    ----------
    lengths : (c,) int64
        Number of weights above zero of each column.
    rows : (total,) int32
        Their row numbers, ascending in a column.
    values : (total,) float32
    gaps : (c,) float64
        Duality gap of each column, relative to ½‖x_j‖².
    sweeps : (c,) int64
    """

    lengths: Long
    rows: Int
    values: Float
    gaps: Double
    sweeps: Long

    @staticmethod
    def joined(parts: Sequence[Nets]) -> Nets:
        """The columns of all parts, in their order."""
        return Nets(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    @property
    def columns(self) -> Sparse:
        """The weights as a sparse matrix by column: extents of columns, rows, values."""
        return np.concatenate([[0], np.cumsum(self.lengths)]), self.rows, self.values

    @property
    def facts(self) -> dict[str, float]:
        """Number of weights, the largest duality gap, and the mean number of sweeps."""
        return {
            "weights": float(self.values.size),
            "duality_gap": float(self.gaps.max()),
            "sweeps": float(self.sweeps.mean()),
        }


def _candidates_near(near: Ranking, norms: Float, l1: float, begin: int, end: int) -> Int:
    """The neighbours of columns begin … end − 1 that are candidates, −1 where one is not."""
    items, cosines = near[0][begin:end], np.maximum(near[1][begin:end], 0)
    common = cosines * norms[begin:end, None] * norms[items]  # G_kj, up to rounding
    return np.where(common > (1 - 1e-4) * l1, items, -1)


def _norms_of(source: Float | Sparse) -> Float:
    """‖x_j‖ of each column."""
    if isinstance(source, np.ndarray):
        return np.sqrt(source.diagonal())
    return _norms(source[0], source[2])


def candidates_of_columns(source: Float | Sparse, near: Ranking | None, l1: float) -> Long:
    """Return how many coordinates of each column may be above zero, (n,) int64.

    Parameters are those of `nonnegative_columns`.
    """
    if near is None:
        assert isinstance(source, np.ndarray)
        counts = np.empty(len(source), np.int64)
        _count(source, l1, 0, counts)
        return counts
    n, norms = len(near[0]), _norms_of(source)
    parts = [
        (_candidates_near(near, norms, l1, begin, min(n, begin + PIECE)) >= 0).sum(axis=1)
        for begin in range(0, n, PIECE)
    ]
    return np.concatenate(parts)


def nonnegative_columns(
    source: Float | Sparse,
    near: Ranking | None,
    l1: float,
    l2: float,
    tolerance: float,
    begin: int,
    end: int,
    start: Sparse | None = None,
    done: Done = lambda _columns: None,
) -> Nets:
    """Solve the elastic net of columns begin … end − 1.

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
    begin, end : int
    start : sparse columns (extents, rows, values), optional
        Weights of all columns to begin with, such as the solution of a similar l1.
    done : callable
        Called with the number of columns finished since the last call.
    """
    dense = source if isinstance(source, np.ndarray) else None
    norms = _norms_of(source)
    parts: list[Nets] = []
    with chunks(1):
        for first in range(begin, end, PIECE):
            last = min(end, first + PIECE)
            if near is None:
                assert dense is not None
                extents, rows = _screened(dense, l1, first, last)
            else:
                items = np.sort(_candidates_near(near, norms, l1, first, last), axis=1)
                extents = np.concatenate([[0], np.cumsum((items >= 0).sum(axis=1))])
                rows = items[items >= 0]
            w = np.zeros(rows.size, np.float32)
            if start is not None:
                _start(extents, rows, first, *start, w)
            gaps, sweeps = np.zeros(last - first), np.zeros(last - first, np.int64)
            arguments = first, extents, rows, w, l1, l2, tolerance, gaps, sweeps
            if dense is not None:
                _solve(dense, *arguments)
            else:
                _solve_sparse(*source, *arguments)  # type: ignore[call-arg]
            kept = w > 0
            running = np.concatenate([[0], np.cumsum(kept)])
            parts.append(Nets(np.diff(running[extents]), rows[kept], w[kept], gaps, sweeps))
            done(last - first)
    return Nets.joined(parts)
