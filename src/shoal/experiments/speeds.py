"""How fast this machine does each kind of a fit's work, measured with shoal's own kernels.

Kinds are those of `Recommender.work_to_fit`. Each is measured when it is first asked for, on a
problem like the one to be planned, cut down to what takes a fraction of a second.
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

ENTRIES = 2_000_000  # of the log that is drawn
COLUMNS = 250_000  # of it, at most
SIDE = 3_000  # of the square matrices
ITEMS = 64  # whose rows of XᵀX are made


class Speeds:
    """Work per second, by kind.

    Parameters
    ----------
    size : Size
        Of the log to be planned: a sparse product is slower where rows are long or histories short.
    threads : int or None
        As of the fit.
    """

    def __init__(self, size: Size, threads: int | None = None) -> None:
        self._size, self._threads = size, threads
        self._known: dict[str, float] = {}

    def __getitem__(self, kind: str) -> float:
        if kind not in self._known:
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
                self._known[kind] = measures[kind]()
        return self._known[kind]

    def measured(self) -> dict[str, float]:
        """What has been asked for so far."""
        return dict(self._known)

    @property
    def _side(self) -> int:
        return min(SIDE, max(256, self._size.n_items))

    @cached_property
    def _log(self) -> Interactions:
        """A log of the same catalogue and the same mean history, of fewer users."""
        n_users, n_items, n_interactions = self._size
        share = min(1.0, ENTRIES / n_interactions)
        items = min(n_items, COLUMNS)
        users = max(1, round(share * n_users))
        interactions = min(round(share * n_interactions), users * items)
        return SyntheticLog(users, items, max(interactions, users, items)).interactions()

    def _product(self) -> float:
        n = self._side
        a, b, out = np.ones((3, n, n), np.float32)
        return 2.0 * n**3 / quickest(lambda: np.matmul(a, b, out=out))

    def _inverse(self) -> float:
        n = self._side

        def invert() -> None:
            matrix = np.full((n, n), 0.5, np.float32)
            np.fill_diagonal(matrix, n)
            spd.invert_upper(matrix)

        return float(n) ** 3 / quickest(invert)

    def _value(self) -> float:
        n = self._side
        matrix, ones = np.ones((n, n), np.float32), np.ones(n, np.float32)
        return float(n) ** 2 / quickest(
            lambda: linear.weights_from_inverse(matrix, ones, ones, ones)
        )

    def _update(self) -> float:
        """Rows of XᵀX of popular items, less what rows without entries take."""
        log = self._log
        popular = np.argsort(-log.item_counts, kind="stable")[:ITEMS]
        columns = sp.csc_array(log.matrix)[:, popular].T.tocsr()
        x = log.arrays
        of = columns.indptr.astype(np.int64), columns.indices.astype(np.int32), columns.data
        none = np.zeros_like(of[0]), of[1], of[2]

        def rows(of: Sparse) -> None:
            linear.sparse_times_sparse(*of, *x, log.n_items)

        updates = float(np.diff(x[0])[of[1]].sum())
        base = quickest(lambda: rows(none))
        return updates / max(quickest(lambda: rows(of)) - base, 1e-6)

    def _entry(self) -> float:
        indptr, indices, _ = self._log.arrays
        return len(indices) / quickest(
            lambda: gram.column_index(indptr, indices, self._log.n_items)
        )

    def _fingerprint(self) -> float:
        """Interactions of which the sha256 is taken, with the ids of their users and items."""
        return len(self._log) / quickest(self._log.fingerprint)


def quickest(call: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of several calls; a first one, which loads kernels, is not counted."""
    call()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)
