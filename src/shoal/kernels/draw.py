"""Random histories, each user's from a random stream of their own."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, parallel_chunksize, prange

from shoal.kernels.arrays import Int, Long

OWN = 0.5  # share of a user's draws that come from their own two clusters

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_PATIENT, _STUBBORN = 4, 64  # draws per item wanted: from clusters, and at all


@njit(cache=True, inline="always")
def _mixed(x: np.uint64) -> np.uint64:
    """SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


@njit(cache=True, inline="always")
def _uniform(state: np.uint64) -> float:
    return (_mixed(state) >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def _add(table: Int, item: int) -> bool:
    """Put an item into a hash table of a power of two of places; False if it is there already."""
    last = np.uint64(table.size - 1)
    at = _mixed(np.uint64(item)) & last
    while table[at] >= 0:
        if table[at] == item:
            return False
        at = (at + np.uint64(1)) & last
    table[at] = item
    return True


@njit(cache=True)
def _fill(
    state: np.uint64, given: Int, n_clusters: int, shift: float, names: Int, out: Int
) -> None:
    """Distinct items into `out`: first those given, then draws; ascending at the end."""
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
        # P(rank) = ∫ dx / (x + shift) over one rank, up to a factor
        rank = int(shift * math.exp(_uniform(state) * spread) - shift)
        state += _STEP
        choice = _uniform(state)
        if choice < OWN and tries < _PATIENT * out.size:
            # ranks go round the clusters: the one of this round that is the user's own
            rank += (first if choice < OWN / 2 else second) - rank % n_clusters
        if rank < n and _add(table, names[rank]):
            out[count] = names[rank]
            count += 1
    state += _STEP
    item = int(_uniform(state) * n)
    while count < out.size:  # of who has almost everything
        if _add(table, item):
            out[count] = item
            count += 1
        item = (item + 1) % n
    out.sort()


@njit(parallel=True, cache=True, nogil=True)
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
        # slot s of the log is bound to hold an item where s·n/total passes a whole number
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

    Rank r is drawn with p ∝ 1/(r + shift). Half of the draws are moved to the nearest rank of one
    of two clusters of the user's own; rank r belongs to cluster r mod n_clusters. Over all users,
    every item is drawn at least once.

    Parameters
    ----------
    seed : int
        A user's items depend on the seed, their number and their extents, not on other users.
    first_user : int
        Number of the first user.
    indptr : (m + 1,) int64
        Extents of these users among all interactions.
    total : int
        Of interactions, of all users: n_items or more.
    n_clusters : int
    shift : float
        Above 0.
    names : (n_items,) int32
        The item of each rank.

    Returns
    -------
    (indptr[-1] − indptr[0],) int32
        Distinct and ascending within each user.
    """
    out = np.empty(int(indptr[-1] - indptr[0]), np.int32)
    key = np.uint64((seed * 0x9E3779B97F4A7C15 + 1) % 2**64)
    with parallel_chunksize(64):
        _draw(key, first_user, indptr, total, n_clusters, shift, names, out)
    return out
