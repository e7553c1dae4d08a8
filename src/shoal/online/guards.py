"""What must not suffer while clicks grow: how many items are shown, and how popular they are."""

from __future__ import annotations

from math import lgamma
from typing import TYPE_CHECKING

import numpy as np

from shoal.kernels.arrays import Double, Long

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender


def expected_distinct(counts: Long, n_drawn: int) -> float:
    """How many distinct items a random part of the impressions is expected to have.

    A variant with more users shows more distinct items. So variants are compared at one number of
    impressions, as ecologists compare the species of samples of different sizes (rarefaction:
    Hurlbert, The nonconcept of species diversity, Ecology 52, 1971).

    Parameters
    ----------
    counts : array
        How often each item was shown.
    n_drawn : int
        Impressions that are drawn without replacement, of all that there are.

    Notes
    -----
    An item that was shown n times of N is missing among m with the probability
    C(N − n, m) / C(N, m).
    """
    total = int(counts.sum())
    if n_drawn >= total:
        return float(np.count_nonzero(counts))
    if n_drawn <= 0:
        return 0.0
    times, n_items = np.unique(counts[counts > 0], return_counts=True)
    all_draws = _log_choose(total, n_drawn)
    missing = [
        np.exp(_log_choose(total - int(n), n_drawn) - all_draws) if total - n >= n_drawn else 0.0
        for n in times
    ]
    return float(((1.0 - np.array(missing)) * n_items).sum())


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def mean_popularity(counts: Long, training_users: Double) -> float | None:
    """Mean number of training users over impressions; None where the model knows none of the items.

    Parameters
    ----------
    counts : array
        How often each item was shown.
    training_users : array
        Training users of each item; NaN for items that the model does not know, which are left out.
    """
    known = ~np.isnan(training_users)
    impressions = int(counts[known].sum())
    if not impressions:
        return None
    return float((counts[known] * training_users[known]).sum() / impressions)


def training_users_of(model: Recommender) -> dict[str, int] | None:
    """Training users of each item by its id as text; None for a model that did not keep them."""
    counts = model.item_counts
    if counts is None:
        return None
    ids = model.items.take(np.arange(model.n_items))
    return {str(item): int(n) for item, n in zip(ids, counts, strict=True)}
