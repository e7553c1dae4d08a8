"""Lists of good items that are unlike each other: maximal marginal relevance.

The list is chosen from a pool, the max(10·k, 200) best candidates. It begins with the best one.
Then comes, again and again, the candidate i with the highest

    (1 − d)·r_i − d·max_{j in the list} m_ij       (Carbonell & Goldstein, SIGIR 1998, λ = 1 − d)

where d is the diversity asked for. r_i is the score of i, scaled so that the scores of the pool
span 0 to 1. m_ij is how alike the model finds i and j: the mean of the scores of i for a history of
j alone and of j for one of i alone (for a linear model B_ji and B_ij; for a model with item vectors
their cosine), scaled so that the pairs of the pool span 0 to 1. Among equal candidates the better
one is chosen. With d = 0 the list is the k best items.
"""

from __future__ import annotations

import numpy as np

from shoal.base.recommender import Recommender
from shoal.kernels.arrays import Double, Float, Int
from shoal.kernels.threads import use_threads

_SMALLEST_POOL, _TIMES_K = 200, 10


def pool_size(model: Recommender, k: int, diversity: float) -> int:
    """How many of the best items to choose k from: k itself if no diversity is wanted."""
    if not diversity:
        return k
    return min(model.n_items, max(_TIMES_K * k, _SMALLEST_POOL))


def diverse(
    model: Recommender, items: Int, scores: Float, k: int, diversity: float
) -> tuple[Int, Float]:
    """Choose k of a pool of items.

    Parameters
    ----------
    model : Recommender
        One whose scores depend on the history.
    items : (p,) int32
        Positions of the items of the pool, best first.
    scores : (p,) float32
    k : int
    diversity : float
        From 0 to 1.

    Returns
    -------
    items, scores : (k,) or fewer, if the pool has fewer
    """
    if items.size <= 1:
        return items, scores
    with use_threads(1):
        likeness = model.item_similarities(items).astype(np.float64)
    chosen = maximal_marginal_relevance(scores.astype(np.float64), likeness, k, diversity)
    return items[chosen], scores[chosen]


def maximal_marginal_relevance(
    scores: Double, likeness: Double, k: int, diversity: float
) -> list[int]:
    """Choose k candidates by relevance and by how little they are like those chosen before.

    Parameters
    ----------
    scores : (p,) float64
        Best first.
    likeness : (p, p) float64
        Of any scale, and not necessarily symmetric.
    k : int
    diversity : float
        d of the formula.

    Returns
    -------
    list of int
        Positions in `scores`, in the order of the list.
    """
    relevance = _scaled(scores)
    pairs = (likeness + likeness.T) / 2
    alike = np.zeros_like(pairs)
    different = ~np.eye(scores.size, dtype=np.bool_)
    alike[different] = _scaled(pairs[different])
    chosen, penalty = [0], alike[0].copy()
    value = np.empty_like(relevance)
    while len(chosen) < min(k, scores.size):
        np.subtract((1 - diversity) * relevance, diversity * penalty, out=value)
        value[chosen] = -np.inf
        best = int(value.argmax())
        chosen.append(best)
        np.maximum(penalty, alike[best], out=penalty)
    return chosen


def _scaled(values: Double) -> Double:
    """Values moved and scaled to span 0 to 1; all 0 if they are equal."""
    lowest = values.min()
    span = values.max() - lowest
    return (values - lowest) / span if span > 0 else np.zeros_like(values)
