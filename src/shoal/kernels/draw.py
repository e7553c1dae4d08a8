"""Random histories of users, each drawn from the user's own stream of random numbers."""

from __future__ import annotations

import math

import numpy as np

from shoal.kernels.arrays import Int, Long
from shoal.kernels.compiling import chunks, jit, parallel, prange

OWN = 0.5  # share of a user's draws that come from the user's own two clusters

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_PATIENT, _STUBBORN = 4, 64  # largest number of draws per item: from clusters, and in total


@jit(inline="always")
def _mixed(x: np.uint64) -> np.uint64:
    """Mix the bits of a number with SplitMix64's finaliser (Steele et al., OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


@jit(inline="always")
def _uniform(state: np.uint64) -> float:
    """Return a number in [0, 1) for a state of the generator."""
    return (_mixed(state) >> np.uint64(11)) * 2.0**-53


@jit()
def _add(table: Int, item: int) -> bool:
    """Add an item to a hash table, whose size is a power of two; False if it was in it already."""
    last = np.uint64(table.size - 1)
    at = _mixed(np.uint64(item)) & last
    while table[at] >= 0:
        if table[at] == item:
            return False
        at = (at + np.uint64(1)) & last
    table[at] = item
    return True


@jit()
def _fill(
    state: np.uint64, given: Int, n_clusters: int, shift: float, names: Int, out: Int
) -> None:
    """Fill `out` with distinct items: the `given` ones, then random draws; sorted at the end."""
    n = names.size
    capacity = 4
    while capacity < 2 * out.size:
        capacity *= 2
    table = np.full(capacity, -1, np.int32)
    count = 0
    for item in given:
        _add(table, item)
        out[count] = item
        count += 1
    state += _STEP
    first = int(_uniform(state) * n_clusters)
    state += _STEP
    second = int(_uniform(state) * n_clusters)
    spread = math.log((n + shift) / shift)
    tries = 0
    while count < out.size and tries < _STUBBORN * out.size:
        tries += 1
        state += _STEP
        # P(rank) ∝ ∫ dx / (x + shift) from rank to rank + 1
        rank = int(shift * math.exp(_uniform(state) * spread) - shift)
        state += _STEP
        choice = _uniform(state)
        if choice < OWN and tries < _PATIENT * out.size:
            # clusters alternate by rank: move to the nearby rank of the user's cluster
            rank += (first if choice < OWN / 2 else second) - rank % n_clusters
        if rank < n and _add(table, names[rank]):
            out[count] = names[rank]
            count += 1
    state += _STEP
    item = int(_uniform(state) * n)
    while count < out.size:  # only for users who have almost all items
        if _add(table, item):
            out[count] = item
            count += 1
        item = (item + 1) % n
    out.sort()


@parallel
def _draw(
    key: np.uint64,
    first_user: int,
    indptr: Long,
    total: int,
    n_clusters: int,
    shift: float,
    names: Int,
    out: Int,
) -> None:
    n = names.size
    start = indptr[0]
    for at in prange(indptr.size - 1):
        begin, end = indptr[at], indptr[at + 1]
        # slot s of the log must hold a certain item where s·n/total passes a whole number, so that
        # every item occurs
        given = names[(begin * n + total - 1) // total : (end * n + total - 1) // total]
        state = _mixed(key + _mixed(np.uint64(first_user + at) + _STEP))
        _fill(state, given, n_clusters, shift, names, out[begin - start : end - start])


def draw_histories(
    seed: int,
    first_user: int,
    indptr: Long,
    total: int,
    n_clusters: int,
    shift: float,
    names: Int,
) -> Int:
    """Draw the items of consecutive users.

    Items have ranks, and rank r is drawn with probability ∝ 1/(r + shift). Half of the draws are
    moved to the nearest rank of one of the user's two clusters; rank r belongs to cluster
    r mod n_clusters. Over all users, every item is drawn at least once.

    Parameters
    ----------
    seed : int
        A user's items depend on the seed, the user's number and extents, not on other users.
    first_user : int
        Number of the first user.
    indptr : (m + 1,) int64
        Extents of these users among all interactions.
    total : int
        Number of interactions of all users, n_items or more.
    n_clusters : int
        Number of clusters of items.
    shift : float
        Above 0; larger values make items more equally popular.
    names : (n_items,) int32
        Item number of each rank.

    Returns
    -------
    (indptr[-1] − indptr[0],) int32
        Item numbers, distinct and ascending within each user.
    """
    out = np.empty(int(indptr[-1] - indptr[0]), np.int32)
    key = np.uint64((seed * 0x9E3779B97F4A7C15 + 1) % 2**64)
    with chunks(64):
        _draw(key, first_user, indptr, total, n_clusters, shift, names, out)
    return out
