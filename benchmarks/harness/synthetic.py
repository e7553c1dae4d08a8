"""Synthetic interactions for timing: seeded, shaped like a log, of any size.

Items have a power-law popularity and belong to one of 60 clusters, users have a log-normal number
of items, half of them from two clusters of their own. Good for seconds and bytes; how well a model
does on them says nothing of real data.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions

CSR: TypeAlias = sp.csr_array
Floats = NDArray[np.float64]

CLUSTERS = 60
SIGMA = 0.92  # of the logarithm of a user's number of items: mean 90, median 59
FEWEST = 5  # items of a user
TOP_ITEM = 0.30  # share of the users who have the most popular item
OWN = 0.5  # share of a user's draws that come from their own clusters


@dataclass(frozen=True)
class Shape:
    """Size of a data set, and of its held-out part."""

    n_users: int
    n_items: int
    n_interactions: int
    n_held_out: int


SHAPES = {
    "tiny": Shape(1_500, 500, 45_000, 300),
    "slim": Shape(40_000, 10_000, 3_600_000, 8_000),
    "small": Shape(50_000, 10_000, 4_500_000, 10_000),
    "ml20m": Shape(136_677, 20_108, 10_000_000, 10_000),
}


def _counts(n_users: int, n_items: int, total: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Items of each user: log-normal, scaled until they add up to `total`."""
    raw = rng.lognormal(0, SIGMA, n_users)
    low, high = 0.0, 100.0 * total / n_users
    for _ in range(60):
        scale = (low + high) / 2
        counts = np.clip(np.rint(raw * scale), FEWEST, n_items // 3)
        low, high = (scale, high) if counts.sum() < total else (low, scale)
    return counts.astype(np.int64)


def _popularity(n_items: int, counts: NDArray[np.int64]) -> Floats:
    """p ∝ 1/(rank + shift), descending; the shift gives the top item its share of the users."""
    low, high = 0.0, float(n_items)
    ranks, some = np.arange(n_items), counts[:: max(1, counts.size // 2000)]
    for _ in range(60):
        shift = (low + high) / 2
        p = 1 / (ranks + 1 + shift)
        p /= p.sum()
        # its cluster has 1/60 of the draws and two of 60 are a user's own
        inside = 1 - np.exp(-some * p[0] * (1 - OWN + OWN * CLUSTERS / 2))
        outside = 1 - np.exp(-some * p[0] * (1 - OWN))
        share = (2 * inside + (CLUSTERS - 2) * outside).mean() / CLUSTERS
        low, high = (shift, high) if share > TOP_ITEM else (low, shift)
    return p


def make(n_users: int, n_items: int, n_interactions: int, seed: int = 0) -> CSR:
    """A binary users × items matrix, float32, indices sorted, no duplicates.

    Every user has 5 items or more; the number of ones is within 2 % of `n_interactions`.
    """
    rng = np.random.default_rng(seed)
    counts = _counts(n_users, n_items, n_interactions, rng)
    p = _popularity(n_items, counts)
    # items in the order of their clusters; ranks go round the clusters, so that all weigh the same
    by_cluster = np.argsort(np.arange(n_items) % CLUSTERS, kind="stable")
    cdf = np.concatenate([[0.0], np.cumsum(p[by_cluster])])
    cdf /= cdf[-1]
    sizes = np.bincount(np.arange(n_items) % CLUSTERS, minlength=CLUSTERS)
    starts = cdf[np.concatenate([[0], np.cumsum(sizes)])]
    names = rng.permutation(n_items)[by_cluster]  # popular items anywhere in the catalogue
    own = rng.integers(0, CLUSTERS, (n_users, 2))

    keys = np.empty(0, np.int64)  # user · n_items + item, ascending
    missing, more = counts.copy(), 1.25
    while True:  # draws that hit an item twice are made up for
        users = np.repeat(np.arange(n_users), np.ceil(missing * more).astype(np.int64))
        cluster = own[users, rng.integers(0, 2, users.size)]
        mine = rng.random(users.size, np.float32) < OWN
        low = np.where(mine, starts[cluster], 0.0)
        high = np.where(mine, starts[cluster + 1], 1.0)
        at = np.searchsorted(cdf, low + (high - low) * rng.random(users.size), side="right") - 1
        keys = _joined(keys, users * n_items + names[np.minimum(at, n_items - 1)])
        missing = np.maximum(counts - np.bincount(keys // n_items, minlength=n_users), 0)
        more = 4.0
        if missing.sum() < 0.005 * n_interactions and (counts - missing).min() >= FEWEST:
            break
    keys = _thin(keys, n_items, counts, rng)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(keys // n_items, minlength=n_users))])
    data = np.ones(keys.size, np.float32)
    return CSR(
        (data, (keys % n_items).astype(np.int32), indptr.astype(np.int32)), shape=(n_users, n_items)
    )


def _joined(keys: NDArray[np.int64], new: NDArray[np.int64]) -> NDArray[np.int64]:
    """Both, ascending, each once; a stable sort merges the two runs instead of starting over."""
    new.sort()
    both = np.concatenate([keys, new])
    both.sort(kind="stable")
    return both[np.concatenate([[True], both[1:] != both[:-1]])]


def _thin(
    keys: NDArray[np.int64], n_items: int, counts: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Drop at random what a user has beyond their count."""
    users = keys // n_items
    rank = _random_rank(users, counts.size, rng)
    return keys[rank < counts[users]]


def _random_rank(
    users: NDArray[np.int64], n_users: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The place of each entry in a random order of its user's entries; `users` ascending."""
    order = np.lexsort((rng.random(users.size, np.float32), users))
    begin = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))])
    rank = np.empty(users.size, np.int64)
    rank[order] = np.arange(users.size) - begin[users]
    return rank


def held_out(X: CSR, n_users: int = 10_000, share: float = 0.2, seed: int = 7) -> tuple[CSR, CSR]:
    """Split the items of the last `n_users` rows.

    Returns
    -------
    train : X less the targets, all users
    target : (n_users, n_items), about `share` of those users' items, at least one
    """
    first = X.shape[0] - n_users
    users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    begin = int(X.indptr[first])
    local = users[begin:] - first
    wanted = np.maximum(np.rint(share * np.diff(X.indptr)[first:]), 1)
    rank = _random_rank(local, n_users, np.random.default_rng(seed))
    chosen = np.zeros(X.nnz, np.bool_)
    chosen[begin:] = rank < wanted[local]

    def part(mask: NDArray[np.bool_], start: int) -> CSR:
        rows = np.bincount(users[mask], minlength=X.shape[0])[start:]
        indptr = np.concatenate([[0], np.cumsum(rows)]).astype(np.int32)
        arrays = (X.data[mask], X.indices[mask], indptr)
        return CSR(arrays, shape=(X.shape[0] - start, X.shape[1]))

    return part(~chosen, 0), part(chosen, first)


def stored(name: str, cache: Path, seed: int = 0) -> Path:
    """The folder with train.npz, target.npz and facts.json of a shape; made if it is not there."""
    folder = cache / f"{name}-{seed}"
    if (folder / "facts.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    shape = SHAPES[name]
    X = make(shape.n_users, shape.n_items, shape.n_interactions, seed)
    train, target = held_out(X, shape.n_held_out)
    sp.save_npz(folder / "train.npz", train, compressed=False)
    sp.save_npz(folder / "target.npz", target, compressed=False)
    facts = asdict(shape) | {"seed": seed} | describe(X) | {"train": train.nnz}
    (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    return folder


def describe(X: CSR) -> dict[str, Any]:
    """What the matrix is like."""
    by_item = np.sort(np.bincount(X.indices, minlength=X.shape[1]))[::-1]
    by_user = np.diff(X.indptr)
    return {
        "interactions": int(X.nnz),
        "items_per_user_median": float(np.median(by_user)),
        "items_per_user_min": int(by_user.min()),
        "top_item_users": round(float(by_item[0] / X.shape[0]), 4),
        "top_percent_share": round(float(by_item[: X.shape[1] // 100].sum() / X.nnz), 4),
    }


def log_of(matrix: CSR) -> Interactions:
    """The public type, with row numbers as ids."""
    import polars as pl

    users, items = (Ids(pl.Series(np.arange(n)), "int") for n in matrix.shape)
    rows = matrix.tocoo()
    return Interactions.from_codes(
        users, items, rows.row.astype(np.int32), rows.col.astype(np.int32)
    )


def catalogue(n: int) -> CSR:
    """A matrix of `n` items: 75 items each for 4·n users."""
    return make(4 * n, n, 300 * n)
