"""Which items are on a map, and whose scores are compared to place them."""

from __future__ import annotations

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.kernels.arrays import Long


def popularity(model: Recommender, log: Interactions | None) -> Long | None:
    """Users of each item by a log, or by the model's own counts; None if it keeps none."""
    if log is None:
        return model.item_counts
    counts = log.onto_items(model.items).item_counts
    if not counts.any():
        raise DataError(
            f"the log and the model share no item; the log's look like {log.items!r}, the model's "
            f"like {model.items!r}"
        )
    return counts


def choose(
    model: Recommender, items: int | None, counts: Long | None, seed: int, *, of_log: bool
) -> tuple[Long, list[str]]:
    """The positions of the items to show, in ascending order, and notes on how they were chosen."""
    known = np.flatnonzero(model.known_items)
    n, notes = known.size, []
    if n < model.n_items:
        notes.append(
            f"{model.n_items - n:,} of {model.n_items:,} items are left out: they have no training "
            f"user, so {model.name} knows nothing of them"
        )
    if items is None or items >= n:
        return known, notes
    if counts is not None:
        best = np.sort(known[np.argsort(-counts[known], kind="stable")[:items]])
        whose = "by users of the log" if of_log else "by training users"
        return best, [f"the {items:,} most popular of {n:,} items, {whose}", *notes]
    # the first ids of a catalogue are often its oldest items, and no fair picture of it
    drawn = np.sort(np.random.default_rng(seed).choice(known, items, replace=False))
    return drawn, [
        f"{items:,} of {n:,} items, drawn at random: this model was saved without counts of users; "
        "give the log for the most popular ones (--log FILE), or take all (--items 0)",
        *notes,
    ]


def scored_items(chosen: Long, counts: Long | None, most: int | None) -> Long | None:
    """The positions of the items whose scores are compared, in ascending order; None for all."""
    if most is None or counts is None or len(counts) <= most:
        return None
    popular = np.argsort(-counts, kind="stable")[:most]
    return np.union1d(chosen, popular)
