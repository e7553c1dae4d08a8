"""Scores times factors: how much each item is favoured."""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Float
from shoal.kernels.compiling import chunks, parallel, prange

_LARGEST = np.finfo(np.float32).max


@parallel
def _boost(scores: Float, factors: Float) -> None:
    for r in prange(scores.shape[0]):
        row = scores[r]
        for i in range(row.size):
            score = row[i]
            if score >= 0:
                row[i] = min(score * factors[i], _LARGEST)
            elif score >= -_LARGEST:  # neither −inf nor NaN
                row[i] = max(score / factors[i], -_LARGEST)


def boost(scores: Float, factors: Float) -> None:
    """Multiply scores by the factors of their items, in place.

    A score s ≥ 0 becomes s·f and a score s < 0 becomes s/f, so that a factor above 1 raises either.

    Parameters
    ----------
    scores : (m, n_items) float32
        What is not finite stays as it is, and no finite score overflows.
    factors : (n_items,) float32
        Above 0.
    """
    with chunks(1):
        _boost(scores, factors)
