"""Small tables of interactions for tests."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.kernels.arrays import Double, Float

N_USERS, N_ITEMS = 89, 24  # no other size is 89, so arrays of this size hold users


def from_dense(matrix: ArrayLike, items: Iterable[int | str] | None = None) -> Interactions:
    """Convert a small dense table to `Interactions`.

    Parameters
    ----------
    matrix : (n_users, n_items)
        Zero means no interaction. A table of zeros and ones gives binary data, others have values.
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
    """Make a (N_USERS, N_ITEMS) table of two groups: users of even and users of odd items.

    Each user has about four fifths of their group's items, so some are left to recommend; six users
    have one item of any group. The odd group is larger, so popularity alone gives wrong lists.
    """
    rng = np.random.default_rng(5)
    group = (rng.random(N_USERS) < 0.6).astype(np.int64)
    dense = (group[:, None] == np.arange(N_ITEMS) % 2) & (rng.random((N_USERS, N_ITEMS)) < 0.8)
    strays = rng.choice(N_USERS, 6, replace=False)
    dense[strays, rng.integers(0, N_ITEMS, 6)] = True
    return dense.astype(np.float64)


def two_kinds(n_items: int, size: int = 5) -> Float:
    """Make item vectors, (n_items, size) float32, that separate even from odd items."""
    rng = np.random.default_rng(6)
    vectors = 0.1 * rng.normal(size=(n_items, size))
    vectors[np.arange(n_items), np.arange(n_items) % 2] += 1
    return vectors.astype(np.float32)
