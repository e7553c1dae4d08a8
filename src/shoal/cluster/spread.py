"""The item-item matrix B of a closed-form model whose inverse P is spread over machines in tiles.

B = diag(left)·(I − P·diag(scale))·diag(right) is never made as a whole: a task makes the columns of
one row of tiles, from the tiles that lie in them, and scores their items or writes them as a block
of a model folder (`shoal.base.blocked`). So the machines hold the upper triangle of P, 2·n² bytes,
and for each running task a block and its tiles, 8·n·b bytes for tiles of b rows. Each block gives
its best items, and they are merged in the order that they have on one machine.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from shoal.artifact.tensors import write_array
from shoal.base.blocked import DistantArray, name_of_block
from shoal.base.weights import OnePass, csr_arrays
from shoal.cluster.tiles import Tiles
from shoal.data.interactions import CSR
from shoal.errors import ArtifactError
from shoal.executor import Executor, Handle
from shoal.kernels import linear, ranking, topk
from shoal.kernels.arrays import Bool, Double, Float, Int, Long, Ranking, Seen, Sparse, State
from shoal.kernels.tiles import positive_entries
from shoal.unfinished import flush

Vectors: TypeAlias = tuple[Float, Float, Float, Float]  # scale, left, right, and the diagonal of B

_ZERO = 1e-12  # a weight on the diagonal that is below it was meant to be zero


@dataclass(frozen=True, eq=False)
class SpreadWeights(OnePass):
    """B of the tiles of P.

    Parameters
    ----------
    executor : Executor
    tiles : dict of (i, j) to Handle
        The upper tiles of P; those on the diagonal are whole.
    edges : tuple of int
        Where rows of tiles begin, and the number of items.
    vectors : tuple of four (n_items,) float32
        Λ + μ, c^α, c^−α, and the diagonal of B.
    """

    executor: Executor
    tiles: Tiles
    edges: tuple[int, ...]
    vectors: Vectors
    _kept: list[Handle] = field(default_factory=list)  # the vectors, where all workers find them

    @staticmethod
    def of(
        executor: Executor,
        tiles: Tiles,
        edges: Sequence[int],
        p_diagonal: Double,
        scale: Double,
        damping: Double,
    ) -> SpreadWeights:
        """B of P, its diagonal, Λ + μ and c^α."""
        diagonal = 1 - p_diagonal * scale
        diagonal[np.abs(diagonal) < _ZERO] = 0
        vectors = tuple(v.astype(np.float32) for v in (scale, damping, 1 / damping, diagonal))
        return SpreadWeights(executor, tiles, tuple(edges), cast("Vectors", vectors))

    @property
    def n_items(self) -> int:
        """Number of rows and columns of B."""
        return self.edges[-1]

    @property
    def n_blocks(self) -> int:
        """Number of blocks of columns."""
        return len(self.edges) - 1

    def submit(self, function: Callable[..., Any], block: int, *arguments: Any) -> Handle:
        """Have a task done with the tiles that the columns of a block lie in.

        It is called as ``function(*arguments, block, edges, vectors, *tiles)``.
        """
        if not self._kept:
            self._kept.append(self.executor.put(self.vectors))
        above = [self.tiles[i, block] for i in range(block + 1)]
        right = [self.tiles[block, j] for j in range(block + 1, self.n_blocks)]
        return self.executor.submit(
            function, *arguments, block, self.edges, self._kept[0], *above, *right
        )

    def matrix(self) -> Float:
        """B as a new array, in this process."""
        return np.concatenate([np.asarray(block) for block in self.state().values()], axis=1)

    def score(self, x: CSR) -> Float:
        """x·B, block by block."""
        arrays = self.executor.put(csr_arrays(x))
        handles = [self.submit(_scores, block, arrays) for block in range(self.n_blocks)]
        scores = np.empty((x.shape[0], self.n_items), np.float32)
        for block, part in self.executor.as_completed(handles):
            scores[:, self.edges[block] : self.edges[block + 1]] = part
        return scores

    def best(self, x: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """The k best of each row of x·B: those of each block, merged."""
        given = self.executor.put((csr_arrays(x), seen, allowed))
        handles = [self.submit(_best, block, given, k) for block in range(self.n_blocks)]
        merged: Ranking | None = None
        for handle in handles:
            lists = self.executor.get(handle)
            merged = lists if merged is None else topk.merged(merged, lists)
        assert merged is not None
        return merged

    def part_of_column(self, rows: Int, item: int) -> Float:
        """B[rows, item], from the tiles that they lie in."""
        edges = np.asarray(self.edges)
        of_rows = np.searchsorted(edges, rows, side="right") - 1
        column = int(np.searchsorted(edges, item, side="right")) - 1
        p = np.empty(len(rows), np.float32)
        asked: list[tuple[Any, Handle]] = []
        for row in np.unique(of_rows):
            places = np.flatnonzero(of_rows == row)
            inside, at = rows[places] - edges[row], item - int(edges[column])
            pair = (inside, at) if row <= column else (at, inside)
            tile = self.tiles[min(row, column), max(row, column)]
            asked.append((places, self.executor.submit(_entries, tile, *pair)))
        for places, handle in asked:
            p[places] = self.executor.get(handle)
        scale, left, right, diagonal = self.vectors
        part: Float = -p * scale[item] * left[rows] * right[item]
        part[rows == item] = diagonal[item]
        return part

    def column(self, item: int) -> Float:
        """B[:, item]."""
        return self.part_of_column(np.arange(self.n_items, dtype=np.int32), item)

    def among(self, items: Int) -> Float:
        """B[items][:, items]."""
        return np.stack([self.part_of_column(items, int(item)) for item in items], axis=1)

    def facts(self) -> dict[str, float]:
        """The share of weights off the diagonal that are negative: those where P is positive."""
        counts = {at: self.executor.submit(positive_entries, t) for at, t in self.tiles.items()}
        negative, n = 0, self.n_items
        for (i, j), handle in counts.items():
            everywhere, on_diagonal = self.executor.get(handle)
            negative += everywhere - on_diagonal if i == j else 2 * everywhere
        return {"negative_weights": negative / (n * (n - 1))}

    def state(self) -> State:
        """The blocks of columns, each an array that workers can write."""
        blocks = {name_of_block(b): _SpreadBlock(self, b) for b in range(self.n_blocks)}
        return cast("State", blocks)


class _SpreadBlock(DistantArray):
    """A block of columns of B, which a worker makes when it is asked for."""

    dtype = "float32"

    def __init__(self, weights: SpreadWeights, block: int) -> None:
        self._weights, self._block = weights, block
        begin, end = weights.edges[block : block + 2]
        self.shape = (weights.n_items, end - begin)

    def begin_writing(self, path: Path, name: str) -> Callable[[], dict[str, Any]]:
        """Have a worker write the block."""
        weights = self._weights
        handle = weights.submit(_write_block, self._block, str(path.resolve()), name)
        return lambda: cast("dict[str, Any]", weights.executor.get(handle))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The block in this process."""
        whole = self._weights.executor.get(self._weights.submit(_whole, self._block))
        return np.array(whole, dtype)


# -- the tasks ------------------------------------------------------------------------------


def _pieces(
    block: int, edges: tuple[int, ...], vectors: Vectors, tiles: Sequence[Float]
) -> Iterator[Float]:
    """The rows of a block of columns of B, those of one tile of P after the other."""
    scale, left, right, diagonal = vectors
    columns = slice(edges[block], edges[block + 1])
    for place, tile in enumerate(tiles):
        rows = slice(edges[place], edges[place + 1])
        piece = np.negative(tile if place <= block else tile.T, order="C")
        piece *= scale[columns]
        piece *= left[rows, None]
        piece *= right[columns]
        if place == block:
            np.fill_diagonal(piece, diagonal[columns])
        yield piece


def _whole(block: int, edges: tuple[int, ...], vectors: Vectors, *tiles: Float) -> Float:
    out = np.empty((edges[-1], edges[block + 1] - edges[block]), np.float32)
    for begin, piece in zip(edges, _pieces(block, edges, vectors, tiles), strict=False):
        out[begin : begin + len(piece)] = piece
    return out


def _scores(x: Sparse, *block: Any) -> Float:
    return linear.sparse_times_dense(*x, _whole(*block))


def _best(
    given: tuple[Sparse, Seen, Bool],
    k: int,
    block: int,
    edges: tuple[int, ...],
    vectors: Vectors,
    *tiles: Float,
) -> Ranking:
    """The k best items of a block, with their numbers in the whole catalogue."""
    x, (indptr, indices), allowed = given
    begin, end = edges[block : block + 2]
    here = (indices >= begin) & (indices < end)
    before: Long = np.concatenate([[0], np.cumsum(here)]).astype(np.int64)
    B = _whole(block, edges, vectors, *tiles)
    seen = before[indptr], (indices[here] - begin).astype(np.int32)
    items, scores = ranking.best_of_product(x, B, k, *seen, allowed[begin:end].copy())
    return np.where(items < 0, items, items + np.int32(begin)), scores


def _entries(tile: Float, rows: Any, columns: Any) -> Float:
    entries: Float = tile[rows, columns]
    return entries


def _write_block(
    path: str, name: str, block: int, edges: tuple[int, ...], vectors: Vectors, *tiles: Float
) -> dict[str, Any]:
    """Write a block to a model folder: under another name first, as workers may be killed."""
    target = Path(path)
    own = target.with_name(f".{target.name}.{socket.gethostname()}.{os.getpid()}")
    shape = edges[-1], edges[block + 1] - edges[block]
    try:
        facts = write_array(own, name, shape, _pieces(block, edges, vectors, tiles))
        flush(own)
        own.rename(target)
    except OSError as error:
        own.unlink(missing_ok=True)
        raise ArtifactError(
            f"{target} could not be written on {socket.gethostname()} ({error}): name a folder "
            "that all machines share and that has room"
        ) from None
    return facts
