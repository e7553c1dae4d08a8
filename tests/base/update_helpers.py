"""Logs for the tests of updates, and the one thread that they take."""

from __future__ import annotations

import numpy as np

from shoal.data.interactions import Interactions
from shoal.run import Run
from shoal.testing import from_dense

ONE = Run(threads=1)


def random_log(n_users: int = 80, n_items: int = 30, share: float = 0.25) -> Interactions:
    dense = (np.random.default_rng(0).random((n_users, n_items)) < share).astype(float)
    dense[:, 0] = 1  # everyone has this one
    return from_dense(dense)


def users(log: Interactions, *codes: int) -> Interactions:
    return log.take_users(np.array(codes, np.int64))
