"""Measure how fast this machine does each kind of work of a fit, with shoal's own kernels.

The kinds are those of `Recommender.work_to_fit`. Each is measured when it is first asked for, on a
problem like the one to be planned, but so small that it takes a fraction of a second.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import numpy as np
import scipy.sparse as sp

from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.datasets.synthetic import SyntheticLog
from shoal.errors import ModelError
from shoal.kernels import gram, linear, spd
from shoal.kernels.arrays import Sparse
from shoal.kernels.threads import cores, use_threads

ENTRIES = 2_000_000  # most interactions of the synthetic log
COLUMNS = 250_000  # most items of the synthetic log
SIDE = 3_000  # most rows and columns of the square matrices
ITEMS = 64  # number of rows of XᵀX that are computed
AGREE = 1.15  # times as long, up to which two calls are said to agree
PATIENCE = 3.0  # seconds that one measurement is repeated at most
UNEVEN = 2.0  # median over fastest, from which repeats are worth a note
BUSY = 0.75  # load for each core, from which the machine is called busy


class Speeds:
    """Amount of work that this machine does in a second, by kind of work: ``speeds["inverse"]``.

    Parameters
    ----------
    size : Size
        Size of the log to be planned; sparse products are slower where rows are long or histories
        are short.
    threads : int or None
        Number of threads, as in the fit.
    """

    def __init__(self, size: Size, threads: int | None = None) -> None:
        self._size, self._threads = size, threads
        self._measured: dict[str, float] = {}
        self._spreads: dict[str, float] = {}
        self._worst = 1.0  # of the measurement that is being made

    def __getitem__(self, kind: str) -> float:
        if kind not in self._measured:
            measures = {
                "product": self._product,
                "inverse": self._inverse,
                "update": self._update,
                "entry": self._entry,
                "value": self._value,
                "fingerprint": self._fingerprint,
            }
            if kind not in measures:
                raise ModelError(
                    f"work of kind {kind!r} cannot be measured: work_to_fit has the kinds "
                    f"{', '.join(measures)} and epoch"
                )
            with use_threads(self._threads):
                self._measured[kind] = measures[kind]()
            self._spreads[kind], self._worst = self._worst, 1.0
        return self._measured[kind]

    def measured(self) -> dict[str, float]:
        """The speeds that have been asked for so far, by kind."""
        return dict(self._measured)

    def spreads(self) -> dict[str, float]:
        """How many times longer the median of the repeats took than the fastest, by kind."""
        return dict(self._spreads)

    def _quickest(self, call: Callable[[], object]) -> float:
        """Seconds of the fastest call; remembers how far the repeats lay apart."""
        durations = repeats(call)
        self._worst = max(self._worst, median(durations) / max(min(durations), 1e-9))
        return min(durations)

    @property
    def _side(self) -> int:
        """Number of rows and columns of the square matrices."""
        return min(SIDE, max(256, self._size.n_items))

    @cached_property
    def _log(self) -> Interactions:
        """A synthetic log with as many items and the same mean history length, but fewer users."""
        n_users, n_items, n_interactions = self._size
        share = min(1.0, ENTRIES / n_interactions)
        items = min(n_items, COLUMNS)
        users = max(1, round(share * n_users))
        interactions = min(round(share * n_interactions), users * items)
        return SyntheticLog(users, items, max(interactions, users, items)).interactions()

    def _product(self) -> float:
        """Floating-point operations per second of a product of dense matrices."""
        n = self._side
        a, b, out = np.ones((3, n, n), np.float32)
        return 2.0 * n**3 / self._quickest(lambda: np.matmul(a, b, out=out))

    def _inverse(self) -> float:
        """n³ per second of the inverse of an n × n matrix."""
        n = self._side

        def invert() -> None:
            matrix = np.full((n, n), 0.5, np.float32)
            np.fill_diagonal(matrix, n)
            spd.invert_upper(matrix)

        return float(n) ** 3 / self._quickest(invert)

    def _value(self) -> float:
        """Dense float32 numbers per second that are read and written in turn."""
        n = self._side
        matrix, ones = np.ones((n, n), np.float32), np.ones(n, np.float32)
        return float(n) ** 2 / self._quickest(
            lambda: linear.weights_from_inverse(matrix, ones, ones, ones)
        )

    def _update(self) -> float:
        """Multiply-adds per second of sparse rows added to dense ones.

        The rows of XᵀX of the most popular items are computed; the time that empty rows take is
        subtracted.
        """
        log = self._log
        popular = np.argsort(-log.item_counts, kind="stable")[:ITEMS]
        columns = sp.csc_array(log.matrix)[:, popular].T.tocsr()
        x = log.arrays
        full = columns.indptr.astype(np.int64), columns.indices.astype(np.int32), columns.data
        empty = np.zeros_like(full[0]), full[1], full[2]

        def multiply(left: Sparse) -> None:
            linear.sparse_times_sparse(*left, *x, log.n_items)

        updates = float(np.diff(x[0])[full[1]].sum())
        base = self._quickest(lambda: multiply(empty))
        return updates / max(self._quickest(lambda: multiply(full)) - base, 1e-6)

    def _entry(self) -> float:
        """Entries of X per second that are put in the order of their columns."""
        indptr, indices, _ = self._log.arrays
        return len(indices) / self._quickest(
            lambda: gram.column_index(indptr, indices, self._log.n_items)
        )

    def _fingerprint(self) -> float:
        """Interactions per second of a log's fingerprint, a sha256 that also covers its ids."""
        return len(self._log) / self._quickest(self._log.fingerprint)


@dataclass(frozen=True)
class Busy:
    """How busy the machine is with other work.

    Parameters
    ----------
    load : float
        Processes that were running or waiting, on average over the last minute.
    cores : int
        Cores that this process may use.
    """

    load: float
    cores: int

    @classmethod
    def now(cls) -> Busy:
        """Ask the system, before anything is measured."""
        try:
            return cls(os.getloadavg()[0], cores())
        except OSError:  # the system does not say
            return cls(0.0, cores())

    def notes(self, spreads: Mapping[str, float]) -> tuple[str, ...]:
        """What to know of times that were measured on such a machine.

        Parameters
        ----------
        spreads : mapping of str to float
            As `Speeds.spreads` gives them.
        """
        uneven = max(spreads.values(), default=1.0)
        told = []
        if self.load > BUSY * self.cores:
            told.append(f"a load of {self.load:.1f} on {self.cores} cores")
        if uneven > UNEVEN:
            told.append(f"repeats of one measurement took up to {uneven:.1f} times the fastest")
        if not told:
            return ()
        return (
            f"this machine is busy ({'; '.join(told)}): times are from the fastest repeats, a fit "
            "beside the other work takes longer",
        )


def quickest(call: Callable[[], object]) -> float:
    """Seconds of the fastest of several calls; see `repeats`."""
    return min(repeats(call))


def repeats(call: Callable[[], object], fewest: int = 3, most: int = 15) -> list[float]:
    """Seconds of several calls.

    There are `fewest`, and more while the two fastest of them do not agree: on a busy machine any
    call may be interrupted, and the fastest of many is the least so.

    Parameters
    ----------
    call : callable
        Called once more before, unmeasured, since the first call of a kernel loads or compiles it.
    fewest, most : int
        Number of measured calls; `PATIENCE` seconds also end them.

    Returns
    -------
    list of float
    """
    call()
    durations: list[float] = []
    while len(durations) < fewest or (
        len(durations) < most and sum(durations) < PATIENCE and not _agree(durations)
    ):
        began = time.perf_counter()
        call()
        durations.append(time.perf_counter() - began)
    return durations


def _agree(durations: list[float]) -> bool:
    """Whether the two fastest calls took about as long."""
    fastest, second = sorted(durations)[:2]
    return second <= AGREE * fastest
