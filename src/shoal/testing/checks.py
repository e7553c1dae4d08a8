"""Helpers of the contract tests: random histories, comparison of scores, arrays in a model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, Interactions
from shoal.kernels.arrays import Double
from shoal.splitting.held_out import HeldOut
from shoal.testing.toys import N_ITEMS, N_USERS

UNSEEN = 7  # number of an item without users
_fits: dict[Hashable, Recommender] = {}


def once(key: Hashable, fit: Callable[[], Recommender]) -> Recommender:
    """Return the model that `fit` makes, which is fitted at the first call for a key only."""
    if key not in _fits:
        _fits[key] = fit()
    return _fits[key]


def random_dense(n_users: int = N_USERS, *, valued: bool = False, seed: int = 0) -> Double:
    """Make a random (n_users, N_ITEMS) table with users' tastes in three dimensions.

    About a third of the entries is not zero; the item `UNSEEN` has none. If `valued`, entries are
    1 to 5 instead of 1.
    """
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(n_users, 3)) @ np.random.default_rng(99).normal(size=(3, N_ITEMS))
    dense = (taste + rng.normal(size=taste.shape) > 0.7).astype(np.float64)
    dense[:, UNSEEN] = 0
    if valued:
        dense *= rng.integers(1, 6, size=dense.shape)
    return dense


def rows_of(dense: NDArray[Any]) -> CSR:
    """Convert a dense table to CSR, float32."""
    return CSR(dense.astype(np.float32))


def assert_close(a: NDArray[Any], b: NDArray[Any], tolerance: float) -> None:
    """Assert that scores differ by at most `tolerance` times the largest score of their row."""
    scale = np.abs(b).max(axis=1, keepdims=True, initial=1e-12)
    worst = float(np.max(np.abs(a - b) / scale, initial=0))
    assert worst <= tolerance, f"scores differ by {worst:.2g} of the row's largest score"


def assert_same_lists(
    items: Any, scores: Any, expected: Any, expected_scores: Any, tolerance: float = 1e-5
) -> None:
    """Compare lists that two computations made, up to rounding of the scores.

    Items whose scores are equal up to rounding may change places, also with one that is just not in
    the list: which of them comes first is decided by the processor's rounding.

    Parameters
    ----------
    items, scores : (m, k) or (k,)
        Best first; −1 where there is no item.
    expected, expected_scores : (m, k) or (k,)
        Of the other computation.
    tolerance : float
        Relative to the largest score of a row.
    """
    lists = [np.atleast_2d(np.asarray(x)) for x in (items, scores, expected, expected_scores)]
    assert lists[0].shape == lists[2].shape
    for u, (mine, own, other, theirs) in enumerate(zip(*lists, strict=True)):
        one, two = (
            dict(zip(i[i != -1].tolist(), s[i != -1].tolist(), strict=True))
            for i, s in ((mine, own), (other, theirs))
        )
        assert len(one) == len(two), f"row {u}: {len(one)} and {len(two)} items"
        if not two:
            continue
        room = tolerance * max(map(abs, two.values()))
        for values in (one, two):
            assert (np.diff(list(values.values())) <= room).all(), f"row {u} is not in order"
        last = min(two.values())
        for item in one.keys() | two.keys():
            first, second = one.get(item, last), two.get(item, last)
            assert abs(first - second) <= room, f"row {u}, item {item}: {first} and {second}"


def arrays_in(thing: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield all arrays, tables and logs that can be reached from an object, with their paths."""
    if id(thing) in seen or isinstance(thing, type | str | bytes | int | float | None):
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray | pl.Series | pl.DataFrame | Interactions | HeldOut):
        yield path, thing
        return
    inner: dict[Any, Any] = {}
    if isinstance(thing, sp.sparray | sp.spmatrix):
        inner = {n: getattr(thing, n) for n in ("data", "indices", "indptr") if hasattr(thing, n)}
        yield path, np.empty(tuple(thing.shape), np.void)  # only its shape is used
    elif isinstance(thing, dict):
        inner = thing
    elif isinstance(thing, list | tuple | set | frozenset):
        if len(thing) == N_USERS:
            yield path, np.empty(N_USERS, np.void)
        inner = dict(enumerate(thing))
    else:
        inner = dict(getattr(thing, "__dict__", {}))
        if isinstance(thing, BaseModel):
            inner |= thing.__pydantic_private__ or {}
    for name, value in inner.items():
        yield from arrays_in(value, f"{path}.{name}", seen)
