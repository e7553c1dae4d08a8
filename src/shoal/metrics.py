"""Ranking metrics, each with its definition. All are computed from the same top-k lists.

T is the set of a user's held-out items, r the rank from 1 on, and hit(r) is 1 if the item at rank
r is in T, else 0. A name is ``metric@k``. With ``metric@k:head``, T is reduced to the 20 % of items
with most training users, with ``metric@k:tail`` to the other items (Moon et al., SIGIR 2023); the
lists still are over all items, and users without such an item in T do not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shoal.errors import DataError
from shoal.kernels.arrays import Bool, Double, Int, Long


def recall(hits: Bool, n: Long, k: int) -> Double:
    """Σ hit(r ≤ k) / min(k, |T|)."""
    return hits[:, :k].sum(axis=1) / np.minimum(k, n)


def recall_full(hits: Bool, n: Long, k: int) -> Double:
    """Σ hit(r ≤ k) / |T|."""
    return hits[:, :k].sum(axis=1) / n


def precision(hits: Bool, n: Long, k: int) -> Double:
    """Σ hit(r ≤ k) / k."""
    return hits[:, :k].sum(axis=1) / k


def hit_rate(hits: Bool, n: Long, k: int) -> Double:
    """Give 1 if any of the first k is in T, else 0."""
    any_hit: Double = np.asarray(hits[:, :k].any(axis=1), np.float64)
    return any_hit


def ndcg(hits: Bool, n: Long, k: int) -> Double:
    """Σ hit(r ≤ k)/log2(r+1), divided by the same sum for a list that begins with all of T."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    return hits[:, :k] @ discount[: hits.shape[1]] / ideal[np.minimum(k, n)]


def average_precision(hits: Bool, n: Long, k: int) -> Double:
    """Σ hit(r ≤ k)·precision(r) / min(k, |T|); its mean is MAP."""
    within = hits[:, :k]
    at_rank = np.cumsum(within, axis=1) / np.arange(1, within.shape[1] + 1)
    return (at_rank * within).sum(axis=1) / np.minimum(k, n)


def reciprocal_rank(hits: Bool, n: Long, k: int) -> Double:
    """1 / rank of the first hit within k, 0 if there is none; its mean is MRR."""
    within = hits[:, :k]
    first = within.argmax(axis=1)
    return within.any(axis=1) / (first + 1.0)


ACCURACY: dict[str, Callable[[Bool, Long, int], Double]] = {
    "recall": recall,
    "recall_full": recall_full,
    "ndcg": ndcg,
    "precision": precision,
    "hit_rate": hit_rate,
    "map": average_precision,
    "mrr": reciprocal_rank,
}


def mean_popularity(lists: Int, train_counts: Long, k: int) -> Double:
    """Mean number of training users of the recommended items."""
    filled = lists[:, :k] >= 0
    total = np.where(filled, train_counts[lists[:, :k]], 0).sum(axis=1)
    return total / np.maximum(filled.sum(axis=1), 1)


def novelty(lists: Int, train_counts: Long, k: int) -> Double:
    """Mean −log2 of the recommended items' share of the training interactions (bits)."""
    filled = lists[:, :k] >= 0
    share = np.maximum(train_counts, 1) / max(int(train_counts.sum()), 1)
    bits = np.where(filled, -np.log2(share)[lists[:, :k]], 0).sum(axis=1)
    return bits / np.maximum(filled.sum(axis=1), 1)


def coverage(lists: Int, train_counts: Long, k: int) -> float:
    """Share of the catalogue that is recommended to anyone."""
    recommended = np.zeros(train_counts.size + 1, np.bool_)
    recommended[lists[:, :k]] = True  # −1 goes to the place after the last item
    return float(recommended[:-1].mean())


def gini(lists: Int, train_counts: Long, k: int) -> float:
    """Gini coefficient of how often each item is recommended: 0 all alike, 1 one item only."""
    shown = lists[:, :k]
    return gini_of(np.bincount(shown[shown >= 0], minlength=train_counts.size))


def gini_of(counts: Long) -> float:
    """Gini coefficient of counts: 0 if all are alike, 1 (nearly) if all but one are 0."""
    ascending = np.sort(counts).astype(np.float64)
    n = ascending.size
    return float((2 * np.arange(1, n + 1) - n - 1) @ ascending / (n * max(ascending.sum(), 1)))


PER_LIST: dict[str, Callable[[Int, Long, int], Double]] = {
    "popularity": mean_popularity,
    "novelty": novelty,
}
OVERALL: dict[str, Callable[[Int, Long, int], float]] = {"coverage": coverage, "gini": gini}
GROUPS = ("head", "tail")
HEAD_SHARE = 0.2


@dataclass(frozen=True)
class Metric:
    """The parts of a metric's name: ``base@k:group``."""

    base: str
    k: int
    group: str = ""

    def __str__(self) -> str:
        return f"{self.base}@{self.k}{':' + self.group if self.group else ''}"

    @property
    def definition(self) -> str:
        """The formula of the metric, in one line."""
        table = ACCURACY | PER_LIST | OVERALL
        return (table[self.base].__doc__ or "").split("\n", maxsplit=1)[0]


def parse(name: str) -> Metric:
    """Read ``ndcg@100`` or ``recall@20:tail``.

    Raises
    ------
    DataError
        There is no such metric, or k is 0.
    """
    parts = re.fullmatch(r"([a-z_]+)@(\d+)(?::(\w+))?", name.strip().lower())
    bases = [*ACCURACY, *PER_LIST, *OVERALL]
    if parts is None or parts[1] not in bases:
        raise DataError(
            f"no metric {name!r}; write one of {', '.join(bases)} with a k, such as ndcg@100 or "
            "recall@20:tail"
        )
    base, k, group = parts[1], int(parts[2]), parts[3] or ""
    if k < 1:
        raise DataError(f"{name}: k must be 1 or more")
    if group and (group not in GROUPS or base not in ACCURACY):
        raise DataError(f"{name}: only {', '.join(ACCURACY)} have parts, and those are head, tail")
    return Metric(base, k, group)


def head_items(train_counts: Long) -> Bool:
    """The ⌈20 %⌉ items with most training users; equal counts go to the earlier item."""
    n_head = int(np.ceil(HEAD_SHARE * train_counts.size))
    head = np.zeros(train_counts.size, np.bool_)
    head[np.argsort(-train_counts, kind="stable")[:n_head]] = True
    return head


def groups_of_items(train_counts: Long) -> dict[str, Bool]:
    """The items that count in T, (n_items,), by the group of a metric: all, head or tail."""
    head = head_items(train_counts)
    return {"": np.ones(head.size, np.bool_), "head": head, "tail": ~head}


def accuracy(metric: Metric, lists: Int, hits: Bool, n: Long, group: Bool) -> Double:
    """One of `ACCURACY` for each user, (n_users,); NaN where nothing of the group is held out.

    Parameters
    ----------
    metric : Metric
    lists : (n_users, k) int32
        Item numbers; −1 where there is none.
    hits : (n_users, k) bool
        Which of them are held out.
    n : (n_users,) int64
        Number of held-out items of the group.
    group : (n_items,) bool
        The items of the metric's group.
    """
    if metric.group:
        hits = hits.copy()
        where = np.nonzero(hits)  # hits are few: only their items are looked up
        hits[where] = group[lists[where]]
    with np.errstate(invalid="ignore", divide="ignore"):
        values = ACCURACY[metric.base](hits, n, metric.k)
    return np.where(n > 0, values, np.nan)
