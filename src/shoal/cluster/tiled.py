"""Closed-form models of catalogues whose n × n matrix fits no machine: all in tiles.

XᵀX is added up into tiles (`gram`), they are inverted over all machines (`tiles`), and B is scored
and written from the tiles of the inverse (`spread`). The process that asked for the fit holds
vectors alone; no machine ever holds the matrix.

**Memory** of all object stores together: 2·n² bytes (one triangle in float32), beside the log while
XᵀX is added up; what they have no room for they write to the disks of their machines, which is
slower. Of a task, with tiles of b rows: at most 19 tiles, 76·b² bytes, in the inverse; 2·4·b·n
bytes where a row of tiles is added up, scored or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.base.closed_form import ClosedForm
from shoal.base.system import Finish, ridge_of
from shoal.base.weights import Weights
from shoal.cluster import tiles
from shoal.cluster.closed_form import (
    ShardedSystem,
    bytes_to_solve,
    refuse_device,
    room_of_the_largest,
    squares_of,
)
from shoal.cluster.gram import Plan, gram_tiles
from shoal.cluster.sharded import ShardedLog
from shoal.cluster.spread import SpreadWeights
from shoal.data.checks import check_enough
from shoal.data.size import Size
from shoal.executor import Executor
from shoal.kernels.arrays import Double, Float
from shoal.kernels.spd import NotPositiveDefiniteError
from shoal.run import Run


def chosen(executor: Executor, model: ClosedForm, size: Size, run: Run) -> bool:
    """Whether a fit is done in tiles: the largest machine, or the memory budget, has no n × n."""
    return model.can_share_inverse and bytes_to_solve(size) > room_of_the_largest(executor, run)


def fit(executor: Executor, model: ClosedForm, log: Any, run: Run) -> ClosedForm:
    """Fit a model in tiles; it then holds `SpreadWeights`.

    Parameters
    ----------
    executor : Executor
    model : ClosedForm
    log : Interactions or ShardedLog
    run : Run
        With a memory budget, tiles are so small that a task takes no more.

    Raises
    ------
    DataError, ModelError
        As of a local fit.
    MemoryBudgetError
        The machines are too small; no work has begun.
    """
    check_enough(log)
    refuse_device(model, run)
    sharded = log if isinstance(log, ShardedLog) else ShardedLog.of(log, executor)
    n = sharded.n_items
    rows = tiles.tile_size(n, run.memory)
    edges = tuple(tiles.edges_of(n, rows))
    Plan.of(sharded, edges, model.beta).check(executor)
    of_task = 4 * rows * max(n, tiles.TILES_OF_A_TASK * rows)
    executor.check_room("the tiles of a task", of_task, of_task)  # others can be spilled to disks
    squares = squares_of(executor, sharded)
    ridge = ridge_of(model.name, squares, model.l2, model._dropout)
    system = TiledSystem(
        model.name, sharded.catalogue(), ridge, np.zeros(0, np.float32), squares,
        executor, sharded, (), edges, model.beta,
    )  # fmt: skip
    model.fit_system(system, run)
    model.take_catalogue(sharded.catalogue())
    return model


class TiledInverse:
    """P by its upper tiles.

    Parameters
    ----------
    executor : Executor
    upper : dict of (i, j) to Handle
    edges : sequence of int
    """

    def __init__(self, executor: Executor, upper: tiles.Tiles, edges: Sequence[int]) -> None:
        self.executor, self.upper, self.edges = executor, upper, edges

    def astype(self, dtype: Any) -> TiledInverse:
        """The same in float32; nothing else is asked for. This one is empty afterwards."""
        assert dtype is np.float32
        return TiledInverse(self.executor, tiles.in_float32(self.executor, self.upper), self.edges)

    def diagonal(self) -> Float:
        """P_jj."""
        return tiles.diagonal(self.executor, self.upper, self.edges).astype(np.float32)

    def times(self, v: Double) -> Double:
        """P·v in float64."""
        return tiles.symmetric_times(self.executor, self.upper, self.edges, v)


@dataclass(frozen=True)
class TiledSystem(ShardedSystem):
    """The matrix to invert in tiles, of a log whose rows are on many machines.

    Its inverse is a `TiledInverse` wherever `System` has an array.
    """

    @property
    def _bytes_in_float64(self) -> int:
        """Nothing: this machine holds vectors alone."""
        return 0

    def _attempt(self, run: Run, precision: Any) -> Any:
        executor, edges, n = self.executor, self.edges, len(self.ridge)
        with run.progress.step(f"{self.name}: Gram matrix", 1.0) as step:
            gram = gram_tiles(executor, self.sharded, edges, self.beta, precision, step)
        label = self._label + ("" if precision is np.float32 else " in float64")
        with run.progress.step(f"{label} in tiles", float(n) ** 3) as step:
            matrix = tiles.with_ridge(executor, gram, edges, self.ridge)
            gram.clear()
            try:
                upper = tiles.invert(executor, matrix, edges, step.advance)
            except NotPositiveDefiniteError:
                return None
        inverse = TiledInverse(executor, upper, edges)
        return inverse, self._residual(inverse)

    def _residual(self, P: NDArray[Any] | TiledInverse) -> float:
        """The maximum of |(G' + diag Λ)·P·v − v| for a random v of ±1."""
        assert isinstance(P, TiledInverse)
        v = np.random.default_rng(0).choice([-1.0, 1.0], len(self.ridge))
        y = P.times(v)
        return float(np.abs(self.gram_times(y) + self.ridge * y - v).max())

    def own_weights(
        self, P: Any, scale: Double, damping: Double, finish: Finish
    ) -> tuple[Weights, dict[str, float]]:
        """Weights that stay on the machines where the tiles of P are."""
        weights = SpreadWeights.of(
            self.executor, P.upper, self.edges, self.diagonal(P), scale, damping
        )
        return weights, weights.facts()
