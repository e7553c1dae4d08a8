"""A data set in short: the numbers that a report shows of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.kernels.arrays import Long
from shoal.metrics import gini_of, head_items


def facts_of(name: str, *logs: Interactions) -> dict[str, Any]:
    """Sizes of a data set, and how its interactions are spread.

    Parameters
    ----------
    name : str
    *logs : Interactions
        The log, or the training and the test part of a given split.

    Returns
    -------
    dict
        ``name``, ``users``, ``items``, ``interactions``, ``density``, ``median_history``,
        ``head_share`` (share of the interactions with the most popular 20 % of items), and
        ``popularity_gini`` (0: all items alike, 1: one item has all interactions).
    """
    users = _numbers([log.users for log in logs], [np.diff(log.indptr) for log in logs])
    items = _numbers([log.items for log in logs], [log.item_counts for log in logs])
    total = int(items.sum())
    return {
        "name": name,
        "users": int(users.size),
        "items": int(items.size),
        "interactions": total,
        "density": total / (users.size * items.size),
        "median_history": float(np.median(users)),
        "head_share": float(items[head_items(items)].sum() / total),
        "popularity_gini": gini_of(items),
    }


def _numbers(ids: list[Ids], counts: list[Long]) -> Long:
    """Interactions of each id in all logs together; ids without any are left out."""
    if len(ids) == 1:
        return counts[0][counts[0] > 0]
    union = Ids.union(ids[0], ids[1])
    total = np.zeros(len(union), np.int64)
    for own, number in zip(ids, counts, strict=True):
        total[union.match(own)] += number
    return total[total > 0]
