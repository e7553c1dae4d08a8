"""Measure how fast this machine does each kind of work of a fit, with shoal's own kernels.

The kinds are those of `Recommender.work_to_fit`. Each is measured when it is first asked for, on a
problem like the one to be planned, but so small that it takes a fraction of a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.datasets.synthetic import SyntheticLog
from shoal.errors import ModelError
from shoal.kernels import gram, linear, spd
from shoal.kernels.arrays import Sparse
from shoal.kernels.threads import use_threads

ENTRIES = 2_000_000  # most interactions of the synthetic log
COLUMNS = 250_000  # most items of the synthetic log
SIDE = 3_000  # most rows and columns of the square matrices
ITEMS = 64  # number of rows of XᵀX that are computed


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
        return self._measured[kind]

    def measured(self) -> dict[str, float]:
        """The speeds that have been asked for so far, by kind."""
        return dict(self._measured)

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
        return 2.0 * n**3 / quickest(lambda: np.matmul(a, b, out=out))

    def _inverse(self) -> float:
        """n³ per second of the inverse of an n × n matrix."""
        n = self._side

        def invert() -> None:
            matrix = np.full((n, n), 0.5, np.float32)
            np.fill_diagonal(matrix, n)
            spd.invert_upper(matrix)

        return float(n) ** 3 / quickest(invert)

    def _value(self) -> float:
        """Dense float32 numbers per second that are read and written in turn."""
        n = self._side
        matrix, ones = np.ones((n, n), np.float32), np.ones(n, np.float32)
        return float(n) ** 2 / quickest(
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
        base = quickest(lambda: multiply(empty))
        return updates / max(quickest(lambda: multiply(full)) - base, 1e-6)

    def _entry(self) -> float:
        """Entries of X per second that are put in the order of their columns."""
        indptr, indices, _ = self._log.arrays
        return len(indices) / quickest(
            lambda: gram.column_index(indptr, indices, self._log.n_items)
        )

    def _fingerprint(self) -> float:
        """Interactions per second of a log's fingerprint, a sha256 that also covers its ids."""
        return len(self._log) / quickest(self._log.fingerprint)


def quickest(call: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of several calls.

    Parameters
    ----------
    call : callable
        Called once more before, unmeasured, since the first call of a kernel loads or compiles it.
    times : int
        Number of measured calls.

    Returns
    -------
    float
    """
    call()
    durations = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        durations.append(time.perf_counter() - began)
    return min(durations)
