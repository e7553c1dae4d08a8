"""Tables small enough to look at, for the tests."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.kernels.arrays import Double, Float

N_USERS, N_ITEMS = 89, 24  # 89 is no other size in this file, so an array that has it is of users


def from_dense(matrix: ArrayLike, items: Iterable[int | str] | None = None) -> Interactions:
    """Write a small table down as `Interactions`.

    Parameters
    ----------
    matrix : (n_users, n_items)
        Zero is no interaction. Zeros and ones only make binary data, anything else values.
    items : ids, optional
        Ascending; 100, 101, … by default. Users are 1, 2, …
    """
    dense = np.asarray(matrix)
    users, codes = np.nonzero(dense)
    ids = list(range(100, 100 + dense.shape[1])) if items is None else list(items)
    values = dense[users, codes].astype(np.float32)
    return Interactions.from_codes(
        Ids(pl.Series(range(1, len(dense) + 1), dtype=pl.Int64), "int"),
        Ids(pl.Series(ids), "str" if isinstance(ids[0], str) else "int"),
        users.astype(np.int32),
        codes.astype(np.int32),
        values=None if (values == 1).all() else values,
    )


def two_groups() -> Double:
    """Even users like even items and odd users like odd items; a few touch one of the others.

    Each person knows four fifths of their group, so that there is something to recommend. The odd
    group is the larger one: who recommends what is popular fails.
    """
    rng = np.random.default_rng(5)
    side = (rng.random(N_USERS) < 0.6).astype(np.int64)
    dense = (side[:, None] == np.arange(N_ITEMS) % 2) & (rng.random((N_USERS, N_ITEMS)) < 0.8)
    strays = rng.choice(N_USERS, 6, replace=False)
    dense[strays, rng.integers(0, N_ITEMS, 6)] = True
    return dense.astype(np.float64)


def two_kinds(n_items: int, size: int = 5) -> Float:
    """Vectors of items, (n_items, size): even and odd ones differ."""
    rng = np.random.default_rng(6)
    vectors = 0.1 * rng.normal(size=(n_items, size))
    vectors[np.arange(n_items), np.arange(n_items) % 2] += 1
    return vectors.astype(np.float32)
