"""Synthetic logs in the form that a model needs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shoal.datasets.synthetic import SyntheticLog

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.data.interactions import Interactions

NUMBERS = 64  # of an item vector, for models that read vectors


def log_for(kind: type[Recommender], counts: tuple[int, int, int]) -> Interactions:
    """A log of so many users, items and interactions, with whatever a model reads beside them."""
    rng = np.random.default_rng(0)
    log = SyntheticLog(*counts).interactions()
    if kind.task == "rating":
        log = replace(log, values=rng.integers(1, 6, len(log)).astype(np.float32))
    if kind.ordered:
        log = replace(log, times=rng.permutation(len(log)))
    if kind.reads_vectors:
        vectors = rng.standard_normal((log.n_items, NUMBERS), np.float32)
        log = replace(log, item_vectors=vectors)
    return log
