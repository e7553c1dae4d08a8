"""Scores plus shifts of their items: turning a list towards some items or away from them.

A shift is written in units of the list itself: 1 is the distance between the best score and the
100th best of those that may be recommended, for each history anew. So the same shift turns the
lists of all people about as far, whatever the scale of a model's scores.
"""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Bool, Double, Float, Seen

UNIT_RANK = 100  # a shift of 1 lifts the item of this rank to the first place
_LARGEST = float(np.finfo(np.float32).max)


def reference_score(scores: Float | Double) -> float:
    """The 100th best of some finite scores, at least one; where there are fewer, the median."""
    if scores.size < UNIT_RANK:
        return float(np.median(scores))
    place = scores.size - UNIT_RANK
    return float(np.partition(scores, place)[place])


def unit_of(scores: Float | Double) -> float:
    """The size of a shift of 1: the best score minus the 100th best.

    Parameters
    ----------
    scores : (m,) array
        Scores of the items that may be recommended to one person; what is not finite is left out.

    Returns
    -------
    float
        Above 0. Where fewer than 100 scores are there, the median stands for the 100th best; where
        that is as good as the best, the lowest score; where all are equal, the unit is 1.
    """
    finite = scores[np.isfinite(scores)].astype(np.float64)
    if not finite.size:
        return 1.0
    best = float(finite.max())
    return best - reference_score(finite) or best - float(finite.min()) or 1.0


def shift(
    scores: Float, shifts: Float, seen: Seen, allowed: Bool, unit_from: Float | None = None
) -> None:
    """Add shifts to scores, in place, in the unit of each row.

    Parameters
    ----------
    scores : (m, n_items) float32
        What is not finite stays as it is, and no finite score overflows.
    shifts : (n_items,) float32
    seen : (indptr, indices)
        Items of each row that may not be chosen, and so do not count for its unit.
    allowed : (n_items,) bool
        Items that may be chosen at all.
    unit_from : (m, n_items) float32, optional
        Other scores of the same histories, whose unit counts in place of that of `scores`.
    """
    indptr, indices = seen
    measured = scores if unit_from is None else unit_from
    amounts = shifts.astype(np.float64)
    for number, row in enumerate(scores):
        free = allowed.copy()
        free[indices[indptr[number] : indptr[number + 1]]] = False
        moved = row + unit_of(measured[number][free]) * amounts
        finite = np.isfinite(row)
        row[finite] = np.clip(moved[finite], -_LARGEST, _LARGEST)
