"""The inverse of a symmetric positive definite matrix whose tiles are spread over machines.

The matrix is given by its upper tiles, each a value of an executor (`shoal.kernels.tiles` has the
formulas). Three passes of n³/3 flops each make A = UᵀU, S = U⁻¹ and A⁻¹ = S·Sᵀ. A task makes a
tile, or a part of the sum of one, from at most `PAIRS` pairs of tiles, so that it never pins more
than `TILES_OF_A_TASK` tiles in the memory of its machine. The tiles are arguments of the task: it
begins when all of them are there. Rows of U are made in ascending order, then columns of S and
rows of P; a tile is let go as soon as nothing that is still to come needs it. So all machines
together hold one triangle, 2·n² bytes, beside what running tasks take.

The result depends on the matrix and the edges of its tiles alone, not on where tasks ran.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from shoal.executor import Executor, Handle, Needs
from shoal.kernels import tiles as kernels
from shoal.kernels.arrays import Double

Tiles: TypeAlias = dict[tuple[int, int], Handle]  # tile (i, j) with i ≤ j
Done: TypeAlias = Callable[[float], None]

PAIRS = 8  # of tiles that one task multiplies
TILES_OF_A_TASK = 2 * PAIRS + 3  # with the sum so far, a triangle and the result
LARGEST_TILE = 5_000  # rows
SMALLEST_TILE = 512  # rows; products of smaller ones take no longer than to hand them over
TILES_A_SIDE = 24  # of a matrix for which neither bound matters
AHEAD = 6  # tasks that are submitted and not done yet, for each that can run


def tile_size(n: int, memory: int | None = None) -> int:
    """How many rows a tile has.

    It follows from the size of the matrix and what the user says of memory, and not from the
    machines, so that the result does not depend on them: n / 24, so that dozens of tasks can run at
    once, but from 512 (smaller tiles take longer to be handed over than to be multiplied) to 5,000
    (100 MB). Tiles are about the same size; it is a multiple of 32, which kernels read at once.

    Parameters
    ----------
    n : int
        Rows of the matrix.
    memory : int, optional
        Bytes that one task may take, for 19 tiles or two rows of tiles; smaller tiles are chosen if
        necessary.
    """
    rows = min(max(n / TILES_A_SIDE, SMALLEST_TILE), LARGEST_TILE)
    if memory is not None:
        rows = min(rows, (memory / (4 * TILES_OF_A_TASK)) ** 0.5, memory / (8 * n))
    side = -(-n // max(32, int(rows) // 32 * 32))
    return min(n, -(-n // (32 * side)) * 32)


def edges_of(n: int, size: int) -> list[int]:
    """Where tiles of `size` rows begin and end; the last one may be smaller."""
    return [*range(0, n, size), n]


class _Submission:
    """Submits tasks, and waits where it gets too far ahead of those that do them."""

    def __init__(self, executor: Executor, edges: Sequence[int], done: Done) -> None:
        self._executor, self._edges, self._done = executor, edges, done
        self._unfinished: list[tuple[Handle, float]] = []
        self._at_once = executor.n_workers

    def rows(self, i: int) -> int:
        """Number of rows of the tiles of row i."""
        return self._edges[i + 1] - self._edges[i]

    def submit(self, function: Callable[..., Any], *arguments: Any, flops: float) -> Handle:
        """Have a task done; give the handle of its tile."""
        if len(self._unfinished) >= AHEAD * self._at_once:
            self._wait((AHEAD - 1) * self._at_once)
            self._at_once = self._executor.n_workers  # machines come and go
        handle = self._executor.submit(function, *arguments, needs=Needs(threads=1))
        self._unfinished.append((handle, flops))
        return handle

    def chain(
        self,
        part: Callable[..., Any],
        last: Callable[..., Any],
        start: Handle | None,
        operands: Sequence[tuple[Handle, ...]],
        *beside: Handle,
        flops: float,
    ) -> Handle:
        """Have a sum made in parts of `PAIRS` operands, the last of them by another function.

        Parameters
        ----------
        part, last : callable
            ``part(sum_so_far, *operands)`` and ``last(sum_so_far, *beside, *operands)``.
        start : Handle or None
            The sum before the first part.
        operands : sequence of tuples of Handle
        *beside : Handle
            What the last part takes as well.
        flops : float
            Of each operand.
        """
        total = start
        while len(operands) > PAIRS:
            now, operands = operands[:PAIRS], operands[PAIRS:]
            total = self.submit(part, total, *_flat(now), flops=PAIRS * flops)
        work = (len(operands) + (0.5 if beside else 0)) * flops
        return self.submit(last, total, *beside, *_flat(operands), flops=work)

    def finish(self) -> None:
        """Wait until all tasks are done."""
        self._wait(0)

    def _wait(self, at_most: int) -> None:
        handles = [handle for handle, _ in self._unfinished]
        left = set(self._executor.wait(handles, at_most))
        self._done(sum(f for i, (_, f) in enumerate(self._unfinished) if i not in left))
        self._unfinished = [self._unfinished[i] for i in sorted(left)]


def invert(
    executor: Executor, tiles: Tiles, edges: Sequence[int], done: Done = lambda _flops: None
) -> Tiles:
    """Invert a symmetric positive definite matrix.

    Parameters
    ----------
    executor : Executor
    tiles : dict of (i, j) to Handle
        Its upper tiles, C-ordered and all of float32 or of float64; of those on the diagonal only
        the upper triangle is read. The dict is emptied, so that tiles can be let go.
    edges : sequence of int
        Tile (i, j) has the rows from edges[i] to edges[i + 1], and the columns likewise.
    done : callable
        Called with the flops finished since the last call; they add up to about n³.

    Returns
    -------
    dict of (i, j) to Handle
        The upper tiles of the inverse; those on the diagonal are whole.

    Raises
    ------
    NotPositiveDefiniteError
        The matrix is singular or indefinite in its precision.
    """
    submission = _Submission(executor, edges, done)
    side = len(edges) - 1
    P = _product(submission, _inverse(submission, _cholesky(submission, tiles, side), side), side)
    submission.finish()
    executor.get(executor.submit(kernels.diagonal, P[0, 0]))  # raises the error of any pass
    return P


def _cholesky(submission: _Submission, A: Tiles, side: int) -> Tiles:
    """The upper tiles of U with A = UᵀU, row by row; `A` is emptied."""
    U: Tiles = {}
    for i in range(side):
        above = [(U[k, i],) for k in range(i)]
        flops = float(submission.rows(0) * submission.rows(i) ** 2)
        U[i, i] = submission.chain(
            kernels.less_squares, kernels.factor, A.pop((i, i)), above, flops=flops
        )
        for j in range(i + 1, side):
            pairs = [(U[k, i], U[k, j]) for k in range(i)]
            U[i, j] = submission.chain(
                kernels.less_products, kernels.divided, A.pop((i, j)), pairs, U[i, i],
                flops=2.0 * submission.rows(0) * submission.rows(i) * submission.rows(j),
            )  # fmt: skip
    return U


def _inverse(submission: _Submission, U: Tiles, side: int) -> Tiles:
    """The upper tiles of S = U⁻¹, column by column; `U` is emptied."""
    S: Tiles = {}
    for j in range(side):
        column = [U.pop((k, j)) for k in range(j + 1)]
        rows = submission.rows(j)
        S[j, j] = submission.submit(
            kernels.inverse_of_triangle, column[j], flops=float(rows) ** 3 / 3
        )
        for i in range(j):
            pairs = [(S[i, k], column[k]) for k in range(i, j)]
            S[i, j] = submission.chain(
                kernels.plus_products, kernels.negative_divided, None, pairs, column[j],
                flops=2.0 * submission.rows(0) * submission.rows(i) * rows,
            )  # fmt: skip
    return S


def _product(submission: _Submission, S: Tiles, side: int) -> Tiles:
    """The upper tiles of P = S·Sᵀ, row by row; `S` is emptied."""
    P: Tiles = {}
    for i in range(side):
        row = {k: S.pop((i, k)) for k in range(i, side)}
        flops = float(submission.rows(0) * submission.rows(i) ** 2)
        squares = [(row[k],) for k in range(i, side)]
        P[i, i] = submission.chain(
            kernels.plus_squares, kernels.plus_squares, None, squares, flops=flops
        )
        for j in range(i + 1, side):
            pairs = [(row[k], S[j, k]) for k in range(j, side)]
            part = kernels.plus_transposed_products
            flops = 2.0 * submission.rows(0) * submission.rows(i) * submission.rows(j)
            P[i, j] = submission.chain(part, part, None, pairs, flops=flops)
    return P


def _flat(operands: Sequence[tuple[Handle, ...]]) -> list[Handle]:
    return [handle for operand in operands for handle in operand]


def with_ridge(executor: Executor, tiles: Tiles, edges: Sequence[int], ridge: Double) -> Tiles:
    """The tiles of A + diag(ridge); `tiles` stays as it is."""
    new = dict(tiles)
    for i, (begin, end) in enumerate(pairwise(edges)):
        new[i, i] = executor.submit(kernels.with_diagonal, tiles[i, i], ridge[begin:end])
    return new


def in_float32(executor: Executor, tiles: Tiles) -> Tiles:
    """The same tiles in float32; `tiles` is emptied."""
    return {at: executor.submit(kernels.in_type, tiles.pop(at), "float32") for at in list(tiles)}


def diagonal(executor: Executor, tiles: Tiles, edges: Sequence[int]) -> Double:
    """The diagonal of a matrix in tiles, (n,) float64."""
    parts = [executor.submit(kernels.diagonal, tiles[i, i]) for i in range(len(edges) - 1)]
    return np.concatenate([executor.get(part) for part in parts])


def symmetric_times(executor: Executor, tiles: Tiles, edges: Sequence[int], v: Double) -> Double:
    """A·v, (n,) float64, for the upper tiles of a symmetric A; those on the diagonal are whole."""
    parts = [v[begin:end] for begin, end in pairwise(edges)]
    products = {
        (i, j): executor.submit(kernels.times_both, tile, parts[j], parts[i], n_results=2)
        for (i, j), tile in tiles.items()
    }
    out = np.zeros(edges[-1])
    for (i, j), (down, across) in products.items():
        out[edges[i] : edges[i + 1]] += executor.get(down)
        if i != j:
            out[edges[j] : edges[j + 1]] += executor.get(across)
    return out
