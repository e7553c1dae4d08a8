"""The data of a comparison in short."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.data.interactions import Interactions
from shoal.metrics import head_items


def describe(log: Interactions, name: str = "") -> dict[str, Any]:
    """Numbers that say what kind of data a log holds.

    Parameters
    ----------
    log : Interactions
    name : str

    Returns
    -------
    dict
        ``name``, ``users``, ``items``, ``interactions``; ``density``, their share of all pairs;
        ``median_history``, items of a user; ``head_share``, the share of the interactions with the
        20 % most popular items; ``popularity_gini``, 0 if all items have equally many users.
    """
    counts = log.item_counts
    total = max(len(log), 1)
    ordered = np.sort(counts).astype(np.float64)
    n = counts.size
    places = 2 * np.arange(1, n + 1) - n - 1
    lengths = np.diff(log.indptr)
    return {
        "name": name,
        "users": log.n_users,
        "items": log.n_items,
        "interactions": len(log),
        "density": len(log) / max(log.n_users * log.n_items, 1),
        "median_history": float(np.median(lengths)) if lengths.size else 0.0,
        "head_share": float(counts[head_items(counts)].sum() / total),
        "popularity_gini": float(places @ ordered / (n * total)) if n else 0.0,
    }
