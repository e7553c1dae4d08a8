"""`ShardedLog`: a log whose rows are divided by user among the machines of a cluster.

The machine that gives out the work holds the items, how many users each has, and the size of every
shard. A shard is a value behind a handle of an `Executor`: tasks take it as an argument and find
plain arrays of some users over all items of the log.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shoal.data.facts import LogElsewhere
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.report import PreparationStep
from shoal.data.size import Size
from shoal.executor import Executor, Handle
from shoal.kernels.arrays import Float, Int, Long

INTERACTIONS = 2**20  # of a shard, about, where a log is divided by shoal


@dataclass(frozen=True)
class Shard:
    """The rows of some users, over all items of the log.

    Parameters
    ----------
    indptr : (n_users + 1,) int64
        The interactions of user u are those from ``indptr[u]`` to ``indptr[u + 1]``.
    indices : (nnz,) int32
        Item numbers, ascending within each user.
    values : (nnz,) float32 or None
        Ratings or counts; None for binary data.
    times : (nnz,) int64 or float64, or None
    users : Ids or None
        Ids of the rows, in ascending order; None where nobody asks for them.
    """

    indptr: Long
    indices: Int
    values: Float | None = None
    times: NDArray[Any] | None = None
    users: Ids | None = None

    @property
    def n_users(self) -> int:
        """Number of users (rows)."""
        return len(self.indptr) - 1

    def __len__(self) -> int:
        return len(self.indices)


class ShardSize(NamedTuple):
    """What work and memory of a shard are estimated from.

    Parameters
    ----------
    n_users, n_interactions : int
    squares : int
        The sum over users of (number of items)², the additions of XᵀX.
    """

    n_users: int
    n_interactions: int
    squares: int

    @staticmethod
    def of(shard: Shard) -> ShardSize:
        """The size of a shard."""
        degrees = np.diff(shard.indptr)
        return ShardSize(shard.n_users, len(shard), int(degrees @ degrees))


@dataclass(frozen=True)
class Catalogue(Interactions):
    """The items of a log whose rows are elsewhere, and what is known of them without its rows.

    Parameters
    ----------
    counts : (n_items,) int64
        Users per item.
    digest : str
        The fingerprint of the whole log.
    """

    counts: Long = field(default_factory=lambda: np.zeros(0, np.int64))
    digest: str = ""

    @staticmethod
    def of(log: Interactions, counts: Long, digest: str) -> Catalogue:
        """The items of a log, and what is known of it but its rows."""
        rows = ("users", "indptr", "indices", "values", "times", "rows")
        others = set(Interactions.__dataclass_fields__) - set(rows)
        return Catalogue(
            log.users.subset(np.zeros(0, np.int64)),
            indptr=np.zeros(1, np.int64),
            indices=np.zeros(0, np.int32),
            counts=counts,
            digest=digest,
            **{name: getattr(log, name) for name in others},
        )

    @property
    def item_counts(self) -> Long:
        """(n_items,) users per item, of the whole log."""
        return self.counts

    def fingerprint(self) -> str:
        """The fingerprint of the whole log."""
        return self.digest


@dataclass(frozen=True)
class ShardedLog(LogElsewhere):
    """A log whose rows are divided by user; no machine need hold all of them.

    How many shards there are, and who is in which, depends on the log alone and not on the cluster,
    so that sums over shards have the same bits everywhere.

    Parameters
    ----------
    shards : sequence of Handle
        Each stands for a `Shard`.
    sizes : sequence of ShardSize
        Of each shard.
    facts : Catalogue
        The items, and all that is known of the log without its rows.
    values : bool
        Whether interactions have values; otherwise each counts 1.
    times : bool
        Whether they have times.
    latest_time : float or None
        The newest of them.
    """

    shards: Sequence[Handle]
    sizes: Sequence[ShardSize]
    facts: Catalogue
    values: bool = False
    times: bool = False
    latest_time: float | None = None

    @staticmethod
    def of(
        interactions: Interactions, executor: Executor, n_shards: int | None = None
    ) -> ShardedLog:
        """Divide a log that is here into shards of consecutive users.

        Parameters
        ----------
        interactions : Interactions
        executor : Executor
        n_shards : int, optional
            By default, one for each 2²⁰ interactions. Users are not divided, so there may be fewer.
        """
        edges = _edges(interactions.indptr, n_shards)
        shards, sizes = [], []
        for begin, end in pairwise(edges):
            shard = _slice(interactions, int(begin), int(end))
            sizes.append(ShardSize.of(shard))
            shards.append(executor.put(shard))
        counts, digest = interactions.item_counts, interactions.fingerprint()
        catalogue = Catalogue.of(interactions, counts, digest)
        values, times = interactions.values is not None, interactions.times is not None
        latest = interactions.latest_time
        return ShardedLog(shards, sizes, catalogue, values, times, latest)

    @property
    def items(self) -> Ids:
        """Ids of the items, in ascending order."""
        return self.facts.items

    @property
    def item_counts(self) -> Long:
        """(n_items,) users per item."""
        return self.facts.counts

    @property
    def n_users(self) -> int:
        """Number of users of all shards."""
        return sum(size.n_users for size in self.sizes)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.facts.n_items

    def __len__(self) -> int:
        return sum(size.n_interactions for size in self.sizes)

    def __repr__(self) -> str:
        return (
            f"ShardedLog({self.n_users:,} users × {self.n_items:,} items, {len(self):,}, in "
            f"{len(self.shards):,} shards)"
        )

    @property
    def size(self) -> Size:
        """How many users, items and interactions there are."""
        return Size(self.n_users, self.n_items, len(self))

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return len(self.shards)

    @property
    def squares(self) -> int:
        """The sum over users of (number of items)², the additions of XᵀX."""
        return sum(size.squares for size in self.sizes)

    @property
    def item_table(self) -> pl.DataFrame | None:
        """One row per item, as in `Interactions`."""
        return self.facts.item_table

    @property
    def item_vectors(self) -> Float | None:
        """(n_items, d) float32, as in `Interactions`."""
        return self.facts.item_vectors

    @property
    def preparation(self) -> dict[str, Any]:
        """The options of `read` that other logs for the same model should be read with."""
        return self.facts.preparation

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the log was read."""
        return self.facts.notes

    @property
    def report(self) -> tuple[PreparationStep, ...]:
        """What each step of the preparation dropped."""
        return self.facts.report

    @property
    def fingerprint(self) -> str:
        """By which models of the same data are known."""
        return self.facts.digest

    def catalogue(self) -> Catalogue:
        """All items and no rows, for `Recommender.take_catalogue`: it has the log's item counts."""
        return self.facts

    def whole(self, executor: Executor) -> Interactions:
        """All rows on this machine, as `shoal.read` gives them."""
        parts = [executor.get(handle) for handle in self.shards]
        facts = {
            name: getattr(self.facts, name)
            for name in Interactions.__dataclass_fields__
            if name not in ("users", "indptr", "indices", "values", "times", "rows")
        }
        return replace(_joined(parts, self.facts), **facts)


def _edges(indptr: Long, n_shards: int | None) -> Long:
    """The first user of each shard, and the number of users: about as many rows in each shard."""
    n_users, n_rows = len(indptr) - 1, int(indptr[-1])
    wanted = n_shards or math.ceil(n_rows / INTERACTIONS)
    wanted = max(1, min(wanted, n_users))
    shares = np.arange(wanted + 1) * (n_rows / wanted)
    edges = np.searchsorted(indptr, shares).astype(np.int64)
    edges[0], edges[-1] = 0, n_users
    return np.unique(edges)


def _slice(log: Interactions, begin: int, end: int) -> Shard:
    """The users from `begin` to `end`, as views of the log's arrays."""
    own = slice(int(log.indptr[begin]), int(log.indptr[end]))
    return Shard(
        log.indptr[begin : end + 1] - log.indptr[begin],
        log.indices[own],
        None if log.values is None else log.values[own],
        None if log.times is None else log.times[own],
        Ids(log.users.series.slice(begin, end - begin), log.users.kind),
    )


def _joined(parts: list[Shard], facts: Interactions) -> Interactions:
    """One log of all shards, whose users are put in ascending order."""
    users = pl.concat([part.users.series for part in parts if part.users is not None])
    degrees = np.concatenate([np.diff(part.indptr) for part in parts])
    begin = np.concatenate([[0], np.cumsum(degrees)[:-1]]) if len(degrees) else degrees
    order = users.arg_sort().to_numpy()
    degrees = degrees[order]
    indptr = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
    # the places of the rows of the first user, then those of the second, and so on
    rows = np.arange(indptr[-1]) + np.repeat(begin[order] - indptr[:-1], degrees)

    def column(name: str) -> Any:
        columns = [getattr(part, name) for part in parts]
        return None if columns[0] is None else np.concatenate(columns)[rows]

    return Interactions(
        Ids(users.gather(order), facts.users.kind),
        facts.items,
        indptr,
        column("indices"),
        column("values"),
        column("times"),
    )
