"""The item-item matrix B in blocks of columns, for catalogues whose n × n matrix is many files.

A block is B[:, begin:end], C-ordered, so that it scores its own items: a history reads one row of
the block for each of its items. Each block is an array of its own in a model folder, where it is
mapped into memory, and other machines can write it: such an array is a `DistantArray`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from shoal.base.declared import ArraySpec, Spec
from shoal.base.weights import OnePass, csr_arrays
from shoal.data.interactions import CSR
from shoal.errors import ModelError
from shoal.kernels import linear, ranking
from shoal.kernels.arrays import Bool, Float, Int, Long, Ranking, Seen, State

BLOCKS = "weights"  # the blocks are the arrays weights.00000, weights.00001, …
_BLOCK = re.compile(r"\.(\d{5})$")


class DistantArray(ABC):
    """An array of a fitted model that is on other machines, which write it to a model folder.

    numpy gets it as an array of this process (``np.asarray``).
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size of the whole array."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    @abstractmethod
    def begin_writing(self, path: Path, name: str) -> Callable[[], dict[str, Any]]:
        """Have a file written that holds this array alone, under a name.

        Parameters
        ----------
        path : Path
            The file, which all machines see in the same place.
        name : str

        Returns
        -------
        callable
            Waits until the file is whole and on the disk; gives its ``sha256`` and ``bytes``.
            Numbers that are NaN or infinite are an `ArtifactError`.
        """

    @abstractmethod
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The array in this process."""


def is_distant(array: object) -> TypeGuard[DistantArray]:
    """Whether an array of a fitted model is on other machines."""
    return isinstance(array, DistantArray)


def is_block(name: str) -> bool:
    """Whether an array of this name is one of several blocks, which has a file of its own."""
    return _BLOCK.search(name) is not None


def name_of_block(number: int) -> str:
    """The name of a block of B among the arrays of a model."""
    return f"{BLOCKS}.{number:05}"


def blocks_spec(names: Collection[str]) -> Spec:
    """How B is declared whose blocks have these names; () if there is none among them."""
    own = (n for n in names if n.startswith(f"{BLOCKS}.") and is_block(n))
    return tuple(ArraySpec(n, ("n_items", f"columns of {n}")) for n in sorted(own))


def blocks_of(state: State) -> list[Any]:
    """The blocks of B among the arrays of a model, in their order."""
    return [state[array.name] for array in blocks_spec(state) if isinstance(array, ArraySpec)]


def extents(blocks: Sequence[Any]) -> Long:
    """Where the columns of blocks begin, and where the last one ends.

    Raises
    ------
    ModelError
        Together they do not have as many columns as rows.
    """
    edges: Long = np.concatenate([[0], np.cumsum([block.shape[1] for block in blocks])])
    if any(block.shape[0] != edges[-1] for block in blocks):
        raise ModelError(
            f"{len(blocks)} blocks have {edges[-1]:,} columns together, for "
            f"{blocks[0].shape[0]:,} items: a block is missing, or is another model's"
        )
    return edges


@dataclass(frozen=True, eq=False)
class BlockedWeights(OnePass):
    """B as arrays of neighbouring columns. Scores have the bits of those of `DenseWeights`.

    Parameters
    ----------
    blocks : sequence of (n_items, c) float32, C-ordered
        Together they have n_items columns.
    """

    blocks: Sequence[Float]

    def __post_init__(self) -> None:
        extents(self.blocks)

    @property
    def edges(self) -> Long:
        """Where the columns of blocks begin, and where the last one ends."""
        return extents(self.blocks)

    @property
    def n_items(self) -> int:
        """Number of rows and columns of B."""
        return len(self.blocks[0])

    def matrix(self) -> Float:
        """B as a new array."""
        return np.concatenate(self.blocks, axis=1)

    def score(self, x: CSR) -> Float:
        """x·B, block by block."""
        arrays = csr_arrays(x)
        scores = np.empty((x.shape[0], self.n_items), np.float32)
        for begin, block in zip(self.edges, self.blocks, strict=False):
            scores[:, begin : begin + block.shape[1]] = linear.sparse_times_dense(*arrays, block)
        return scores

    def _score_few(self, x: CSR, items: Int) -> Float:
        arrays = csr_arrays(x)
        scores = np.zeros(items.shape, np.float32)
        for begin, block in zip(self.edges, self.blocks, strict=False):
            here = (items >= begin) & (items < begin + block.shape[1])
            if here.any():
                own = np.where(here, items - begin, 0).astype(np.int32)
                scores = np.where(here, linear.sparse_times_some(*arrays, block, own), scores)
        return scores

    def score_items(self, x: CSR, items: Int) -> Float:
        """Entries of x·B, of some items of each row, from as many entries of B if they are few."""
        return self._score_few(x, items) if self.are_few(items) else super().score_items(x, items)

    def best(self, x: CSR, k: int, seen: Seen, allowed: Bool) -> Ranking:
        """The k best of each row of x·B, tile by tile of each block."""

        def pack(begin: int, end: int, tile: Float) -> None:
            first = int(np.searchsorted(self.edges, begin, side="right")) - 1
            for start, block in zip(self.edges[first:], self.blocks[first:], strict=False):
                if start >= end:
                    break
                low, high = max(begin, int(start)), min(end, int(start) + block.shape[1])
                if (low, high) == (begin, end):
                    ranking.pack(block, low - int(start), high - int(start), tile)
                else:
                    tile[:, low - begin : high - begin] = block[:, low - start : high - start]

        shape = self.n_items, self.n_items
        return ranking.best_of_tiles(csr_arrays(x), shape, pack, k, *seen, allowed)

    def _place(self, item: int) -> tuple[Float, int]:
        """The block of an item, and its column there."""
        edges = self.edges
        number = int(np.searchsorted(edges, item, side="right")) - 1
        return self.blocks[number], item - int(edges[number])

    def column(self, item: int) -> Float:
        """B[:, item]."""
        block, place = self._place(item)
        return np.ascontiguousarray(block[:, place])

    def part_of_column(self, rows: Int, item: int) -> Float:
        """B[rows, item], without looking at the other rows."""
        block, place = self._place(item)
        part: Float = block[rows, place]
        return part

    def among(self, items: Int) -> Float:
        """B[items][:, items]."""
        return np.stack([self.part_of_column(items, int(item)) for item in items], axis=1)

    def facts(self) -> dict[str, float]:
        """The share of weights off the diagonal that are negative."""
        n = self.n_items
        negative = sum(
            negative_weights(block, int(begin))
            for begin, block in zip(self.edges, self.blocks, strict=False)
        )
        return {"negative_weights": negative / (n * (n - 1))}

    def state(self) -> State:
        """The blocks, each an array of its own."""
        return {name_of_block(number): block for number, block in enumerate(self.blocks)}


def negative_weights(block: Float, begin: int) -> int:
    """Count the negative weights off the diagonal of B in the columns of B from `begin` on."""
    diagonal = block[begin : begin + block.shape[1]].diagonal()
    return linear.negative_entries(block) - int(np.count_nonzero(diagonal < 0))
