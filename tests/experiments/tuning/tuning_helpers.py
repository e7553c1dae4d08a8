"""A small log with structure, for searches that take no time."""

from __future__ import annotations

import numpy as np

import shoal
from shoal.run import Run
from shoal.splitting.held_out import Split
from shoal.testing import from_dense

ONE = Run(threads=1)


def small_split(seed: int = 5, users: int = 300, items: int = 60) -> Split:
    """Users with tastes in a few directions, so that settings differ in their scores."""
    rng = np.random.default_rng(seed)
    taste, kinds = rng.random((users, 4)) ** 3, rng.random((4, items)) ** 3
    chance = taste @ kinds
    log = from_dense((rng.random((users, items)) < 0.5 * chance / chance.max()).astype(float))
    return shoal.split(log, "strong", test=0.2, validation=0.3)
