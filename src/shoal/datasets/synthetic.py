"""`generate`: synthetic logs of any size, written piece by piece.

Items have a power-law popularity and belong to clusters, users have a log-normal number of items,
half of them from two clusters of their own. Such a log is good for measuring time and memory; how
well a model does on it says nothing about real data.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.kernels.arrays import Int, Long
from shoal.kernels.draw import draw_histories
from shoal.kernels.threads import use_threads
from shoal.run import Run, Step, human_bytes

# deviation of the logarithm of a user's number of items: the mean square is 2.3 times the squared
# mean
SIGMA = 0.92
FEWEST = 5  # the least number of items of a user, where there are enough interactions
TOP_ITEM = 0.1  # share of users who have the most popular item
ROWS = 2**20  # rows of a row group in the Parquet file

_SCHEMA = {"user": pl.Int32(), "item": pl.Int32()}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class SyntheticLog:
    """A log that is drawn when it is asked for: all users and items occur, pairs occur once.

    Parameters
    ----------
    n_users, n_items, n_interactions : int
        Counts that the log has exactly.
    seed : int
        The same seed and sizes give the same log.

    Raises
    ------
    DataError
        No log can have these counts.
    """

    n_users: int
    n_items: int
    n_interactions: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self.n_users, self.n_items, self.n_interactions)
        if self.n_interactions < max(self.n_users, self.n_items):
            raise DataError(
                f"{self.n_interactions:,} interactions are too few for {self.n_users:,} users and "
                f"{self.n_items:,} items to have one each: give more, or fewer users or items"
            )
        if self.seed < 0:
            raise DataError(f"seed={self.seed}: give 0 or a positive number")

    @cached_property
    def indptr(self) -> Long:
        """Extents: user u has the interactions from ``indptr[u]`` to ``indptr[u + 1]``."""
        uniform = self._rng.random((3, self.n_users)).sum(axis=0)  # nearly normal, within ±3
        raw = np.exp(SIGMA * 2 * (uniform - 1.5))
        fewest = min(FEWEST, self.n_interactions // self.n_users)
        low, high = 0.0, float(self.n_interactions)
        for _ in range(100):
            scale = (low + high) / 2
            counts = np.clip(np.rint(raw * scale), fewest, self.n_items).astype(np.int64)
            low, high = (scale, high) if counts.sum() < self.n_interactions else (low, scale)
        while missing := self.n_interactions - int(counts.sum()):  # what rounding left
            can_change = counts < self.n_items if missing > 0 else counts > fewest
            users = np.flatnonzero(can_change)
            n_changed = min(abs(missing), users.size)
            spread = users[np.arange(n_changed) * users.size // n_changed]
            counts[spread] += 1 if missing > 0 else -1
        return np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def _names(self) -> Int:
        """The item at each rank of popularity; popular items stand anywhere in the catalogue."""
        self._rng.random(3 * self.n_users)
        return np.argsort(self._rng.random(self.n_items), kind="stable").astype(np.int32)

    @property
    def _rng(self) -> np.random.Generator:
        # only `random` is drawn from: its stream is the one that numpy keeps the same everywhere
        return np.random.Generator(np.random.PCG64(self.seed))

    @cached_property
    def _shift(self) -> float:
        """The shift of p ∝ 1/(rank + shift) that gives the first item its share of the users."""
        inverse_share = self.n_interactions / self.n_users / TOP_ITEM
        low, high = 1e-3, float(self.n_items)
        for _ in range(60):
            shift = (low + high) / 2
            top = shift * math.log1p(self.n_items / shift)  # 1/p of the first rank
            low, high = (shift, high) if top < inverse_share else (low, shift)
        return high

    def items_of(self, begin: int, end: int) -> Int:
        """Items of the users from `begin` to before `end`, ascending for each; see `indptr`."""
        return draw_histories(
            self.seed,
            begin,
            self.indptr[begin : end + 1],
            self.n_interactions,
            max(1, math.isqrt(self.n_items)),
            self._shift,
            self._names,
        )

    def interactions(self) -> Interactions:
        """The whole log, in memory; ids are the row and column numbers."""
        users, items = (Ids(pl.Series(np.arange(n)), "int") for n in (self.n_users, self.n_items))
        return Interactions(users, items, self.indptr, self.items_of(0, self.n_users))

    def pieces(self, rows: int = ROWS) -> Iterator[pl.DataFrame]:
        """Yield the log in frames of `rows` rows (the last may be shorter): ``user``, ``item``."""
        pending: list[pl.DataFrame] = []
        n_pending = begin = 0
        while begin < self.n_users:
            end = int(np.searchsorted(self.indptr, self.indptr[begin] + rows, side="right")) - 1
            end = max(end, begin + 1)
            users = np.repeat(
                np.arange(begin, end, dtype=np.int32), np.diff(self.indptr[begin : end + 1])
            )
            pending.append(pl.DataFrame({"user": users, "item": self.items_of(begin, end)}))
            n_pending += users.size
            begin = end
            if n_pending >= rows:
                joined = pl.concat(pending, rechunk=True)
                cut = n_pending // rows * rows
                yield from joined[:cut].iter_slices(rows)
                pending, n_pending = [joined[cut:]], n_pending - cut
        if n_pending:
            yield pl.concat(pending, rechunk=True)

    @property
    def bytes_on_disk(self) -> int:
        """An estimate of the size of the Parquet file, in bytes, that is not too small."""
        return int(self.n_interactions * (0.5 + 0.17 * math.log2(self.n_items + 1))) + 2**16


def generate(
    path: str | Path,
    n_users: int,
    n_items: int,
    n_interactions: int,
    seed: int = 0,
    run: Run | None = None,
) -> Path:
    """Write a synthetic log as Parquet, in pieces: columns ``user`` and ``item`` of row numbers.

    Parameters
    ----------
    path : str or Path
        A name that ends in ``.parquet`` and is not taken yet. The file grows under another name
        beside it, so that a kill or a full disk leaves nothing under this one.
    n_users, n_items, n_interactions : int
        Counts that the log has exactly. Each user and each item has at least one interaction.
    seed : int
        The same seed and sizes give the same rows.
    run : Run, optional
        Threads and progress.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        No log can have these counts; the name is taken or does not end in ``.parquet``; the disk
        has no room.
    """
    run, path = run or Run(), Path(path)
    log = SyntheticLog(n_users, n_items, n_interactions, seed)
    _check_target(path)
    need = log.bytes_on_disk
    free = shutil.disk_usage(path.parent).free
    if need > free:
        raise DataError(
            f"{path} takes about {human_bytes(need)}, and its disk has {human_bytes(free)} free: "
            "free some space, name another disk, or ask for fewer interactions"
        )
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with run.progress.step(f"generating {path.name}", n_interactions) as step:
            _write(log, unfinished, step, run.threads)
        unfinished.rename(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _refused(path, need, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return path


def check_counts(n_users: int, n_items: int, n_interactions: int) -> None:
    """Refuse counts that no log of distinct pairs can have.

    Raises
    ------
    DataError
        A count is too small or too large, or there are more interactions than pairs.
    """
    for name, count in (
        ("users", n_users),
        ("items", n_items),
        ("interactions", n_interactions),
    ):
        if count < 1:
            raise DataError(f"{count:,} {name}: give 1 or more")
        if count >= 2**31 and name != "interactions":
            raise DataError(f"{count:,} {name}: shoal counts up to {2**31 - 1:,} of them")
    if n_items < 2:
        raise DataError("1 item: nothing can be ranked, give 2 or more")
    if n_interactions > n_users * n_items:
        raise DataError(
            f"{n_interactions:,} interactions are more than {n_users:,} users × {n_items:,} items "
            "have pairs: each counts once"
        )


def _check_target(path: Path) -> None:
    if path.suffix != ".parquet":
        raise DataError(f"{path}: write a name that ends in .parquet")
    if path.exists():
        raise DataError(f"{path} exists: name another file, or remove it first")
    if not path.parent.is_dir():
        raise DataError(f"{path}: there is no folder {path.parent}")


def _write(log: SyntheticLog, path: Path, step: Step, threads: int | None) -> None:
    """Stream the pieces into a Parquet file, one row group each."""

    def source(
        columns: list[str] | None, predicate: object, n_rows: object, size: object
    ) -> Iterator[pl.DataFrame]:
        pieces = log.pieces()
        while True:
            with use_threads(
                threads
            ):  # not around the yield: who stops reading would keep it in force
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece
            step.advance(piece.height)

    frame = register_io_source(source, schema=_SCHEMA)
    frame.sink_parquet(path, row_group_size=ROWS, maintain_order=True)


def _refused(path: Path, need: int, error: Exception) -> DataError:
    """The error that says why the file could not be written."""
    full = getattr(error, "errno", None) in _FULL or "No space left" in str(error)
    if not full:
        return DataError(f"{path} could not be written ({error})")
    return DataError(
        f"{path} could not be written: the disk is full, and the file takes about "
        f"{human_bytes(need)}. Free some space, or name another disk; nothing was left behind"
    )
