"""Where a model is good: by the popularity of items, and by the length of users' histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.kernels.arrays import Bool, Double, Int, Long
from shoal.splitting.held_out import HeldOut

DECILES = 10
LIST_LENGTH = 20  # of the recall by popularity
COLD = 3  # users with at most so many items in their history are cold
HISTORY_GROUPS = 5


@dataclass(frozen=True)
class ByPopularity:
    """How many held-out interactions a model finds, by the popularity of their items.

    Items are ordered by their number of training users, most popular first (equal ones in the order
    of the catalogue), and cut into ten groups of equally many items. The recall of a group is
    `found` / `held_out`: of all held-out interactions with its items, the share whose item stands
    among the first k of its user's list.

    Parameters
    ----------
    k : int
    found, held_out : tuple of int
        Numbers of interactions in each group.
    """

    k: int
    found: tuple[int, ...]
    held_out: tuple[int, ...]

    @property
    def deciles(self) -> list[float | None]:
        """The recall of each group, most popular items first; None where nothing is held out."""
        pairs = zip(self.found, self.held_out, strict=True)
        return [found / held_out if held_out else None for found, held_out in pairs]

    def __add__(self, other: ByPopularity) -> ByPopularity:
        """Both together, such as those of two seeds."""
        found = tuple(a + b for a, b in zip(self.found, other.found, strict=True))
        held_out = tuple(a + b for a, b in zip(self.held_out, other.held_out, strict=True))
        return ByPopularity(self.k, found, held_out)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "metric": f"recall@{self.k}",
            "deciles": self.deciles,
            "found": list(self.found),
            "held_out": list(self.held_out),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ByPopularity:
        """What `to_dict` gave."""
        k = int(str(data["metric"]).partition("@")[2])
        return cls(k, tuple(data["found"]), tuple(data["held_out"]))


def popularity_groups(train_counts: Long) -> Int:
    """The group of each item, 0 for the most popular tenth to 9; fewer items have fewer groups."""
    groups = np.empty(train_counts.size, np.int32)
    order = np.argsort(-train_counts, kind="stable")
    for group, items in enumerate(np.array_split(order, DECILES)):
        groups[items] = group
    return groups


def by_popularity(lists: Int, hits: Bool, held_out: HeldOut) -> ByPopularity:
    """Measure the recall of held-out interactions by the popularity of their items.

    Parameters
    ----------
    lists, hits : (n_users, at least `LIST_LENGTH` or all items)
        The best items of each user, and which of them are held out (`evaluate_with_lists`).
    held_out : HeldOut
    """
    k = min(LIST_LENGTH, lists.shape[1])
    groups = popularity_groups(held_out.train_counts)
    found = np.bincount(groups[lists[:, :k][hits[:, :k]]], minlength=DECILES)
    held = np.bincount(groups[held_out.target.indices], minlength=DECILES)
    return ByPopularity(k, tuple(found.tolist()), tuple(held.tolist()))


def by_history(users: Int, lengths: Long, values: Double) -> list[dict[str, Any]]:
    """Mean of a metric by the length of the history that the model read.

    Cold users, with at most `COLD` items in their history, are a group of their own where there are
    any. The others are cut at the quintiles of their lengths; users of equal length are never
    parted, so that there may be fewer groups. Of a user who was tested with several seeds, the
    values within a group are averaged first.

    Parameters
    ----------
    users : (n,) int
        The number of the user of each value.
    lengths : (n,) int64
        Number of items in the history.
    values : (n,) float64
        NaN where the metric does not count the user.

    Returns
    -------
    list of dict
        ``from``, ``to`` (lengths), ``users``, ``mean``, ``se``, ``cold``, shortest first.
    """
    groups = []
    for low, high in _extents(lengths):
        inside = (lengths >= low) & (lengths <= high) & ~np.isnan(values)
        sums = np.bincount(users[inside], values[inside])
        counts = np.bincount(users[inside])
        means = sums[counts > 0] / counts[counts > 0]
        groups.append(
            {
                "from": int(low),
                "to": int(high),
                "users": int(means.size),
                "mean": float(means.mean()) if means.size else None,
                "se": float(means.std(ddof=1) / means.size**0.5) if means.size > 1 else None,
                "cold": bool(high <= COLD),
            }
        )
    return groups


def _extents(lengths: Long) -> list[tuple[int, int]]:
    """Shortest and longest history of each group."""
    extents = []
    cold, others = lengths[lengths <= COLD], np.sort(lengths[lengths > COLD])
    if cold.size:
        extents.append((int(cold.min()), int(cold.max())))
    if others.size:
        shares = np.arange(1, HISTORY_GROUPS + 1) / HISTORY_GROUPS
        ends = np.unique(np.quantile(others, shares, method="inverted_cdf"))
        low = int(others[0])
        for end in ends.tolist():
            extents.append((low, int(end)))
            later = others[others > end]
            low = int(later[0]) if later.size else low
    return extents
